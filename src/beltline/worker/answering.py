"""How a worker by queue tells its answers: by one line, again until the broker has confirmed."""

from __future__ import annotations

import asyncio
import os

import structlog

from beltline.engine.ports import Clock
from beltline.queues.broker import CallBroker
from beltline.sdk import ClientFailed
from beltline.transports.queue import Post

AGAIN_S = 1.0

_log = structlog.get_logger(__name__)


class TooLarge(Exception):
    """The broker takes no message like this one; the text says why."""


class AnswerLine:
    """A line to a broker, opened when it is needed."""

    def __init__(self, broker: CallBroker, clock: Clock) -> None:
        self._broker = broker
        self._clock = clock
        self._post: Post | None = None
        self._opening = asyncio.Lock()

    async def send(self, place: str, body: bytes, deadline: int) -> None:
        """Returns when the broker keeps the answer, or when its deadline (Unix ms) has passed and
        nobody waits for it. Raises `TooLarge` where the broker refuses it for good.
        """
        id = os.urandom(16).hex()
        while True:
            try:
                await (await self._opened()).send(place, body, id=id)
            except ClientFailed as failed:
                if failed.permanent and self._post is not None:
                    raise TooLarge(str(failed)) from failed
                if self._clock.now() > deadline:
                    _log.warning("an answer came too late", place=place, reason=str(failed))
                    return
                await asyncio.sleep(AGAIN_S)
            else:
                return

    async def close(self) -> None:
        """Leaves."""
        post, self._post = self._post, None
        if post is not None:
            try:
                await post.close()
            except Exception as trouble:  # noqa: BLE001 - it is left anyway
                _log.debug("a line did not close cleanly", reason=str(trouble))

    async def _opened(self) -> Post:
        async with self._opening:
            if self._post is None or not self._post.is_open():
                await self.close()
                self._post = await self._broker.open()
            return self._post

"""Senders that wait for their run: `Prefer: wait=N` (RFC 7240).

    submit ... commit ... wait until a step responds ────────────> that answer
                          or the run is at rest ─────────────────> 200 with its result
                          or N s have passed ────────────────────> 202

The wait is short and bounded in number: whoever needs longer asks for the run's status.
"""

from __future__ import annotations

import asyncio

import msgspec

from beltline.api.hub import Hub
from beltline.api.taken_in import AnswerFailed, RunResult
from beltline.core.events import AnswerGiven
from beltline.core.expression import ExpressionFailed, Scope
from beltline.core.path import MISSING
from beltline.definition.answer import Waiting
from beltline.engine.inspection import Inspected, inspect

_ENDED = ("completed", "cancelled")


def seconds_of(prefer: bytes) -> int:
    """How many seconds a sender would wait; 0 where it does not say, or in no way that counts."""
    for preference in prefer.split(b","):
        name, _, value = preference.partition(b";")[0].partition(b"=")
        if name.strip().lower() == b"wait":
            digits = value.strip().strip(b'"')
            return int(digits[:9]) if digits.isdigit() else 0
    return 0


class WaitingSenders:
    """Those that wait now."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._count = 0

    async def result(
        self, key: bytes, waiting: Waiting, seconds: int
    ) -> RunResult | AnswerGiven | None:
        """The answer that a step of the run gives, or its result once it is at rest; None where
        there is neither after so many seconds, or too many senders wait already. Raises
        `AnswerFailed`.
        """
        limits = self._hub.limits
        if self._count >= limits.waiting_senders:
            return None
        self._count += 1
        try:
            return await self._wait(key, waiting, min(seconds, limits.sender_wait_ms / 1_000))
        finally:
            self._count -= 1

    async def _wait(
        self, key: bytes, waiting: Waiting, seconds: float
    ) -> RunResult | AnswerGiven | None:
        hub = self._hub
        rest = hub.node.watch_as_sender(
            key
        )  # before the first look, so that nothing falls in between
        try:
            run = await inspect(hub.store, hub.processes, key)
            if _answer(run) is None and not _is_at_rest(run):
                try:
                    async with asyncio.timeout(seconds):
                        await rest.wait()
                except TimeoutError:
                    pass  # another node may have moved it all the same
                run = await inspect(hub.store, hub.processes, key)
        except asyncio.CancelledError:
            # The server cuts off who still waits when it stops. The request is durable: the
            # sender is to hear so.
            if not hub.node.intake.is_closed:
                raise
            return None
        finally:
            hub.node.unwatch(key, rest)
        answer = _answer(run)
        if answer is not None:
            return answer
        return _result(run, waiting) if _is_at_rest(run) else None


def _answer(run: Inspected) -> AnswerGiven | None:
    """What a step answered."""
    return run.run.answer if run.run is not None else None


def _is_at_rest(run: Inspected) -> bool:
    """Whether nothing of it goes on by itself."""
    record = run.record
    if record.status in _ENDED:
        return True
    return record.status == "stopped" and not record.owned and record.ready_at is None


def _result(run: Inspected, waiting: Waiting) -> RunResult:
    result = RunResult(run.record.status)
    if waiting.document:
        result = msgspec.structs.replace(result, document=run.document)
    if waiting.output is not None:
        meta = run.document.get("meta", {})
        try:
            scope = Scope(run.record.accepted_at, str(meta.get("id", "")), 0)
            output = waiting.output.resolve(run.document, scope)
        except ExpressionFailed as failed:
            raise AnswerFailed(str(failed)) from failed
        if output is not MISSING:
            result = msgspec.structs.replace(result, output=output)
    return result

"""How a feed brings a request in when the store is full, away, or not ready: it stays with it.

Waiting here, and not at the origin, keeps the order of what comes, costs no second delivery, and
bounds what is under way: whoever waits takes nothing new.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from beltline.engine.ports import StoreAway, StoreFull
from beltline.engine.records import Repeat
from beltline.engine.work import Accepted
from beltline.sources.door import Door, NotTaken, Offering
from beltline.sources.refusal import RequestRefused

FIRST_S = 0.5
MOST_S = 10.0

Pause = Callable[[float], Awaitable[None]]  # seconds
_log = structlog.get_logger(__name__)


def stop_if_cancelled() -> None:
    """Raises `CancelledError` where this task was cancelled and goes on nevertheless: what waits by
    `asyncio.wait_for`, as many libraries do, may swallow it before Python 3.12.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def _nothing() -> None:
    """What there is to do between two tries: mostly nothing."""


async def offer_until_taken(
    door: Door,
    offerings: Sequence[Offering],
    *,
    pause: Pause = asyncio.sleep,
    between: Callable[[], Awaitable[None]] = _nothing,
) -> list[Accepted | Repeat | RequestRefused]:
    """Offers requests, in their order, until all of them are durable or refused for good, with
    growing pauses; `between` is awaited after each of these. Gives the answer to each. Where one
    has to be offered again all are: those that are here already are told by their identities.
    """
    wait_s = FIRST_S
    while True:
        try:
            return await door.offer_many(offerings)
        except (NotTaken, StoreAway, StoreFull) as why:
            _log.warning("a request is not taken in yet", source=door.source.name, reason=str(why))
        await pause(wait_s)
        await between()
        stop_if_cancelled()
        wait_s = min(wait_s * 2, MOST_S)

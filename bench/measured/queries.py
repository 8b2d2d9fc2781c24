"""How long the claims of a node and the lists of people take in a store that is full.

Both go through the store's port, as the loader and the API use it. A claim is given back at once,
ready behind all others, so that the next one meets other runs. Each question of a list comes with
other values each time.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from beltline.core.limits import PRODUCTION
from beltline.engine.ports import Store, StoreAway
from beltline.engine.records import Batch, RunChange, RunFilter
from beltline.home_files import read_home
from beltline.settings import open_home
from beltline.stores import open_store
from bench.measured import process

DAY_MS = 86_400_000
PAGE = 50
CLAIMED = (PRODUCTION.claim_runs, 50, 1)  # runs a claim: as many as the loader asks for, and fewer
ENOUGH_S = 10.0  # for one question, again and again
FEWEST = 2
SEED = 20_261_125


class Moments:
    """Chance that comes the same each time: moments, and keys of runs of about then."""

    def __init__(self, now: int, days: int) -> None:
        self._chance = random.Random(SEED)
        self._now = now
        self._days = days

    def moment(self) -> int:
        """A moment in the time that the store is full of (Unix ms)."""
        return self._now - round(self._chance.random() * self._days * DAY_MS)

    def key(self) -> bytes:
        """The key of a run that could have come at such a moment."""
        return self.moment().to_bytes(6) + b"\x70\x00\x80" + self._chance.randbytes(7)

    def hours(self, hours: int, **others: Any) -> RunFilter:
        """The runs of so many hours, some time."""
        since = self.moment()
        return RunFilter(since=since, until=since + hours * 3_600_000, **others)


LISTS: dict[str, Callable[[Moments], RunFilter]] = {
    "newest": lambda _: RunFilter(),
    "a deep page": lambda some: RunFilter(before=some.key()),
    "stopped": lambda _: RunFilter(status="stopped"),
    "stopped, a deep page": lambda some: RunFilter(status="stopped", before=some.key()),
    "waiting": lambda _: RunFilter(status="waiting"),
    "waiting, a deep page": lambda some: RunFilter(status="waiting", before=some.key()),
    "moving": lambda _: RunFilter(status="moving"),
    "parked": lambda _: RunFilter(status="parked"),
    "completed": lambda _: RunFilter(status="completed"),
    "completed, a deep page": lambda some: RunFilter(status="completed", before=some.key()),
    "cancelled": lambda _: RunFilter(status="cancelled"),
    "a common process": lambda some: RunFilter(process="lead", before=some.key()),
    "a rare process": lambda _: RunFilter(process="rare-lead"),
    "a process that nothing ran": lambda _: RunFilter(process="no-lead"),
    "a common source": lambda some: RunFilter(source="pure-leads", before=some.key()),
    "a rare source": lambda _: RunFilter(source="rare-leads"),
    "an hour": lambda some: some.hours(1),
    "a week": lambda some: some.hours(168),
}
SEVERAL: dict[str, Callable[[Moments], RunFilter]] = {
    "stopped, of a common process": lambda _: RunFilter(status="stopped", process="lead"),
    "stopped, of a rare process": lambda _: RunFilter(status="stopped", process="rare-lead"),
    "completed, of a rare process": lambda _: RunFilter(status="completed", process="rare-lead"),
    "completed, of a common process": lambda some: RunFilter(
        status="completed", process="lead", before=some.key()
    ),
    "completed, of no process": lambda _: RunFilter(status="completed", process="no-lead"),
    "cancelled, of a common process": lambda some: RunFilter(
        status="cancelled", process="lead", before=some.key()
    ),
    "cancelled, of a rare process": lambda _: RunFilter(status="cancelled", process="rare-lead"),
    "waiting, of a rare source": lambda _: RunFilter(status="waiting", source="rare-leads"),
    "stopped, in a day": lambda some: some.hours(24, status="stopped"),
    "a rare process, in a week": lambda some: some.hours(168, process="rare-lead"),
}


async def timed(times: int, ask: Callable[[], Awaitable[Any]]) -> dict[str, Any]:
    """How long each of so many questions takes, in milliseconds, and what the last one gave. One
    that takes too long to be asked so often is asked a few times; one that the store gives up
    stands with the time after which it did.
    """
    taken: list[float] = []
    given: Any = None
    until = time.perf_counter() + ENOUGH_S
    while len(taken) < times and (len(taken) < FEWEST or time.perf_counter() < until):
        began = time.perf_counter()
        try:
            given = await ask()
        except StoreAway as away:
            given = str(away)
        taken.append((time.perf_counter() - began) * 1e3)
    return {"ms": [round(ms, 4) for ms in taken], "given": given}


async def claims(store: Store, times: int, limit: int, now: int) -> dict[str, Any]:
    """Claims of up to `limit` runs, each given back after it was measured."""
    taken: list[float] = []
    given = 0
    for _ in range(times):
        began = time.perf_counter()
        claimed = await store.claim(now, limit, crashes=0, max_bytes=PRODUCTION.claim_bytes)
        taken.append((time.perf_counter() - began) * 1e3)
        given = len(claimed.runs)
        assert given == limit, f"{given} runs were claimed, not {limit}"
        # Those that were ready before it come first at the next time.
        changes = [RunChange(run.key, "waiting", now, owned=False) for run in claimed.runs]
        await store.commit(Batch(changes=changes))
    return {"ms": [round(ms, 4) for ms in taken], "given": given}


async def measure(home: Path, url: str, days: int, times: int) -> dict[str, Any]:
    """Asks everything."""
    read_home(open_home(home))  # as a node has: what it is is in its memory
    store = await open_store(url)
    await store.join()
    beat = await store.beat()
    assert beat.now is not None
    some = Moments(beat.now, days)

    async def ask_all(questions: dict[str, Callable[[Moments], RunFilter]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, make in questions.items():

            async def ask(make: Callable[[Moments], RunFilter] = make) -> int:
                return len(await store.runs(make(some), PAGE))

            found[name] = await timed(times, ask)
        return found

    lists, several = await ask_all(LISTS), await ask_all(SEVERAL)
    others = {
        "the next time at which a run is ready": await timed(times, store.next_ready_at),
        "the totals for metrics": await timed(max(5, times // 20), store.counts),
    }
    taken = {str(limit): await claims(store, times, limit, beat.now) for limit in CLAIMED}
    await store.hand_over()
    await store.close()
    return {"claims": taken, "lists": lists, "several": several, "others": others}


def main() -> None:
    """Asks a store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--store", required=True, help="the URL of a store that is full")
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--times", type=int, default=200)
    options = parser.parse_args()
    process.run(measure(options.home, options.store, options.days, options.times))


if __name__ == "__main__":
    main()

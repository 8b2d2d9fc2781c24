"""Short ways to write what stores are given, for the tests of stores."""

from __future__ import annotations

from typing import Any

from beltline.core.run import Status
from beltline.engine.ports import Store
from beltline.engine.records import (
    Acceptance,
    Batch,
    Due,
    JournalRow,
    NewRequest,
    NewRun,
    ReleaseOrder,
    RunChange,
    StoredRun,
    Window,
)

ANY_SIZE = 10**12  # more bytes than any test stores
VERSION = 7  # stores keep the number of a version without asking whether there is one


def key(number: int) -> bytes:
    """The key of the test's run with this number; keys rise with numbers."""
    return number.to_bytes(6, "big") + b"\x70" + bytes(9)


def new_request(number: int, *, body: bytes | None = None, **fields: Any) -> NewRequest:
    """A request whose body tells its number; `fields` are others than usual."""
    source = fields.get("source", "site-form")
    usual = {
        "key": key(number),
        "source": source,
        "process": "deal-intake",
        "accepted_at": 1_000,
        "body": b'{"number":%d}' % number if body is None else body,
        "meta": b'{"source":"%s"}' % source.encode(),
    }
    return NewRequest(**(usual | fields))


def started(
    request: NewRequest,
    *,
    status: Status = "moving",
    ready_at: int | None = None,
    owned: bool = True,
    rows: int = 1,
) -> Acceptance:
    """The acceptance of a request that is released at once, with so many journal rows."""
    run = NewRun(request.key, VERSION, status, ready_at, owned)
    return Acceptance(
        request, run, [JournalRow(request.key, seq, b"entry %d" % seq) for seq in range(rows)]
    )


def ready(number: int, at: int = 0, *, source: str = "site-form") -> Acceptance:
    """The acceptance of a run that nobody owns and that is ready at `at`."""
    request = new_request(number, source=source)
    return started(request, status="waiting", ready_at=at, owned=False, rows=0)


def moving(number: int) -> Acceptance:
    """The acceptance of a run that the accepting node moves itself."""
    return started(new_request(number))


def held(number: int, source: str = "site-form", **how: Any) -> Acceptance:
    """The acceptance of a request that waits in its source's buffer."""
    return Acceptance(new_request(number, source=source, held=True, **how))


async def release(
    store: Store,
    limit: int,
    *,
    source: str = "site-form",
    version: int = VERSION,
    now: int = 5,
    process: str = "deal-intake",
    window: Window | None = None,
    due: Due | None = None,
) -> int:
    """Lets held requests of one process go; gives their number."""
    order = ReleaseOrder(source, {process: version}, limit, window, due)
    return (await store.release(order, now)).number


async def held_counts(store: Store, source: str | None = None) -> dict[str, int]:
    """How many requests each source holds."""
    return {name: count.number for name, count in (await store.held(source)).items()}


async def accept(store: Store, *acceptances: Acceptance) -> None:
    """Commits acceptances, none of which is a repeat."""
    answers = await store.commit(Batch(acceptances=list(acceptances)))
    assert answers == [None] * len(acceptances)


async def change(
    store: Store, number: int, status: Status, ready_at: int | None = None, *, owned: bool = False
) -> None:
    """Commits a change of one run's row."""
    await store.commit(Batch(changes=[RunChange(key(number), status, ready_at, owned)]))


async def claim(
    store: Store, now: int, limit: int, *, crashes: int = 0, max_bytes: int = ANY_SIZE
) -> list[StoredRun]:
    """Claims, and gives the runs."""
    return (await store.claim(now, limit, crashes=crashes, max_bytes=max_bytes)).runs


async def claimed(store: Store, now: int = 10_000, limit: int = 100, crashes: int = 0) -> list[int]:
    """Claims, and gives the numbers of the runs."""
    return numbers(run.key for run in await claim(store, now, limit, crashes=crashes))


def numbers(keys: object) -> list[int]:
    """The numbers behind keys."""
    return [int.from_bytes(item[:6], "big") for item in keys]  # type: ignore[attr-defined]

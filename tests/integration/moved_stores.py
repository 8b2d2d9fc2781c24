"""Stores to move: one with something of every kind, and all that the port shows of a store."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec

from beltline.engine.event_store import ExpectationFilter, OutsideEvent
from beltline.engine.ports import Store
from beltline.engine.records import (
    Batch,
    Expectation,
    JournalRow,
    NewRun,
    RunChange,
    RunFilter,
    StoredRun,
    TokenRecord,
)
from beltline.engine.verdict_store import Verdict
from beltline.stores import is_shared, open_store
from beltline.stores.postgres.sharing import Sharing
from beltline.stores.transfer.moving import Moved, move
from tests.conformance.store_rows import accept, held, key, moving, new_request, ready, started
from tests.servers.postgres import PostgresServer

LARGE = bytes(range(256)) * 4_096  # 1 MiB, with every byte there is
SOURCE = "заявки"
LONG_MS = 3_600_000
VALUES = (("notes", "ключ\x00 \U0001f600", b"\x00\xff"), ("", "", b""), ("notes", "z", LARGE))

VERDICT = Verdict(
    key(40),
    SOURCE,
    "refused",
    401,
    "unverified-sender",
    "подпись",
    of=key(10),
    meta=b"{}",
    size=3,
    content_type="text/plain",
    encoding="",
    body=b"\x00\xff{",
)

EVENTS = [
    OutsideEvent("e\x00", "сбой", "", 8, 10**14, 10**14, b"h", LARGE[:1_000]),
    OutsideEvent("e2", "paid", "1", 8, 10**14, 10**14, b"h", b"{}"),
]

NewUrl = Callable[[str], str]  # the address of a new store, of the kind that the test wants


def quiet(table: str, rows: int, what: str) -> None:
    """Nobody looks on."""


async def moved(old: str, new: str) -> Moved:
    """Moves into a store that need not survive a loss of power."""
    return await move(old, new, tell=quiet, durable=False)


def address(kind: str, name: str, server: PostgresServer, folder: Path) -> str:
    """Where a new store of this kind is for this test."""
    if kind == "sqlite":
        return f"sqlite:///{folder / name}.db"
    return server.database(f"{name}_{blake2b(bytes(folder), digest_size=8).hexdigest()}")


async def opened(url: str) -> Store:
    """The store as a node opens it; what an earlier one left without a word is taken over."""
    return await open_store(
        url, exclusive=not is_shared(url), durable=False, sharing=Sharing(lease_ms=0)
    )


async def fill(store: Store) -> None:
    """Something of every kind. Two runs, 10 and 11, are being moved at the end."""
    await store.join()
    await store.publish("deal-intake", "yaml", "steps: [] # шаги", 5)
    await store.publish("deal-intake", "json", '{"steps": []}', 6)
    lead = new_request(20, identity="lead \x00 \U0001f600", identity_until=9_000, body_hash=b"h")
    large = started(new_request(21, source=SOURCE, body=LARGE), rows=3)
    await accept(store, *(moving(number) for number in (10, 11, 12, 13, 14, 15, 16)))
    await accept(store, ready(1, 700), ready(2, 10**13), held(3), held(4), held(5, SOURCE))
    await accept(store, started(lead), large)
    # One that ended at once, without a node that moved it.
    await accept(
        store,
        started(new_request(22), status="completed", owned=False, rows=2),
    )
    await store.commit(
        Batch(
            journal=[JournalRow(key(12), 1, LARGE), JournalRow(key(12), 2, b"")],
            changes=[
                RunChange(key(12), "completed", None, owned=False),
                RunChange(key(13), "cancelled", None, owned=False),
                RunChange(key(14), "stopped", None, owned=False),
                RunChange(key(15), "parked", 900, owned=False),
                RunChange(key(16), "completed", None, owned=False),
                RunChange(key(20), "waiting", 800, owned=False),
                RunChange(key(21), "stopped", 950, owned=False),
            ],
        )
    )
    for number, body in ((14, b"retry"), (14, b"cancel"), (16, b"late"), (10, LARGE)):
        await store.post(key(number), body, 600)
    for space, name, value in VALUES:
        await store.put_value(space, name, value, None if space else 10**13)
    await store.put_token(TokenRecord(b"\x00t" * 16, "viewer", "стена", 7))
    await store.put_token(TokenRecord(b"u" * 32, "admin", "", 8))
    await store.set_source_state("site-form", "paused")
    await store.keep_verdicts([VERDICT, msgspec.structs.replace(VERDICT, key=key(41), body=None)])
    await store.settle_verdict(key(40), key(10), "анна")
    awaited = Expectation(key(30), "w", 1, "event", "оплата\x00", "17", 8)
    await store.commit(Batch(awaited=[awaited], awaited_no_more=[(key(30), "w", 1)]))
    for event in EVENTS:
        await store.give_event(event)
    await store.allow("portal", 2, 5, LONG_MS)
    await store.allow("portal", 1, 5, LONG_MS)
    nightly = started(new_request(30), status="waiting", ready_at=650, owned=False, rows=0)
    assert await store.fire("nightly", 500, nightly)


async def filled(url: str, *, cleanly: bool = True) -> None:
    """Makes a full store; cleanly, or as a kill would leave it."""
    store = await opened(url)
    await fill(store)
    if cleanly:
        await store.hand_over()
    await store.close()


async def seen(url: str) -> dict[str, Any]:
    """All that the port shows of a store without changing it."""
    store = await opened(url)
    try:
        records = await store.runs(RunFilter(), 200)
        return {
            "runs": [await store.run(record.key) for record in records],
            "counts": await store.counts(),
            "held": await store.held(None),
            "next": await store.next_ready_at(),
            "newest": await store.newest_versions(),
            "versions": [await store.version("deal-intake", number) for number in (1, 2)],
            "values": [await store.value(space, name, 0) for space, name, _ in VALUES],
            "expired": await store.value("", "", 10**13),
            "tokens": await store.tokens(),
            "states": await store.source_state(),
            "verdicts": [await store.verdict(key(number)) for number in (40, 41)],
            "fired": await store.fired_at("nightly"),
            "waits": await store.expectations(ExpectationFilter(), 10),
            "events": [await store.give_event(event) for event in EVENTS],
        }
    finally:
        await store.close()


def taken(number: int) -> NewRun:
    """A run for a request of this number."""
    return NewRun(key(number), 1, "waiting", 0, owned=False)


def numbers_of(runs: list[StoredRun]) -> list[int]:
    """The numbers behind runs."""
    return [int.from_bytes(run.key[:6]) for run in runs]

"""What every store promises of requests that started nothing."""

from __future__ import annotations

import msgspec

from beltline.engine.ports import Store
from beltline.engine.verdict_store import Outcome, Verdict, VerdictFilter
from tests.conformance.conftest import Reopen
from tests.conformance.store_rows import key


def verdict(
    number: int, source: str = "site-form", outcome: Outcome = "refused", body: bytes | None = b"{}"
) -> Verdict:
    return Verdict(
        key(number),
        source,
        outcome,
        status=401 if outcome == "refused" else 202,
        kind="unverified-sender" if outcome == "refused" else "",
        detail="Подпись не сходится",
        of=key(1) if outcome == "duplicate" else None,
        meta=b'{"headers":{}}',
        size=None if body is None else len(body),
        content_type="application/json",
        encoding="",
        body=body,
    )


async def listed(store: Store, filter: VerdictFilter, limit: int = 100) -> list[bytes]:
    return [one.key for one in await store.verdicts(filter, limit)]


async def test_a_verdict_is_kept_whole(store: Store, reopen: Reopen) -> None:
    refused = verdict(5, body=b"\x00\xff {")
    unread = verdict(6, body=None)
    repeat = verdict(7, outcome="duplicate")
    await store.keep_verdicts([refused, unread, repeat])
    store = await reopen(store)
    assert await store.verdict(key(5)) == refused
    assert await store.verdict(key(6)) == unread
    assert await store.verdict(key(7)) == repeat
    assert await store.verdict(key(8)) is None


async def test_verdicts_are_listed_without_their_bodies(store: Store) -> None:
    await store.keep_verdicts([verdict(5)])
    assert await store.verdicts(VerdictFilter(), 10) == [
        msgspec.structs.replace(verdict(5), body=None)
    ]


async def test_keeping_a_verdict_again_changes_nothing(store: Store) -> None:
    await store.keep_verdicts([])
    await store.keep_verdicts([verdict(5)])
    await store.settle_verdict(key(5), key(9), "anna")
    await store.keep_verdicts([verdict(5), verdict(6)])
    settled = msgspec.structs.replace(verdict(5), settled_as=key(9), settled_by="anna")
    assert await store.verdict(key(5)) == settled
    assert await store.verdict(key(6)) == verdict(6)


async def test_what_is_not_kept_is_not_settled(store: Store) -> None:
    await store.settle_verdict(key(5), key(9), "anna")
    assert await store.verdicts(VerdictFilter(), 10) == []


async def test_verdicts_are_listed_newest_first_by_source_outcome_and_time(store: Store) -> None:
    await store.keep_verdicts(
        [
            verdict(5),
            verdict(9, "calls"),
            verdict(7, outcome="duplicate"),
            verdict(6),
            verdict(8),
        ]
    )
    assert await listed(store, VerdictFilter()) == [key(n) for n in (9, 8, 7, 6, 5)]
    assert await listed(store, VerdictFilter(), 2) == [key(9), key(8)]
    assert await listed(store, VerdictFilter("site-form")) == [key(n) for n in (8, 7, 6, 5)]
    assert await listed(store, VerdictFilter(outcome="duplicate")) == [key(7)]
    assert await listed(store, VerdictFilter("site-form", "refused", before=key(8))) == [
        key(6),
        key(5),
    ]
    moment = int.from_bytes(key(7)[:6])
    assert await listed(store, VerdictFilter(since=moment)) == [key(n) for n in (9, 8, 7)]
    assert await listed(store, VerdictFilter(until=moment)) == [key(6), key(5)]


async def test_old_verdicts_and_those_beyond_the_newest_of_a_source_are_removed(
    store: Store,
) -> None:
    await store.keep_verdicts([verdict(number) for number in range(10, 20)])
    await store.keep_verdicts([verdict(number, "calls") for number in (10_001, 10_002, 10_003)])
    await store.keep_verdicts([verdict(20_000, "mail")])
    before = int.from_bytes(key(12)[:6])
    assert await store.purge_verdicts(before, 100, 1) == 1
    assert await store.purge_verdicts(before, 100, 100) == 1
    assert await store.purge_verdicts(before, 100, 100) == 0
    assert len(await listed(store, VerdictFilter("site-form"))) == 8
    assert await store.purge_verdicts(0, 2, 5) == 5
    assert await store.purge_verdicts(0, 2, 5) == 2
    assert await store.purge_verdicts(0, 2, 5) == 0
    assert await listed(store, VerdictFilter()) == [
        key(n) for n in (20_000, 10_003, 10_002, 19, 18)
    ]

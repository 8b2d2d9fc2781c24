"""What every store promises beside the belt: buffers, processes, lists, values, tokens, backups."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from beltline.core.run import Status
from beltline.engine.ports import NotFound, Store
from beltline.engine.records import (
    RunFilter,
    RunRecord,
    StoredRun,
    TokenRecord,
)
from tests.conformance.conftest import Reopen
from tests.conformance.store_kinds import KINDS, SERVERS
from tests.conformance.store_rows import (
    VERSION,
    accept,
    change,
    claim,
    claimed,
    held,
    held_counts,
    key,
    moving,
    new_request,
    numbers,
    ready,
    release,
    started,
)

# Buffers


async def test_release_gives_the_oldest_requests_of_a_source_a_run(store: Store) -> None:
    await accept(store, *(held(number) for number in (4, 1, 3, 2)), held(0, "other"))
    assert await held_counts(store) == {"site-form": 4, "other": 1}
    assert await release(store, 3, version=9, now=500) == 3
    assert await held_counts(store) == {"site-form": 1, "other": 1}
    assert await store.next_ready_at() == 500
    runs = await claim(store, 500, 9)
    assert numbers(run.key for run in runs) == [1, 2, 3]
    assert runs[0] == StoredRun(
        key(1), 9, 0, new_request(1).body, new_request(1).meta, entries=[], messages=[]
    )
    assert await release(store, 3, version=9, now=500) == 1
    assert await release(store, 3, version=9, now=500) == 0
    assert await release(store, 3, source="nowhere", version=9, now=500) == 0
    assert await held_counts(store, "site-form") == {}
    assert await held_counts(store, "other") == {"other": 1}


async def test_a_held_request_has_no_run(store: Store, reopen: Reopen) -> None:
    await accept(store, held(1))
    store = await reopen(store)
    await store.join()
    record, run = await store.run(key(1))
    assert run is None
    assert record == RunRecord(
        key=key(1),
        source="site-form",
        process="deal-intake",
        version_id=None,
        status="waiting",
        ready_at=None,
        accepted_at=1_000,
        owned=False,
        crashes=0,
    )
    assert await claimed(store, 10**15) == []
    assert await store.join() == 0


async def test_releasing_nothing_is_allowed(store: Store) -> None:
    await accept(store, held(1))
    assert await release(store, 0, version=9, now=0) == 0
    assert await held_counts(store) == {"site-form": 1}


# Processes


async def test_publish_numbers_the_versions_of_each_process(store: Store, reopen: Reopen) -> None:
    first = await store.publish("deal-intake", "yaml", "one", 10)
    second = await store.publish("deal-intake", "json", "two", 20)
    other = await store.publish("call-back", "yaml", "one", 30)
    assert [first.version, second.version, other.version] == [1, 2, 1]
    assert len({first.id, second.id, other.id}) == 3
    assert (second.process, second.format, second.text, second.published_at) == (
        "deal-intake",
        "json",
        "two",
        20,
    )
    assert first.hash != second.hash
    assert first.hash == other.hash
    store = await reopen(store)
    assert await store.newest_versions() == [other, second]
    assert await store.version("deal-intake", None) == second
    assert await store.version("deal-intake", 1) == first
    assert await store.version_by_id(first.id) == first


async def test_publishing_the_newest_text_again_gives_the_newest(store: Store) -> None:
    first = await store.publish("deal-intake", "yaml", "one", 10)
    assert await store.publish("deal-intake", "yaml", "one", 99) == first
    second = await store.publish("deal-intake", "yaml", "two", 20)
    third = await store.publish("deal-intake", "yaml", "one", 30)  # an older text is news again
    assert (second.version, third.version) == (2, 3)


async def test_a_definition_of_five_megabytes_is_kept(store: Store) -> None:
    text = "строка\n" * 400_000
    published = await store.publish("long", "yaml", text, 10)
    assert (await store.version_by_id(published.id)).text == text


async def test_versions_that_are_not_there(store: Store) -> None:
    published = await store.publish("deal-intake", "yaml", "one", 10)
    with pytest.raises(NotFound):
        await store.version("deal-intake", 2)
    with pytest.raises(NotFound):
        await store.version("other", None)
    with pytest.raises(NotFound):
        await store.version_by_id(published.id + 1)


# Reading


async def test_reading_a_run_does_not_take_it(store: Store) -> None:
    await accept(store, ready(1, 5))
    message = await store.post(key(1), b"hello", 5)
    record, run = await store.run(key(1))
    assert run is not None
    assert [found.id for found in run.messages] == [message]
    assert (record.owned, record.ready_at, record.version_id) == (False, 5, VERSION)
    assert await claimed(store, 5) == [1]
    with pytest.raises(NotFound):
        await store.run(key(2))


async def test_the_status_is_of_the_row_or_moving_while_the_run_is_owned(store: Store) -> None:
    await accept(store, started(new_request(1), status="waiting"))
    assert (await store.run(key(1)))[0].status == "moving"
    await change(store, 1, "parked", 7)
    assert (await store.run(key(1)))[0].status == "parked"
    await store.claim_one(key(1))
    record = (await store.run(key(1)))[0]
    assert (record.status, record.owned) == ("moving", True)


async def test_a_run_is_told_as_stopped_also_while_another_branch_of_it_moves(
    store: Store,
) -> None:
    await accept(store, moving(1), moving(2))
    await change(store, 1, "stopped", owned=True)
    record, _ = await store.run(key(1))
    assert (record.status, record.owned) == ("stopped", True)
    assert await store.runs(RunFilter(status="stopped"), 9) == [record]
    assert await listed(store, RunFilter(status="moving")) == [2]
    assert await store.counts() == {"ready": 0, "owned": 2, "held": 0, "stopped": 1}
    await store.join()
    assert await claimed(store, crashes=1) == [1, 2]
    assert await listed(store, RunFilter(status="stopped")) == [1]
    await change(store, 1, "moving", owned=True)  # a person has mended it
    assert await listed(store, RunFilter(status="stopped")) == []
    assert (await store.counts())["stopped"] == 0


async def test_runs_are_listed_newest_first_in_pages(store: Store) -> None:
    await accept(store, *(moving(number) for number in (3, 1, 5)), held(4), held(2))
    page = await store.runs(RunFilter(), 2)
    assert numbers(record.key for record in page) == [5, 4]
    page = await store.runs(RunFilter(before=page[-1].key), 2)
    assert numbers(record.key for record in page) == [3, 2]
    page = await store.runs(RunFilter(before=page[-1].key), 2)
    assert numbers(record.key for record in page) == [1]


async def listed(store: Store, filter: RunFilter) -> list[int]:
    return numbers(record.key for record in await store.runs(filter, 99))


async def test_runs_are_filtered_by_source_process_and_time(store: Store) -> None:
    await accept(
        store,
        started(new_request(1, source="a", process="p", accepted_at=10)),
        started(new_request(2, source="a", process="q", accepted_at=20)),
        started(new_request(3, source="b", process="q", accepted_at=30)),
    )
    assert await listed(store, RunFilter(source="a")) == [2, 1]
    assert await listed(store, RunFilter(process="q")) == [3, 2]
    assert await listed(store, RunFilter(source="a", process="q")) == [2]
    assert await listed(store, RunFilter(since=20)) == [3, 2]
    assert await listed(store, RunFilter(until=20)) == [1]
    assert await listed(store, RunFilter(since=20, until=30)) == [2]
    assert await listed(store, RunFilter(process="q", before=key(3))) == [2]
    assert await listed(store, RunFilter(process="nothing")) == []


async def test_runs_are_filtered_by_the_status_that_the_list_shows(store: Store) -> None:
    statuses: list[Status] = ["cancelled", "stopped", "moving", "parked", "waiting", "completed"]
    for number, status in enumerate(statuses):
        await accept(store, moving(number), moving(10 + number))
        await change(store, number, status)
        await change(store, 10 + number, status, owned=True)
    await accept(store, held(20))
    for number, status in enumerate(statuses):
        found = await store.runs(RunFilter(status=status), 99)
        assert {record.status for record in found} == {status}
        expected = [number]
        if status == "waiting":
            expected = [20, number]
        if status == "moving":
            expected = [15, 14, 13, 12, number]  # owned, whatever else the row says
        if status in ("cancelled", "stopped"):
            expected = [10 + number, number]
        assert numbers(record.key for record in found) == expected
    await accept(store, moving(30), moving(31))
    await change(store, 30, "stopped")
    await change(store, 31, "stopped")
    stopped = RunFilter(status="stopped", before=key(31))
    assert numbers(record.key for record in await store.runs(stopped, 1)) == [30]


async def test_counts_follow_the_runs(store: Store) -> None:
    assert await store.counts() == {"ready": 0, "owned": 0, "held": 0, "stopped": 0}
    await accept(store, moving(1), moving(2), ready(3, 10**15), held(4), held(5), held(6))
    assert await store.counts() == {"ready": 1, "owned": 2, "held": 3, "stopped": 0}
    await change(store, 1, "stopped")
    await change(store, 2, "completed")
    await release(store, 1, version=VERSION, now=0)
    assert await store.counts() == {"ready": 2, "owned": 0, "held": 2, "stopped": 1}
    await store.claim_one(key(1))
    assert await store.counts() == {"ready": 2, "owned": 1, "held": 2, "stopped": 1}


# Values, tokens, sources


async def test_values_are_remembered_until_they_expire(store: Store, reopen: Reopen) -> None:
    await store.put_value("deals", "a", b"1", None)
    await store.put_value("deals", "b", b"2", 100)
    await store.put_value("other", "a", b"3", None)
    store = await reopen(store)
    assert await store.value("deals", "a", 10**15) == b"1"
    assert await store.value("other", "a", 0) == b"3"
    assert await store.value("deals", "b", 99) == b"2"
    assert await store.value("deals", "b", 100) is None
    assert await store.value("deals", "c", 0) is None


async def test_values_are_kept_for_callers_in_other_loops_too(store: Store) -> None:
    async def remember() -> bytes | None:
        await store.put_value("space", "key", b"1", None)
        return await store.value("space", "key", 0)

    found = await asyncio.gather(*(asyncio.to_thread(asyncio.run, remember()) for _ in range(8)))
    assert found == [b"1"] * 8
    assert await store.delete_value("space", "key", 0)


async def test_a_value_takes_the_place_of_the_one_before(store: Store) -> None:
    await store.put_value("deals", "a", b"1", 100)
    await store.put_value("deals", "a", b"2", None)
    assert await store.value("deals", "a", 1_000) == b"2"
    await store.put_value("deals", "a", b"3", 100)
    assert await store.value("deals", "a", 1_000) is None


async def test_who_came_first_is_told_to_all(store: Store, reopen: Reopen) -> None:
    async def put(value: bytes, until: int | None, now: int) -> bytes:
        return await store.put_value_if_absent("seen", "a", value, until, now)

    assert await put(b"1", 100, 0) == b"1"
    assert await put(b"2", 200, 99) == b"1"
    store = await reopen(store)
    assert await store.value("seen", "a", 99) == b"1"
    assert await put(b"3", 200, 100) == b"3"
    assert await put(b"4", None, 199) == b"3"
    assert await put(b"5", None, 200) == b"5"
    assert await put(b"6", 1, 10**15) == b"5"
    await store.delete_value("seen", "a", 0)
    assert await put(b"7", 1, 0) == b"7"


async def test_one_of_many_at_once_is_the_first(store: Store) -> None:
    puts = (store.put_value_if_absent("seen", "a", b"%d" % number, None, 0) for number in range(50))
    answers = await asyncio.gather(*puts)
    assert len(set(answers)) == 1
    assert answers[0] == await store.value("seen", "a", 0)


async def test_forgetting_tells_whether_there_was_a_value(store: Store) -> None:
    await store.put_value("deals", "a", b"1", None)
    await store.put_value("deals", "b", b"2", 100)
    await store.put_value("deals", "c", b"3", 100)
    assert await store.delete_value("deals", "a", 0) is True
    assert await store.delete_value("deals", "a", 0) is False
    assert await store.delete_value("deals", "b", 99) is True
    assert await store.delete_value("deals", "c", 100) is False
    assert await store.value("deals", "a", 0) is None


async def test_all_of_a_space_is_read_at_once(store: Store) -> None:
    await store.put_value("deals", "a", b"1", None)
    await store.put_value("deals", "ключ ' %", b"2", 100)
    await store.put_value("deals2", "c", b"3", None)
    assert await store.values("deals", 99) == {"a": b"1", "ключ ' %": b"2"}
    assert await store.values("deals", 100) == {"a": b"1"}
    assert await store.values("none", 0) == {}


async def test_purging_removes_expired_values_only(store: Store) -> None:
    for number in range(5):
        await store.put_value("deals", f"{number}", b"0", 100 + number)
    await store.put_value("deals", "kept", b"0", None)
    assert await store.purge_values(103, 3) == 3
    assert await store.purge_values(103, 3) == 1
    assert await store.purge_values(103, 3) == 0
    assert await store.value("deals", "4", 0) == b"0"
    assert await store.value("deals", "kept", 0) == b"0"
    assert await store.value("deals", "0", 0) is None  # gone, not only expired


async def test_tokens_are_kept(store: Store, reopen: Reopen) -> None:
    assert await store.tokens() == []
    admin = TokenRecord(b"\x01" * 32, "admin", "first start", 10)
    viewer = TokenRecord(b"\x00" * 32, "viewer", "wall screen", 20)
    await store.put_token(viewer)
    await store.put_token(admin)
    store = await reopen(store)
    assert sorted(await store.tokens(), key=lambda token: token.created_at) == [admin, viewer]


async def test_what_people_set_on_sources_is_kept(store: Store, reopen: Reopen) -> None:
    assert await store.source_state() == {}
    await store.set_source_state("site-form", "paused")
    await store.set_source_state("calls", "paused")
    await store.set_source_state("calls", "released")
    store = await reopen(store)
    assert await store.source_state() == {"site-form": "paused", "calls": "released"}


# The whole


async def test_a_backup_is_a_whole_store(store: Store, kind: str, tmp_path: Path) -> None:
    await accept(store, moving(1), held(2))
    await store.publish("deal-intake", "yaml", "one", 10)
    await store.post(key(1), b"hello", 0)
    folder = tmp_path / "copy"
    folder.mkdir()
    await store.backup(str(folder / "hub.db"))
    await accept(store, moving(3))
    copy = await KINDS["sqlite" if kind in SERVERS else kind](folder)  # a file, in either case
    try:
        assert await copy.run(key(1)) == await store.run(key(1))
        assert await copy.newest_versions() == await store.newest_versions()
        assert await held_counts(copy) == {"site-form": 1}
        with pytest.raises(NotFound):
            await copy.run(key(3))
    finally:
        await copy.close()


async def test_a_backup_never_writes_over_a_file(store: Store, tmp_path: Path) -> None:
    target = tmp_path / "kept.txt"
    target.write_text("mine")
    with pytest.raises(FileExistsError):
        await store.backup(str(target))
    assert target.read_text() == "mine"


async def test_closing_finishes_what_is_under_way(store: Store, reopen: Reopen) -> None:
    await accept(store, ready(1, 4), ready(2, 3))
    posted = asyncio.ensure_future(store.post(key(1), b"hello", 4))
    claiming = asyncio.ensure_future(claim(store, 5, 1))
    await asyncio.sleep(0)  # both have asked
    store = await reopen(store)
    assert await posted == 1
    assert numbers(run.key for run in await claiming) == [2]
    _, run = await store.run(key(1))
    assert run is not None
    assert [message.body for message in run.messages] == [b"hello"]
    assert await store.join() == 1


async def test_closing_twice_is_safe_and_calls_after_it_are_refused(store: Store) -> None:
    await store.close()
    await store.close()
    with pytest.raises(RuntimeError, match="closed"):
        await store.counts()

"""The book of processes: published when they check, kept when they do not, loaded when needed."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from random import Random
from typing import Any, TypeVar

import pytest

from beltline.core.expression import Scope
from beltline.definition.process import Checked, read_process
from beltline.engine import processes as processes_file
from beltline.engine.loader import VersionUnusable
from beltline.engine.ports import NotFound
from beltline.engine.processes import CompiledVersions, ProcessBook, Refusal
from beltline.engine.records import StoredVersion
from tests.simulation.disk import Disk
from tests.simulation.folder_store import asyncio_store
from tests.simulation.ports import SimulatedClock
from tests.simulation.scheduler import Scheduler
from tests.simulation.store import Moment, SimulatedStore
from tests.simulation.workload import Shelf, step

GOOD = json.dumps({"process": "line", "steps": [step("a", next_=["b"]), step("b")]})
BETTER = json.dumps({"process": "line", "steps": [step("a")]})
BROKEN = json.dumps({"process": "line", "steps": [step("a", next_=["nowhere"])]})


# Bare paths only: a compiled JSONata expression belongs to the thread that made it.
PLAIN = json.dumps({"process": "line", "steps": [step("a", with_={"n": "{{ request.n }}"})]})
T = TypeVar("T")


def book(disk: Disk, **named: Any) -> ProcessBook:
    clock = SimulatedClock(Scheduler(Random(0)))
    return ProcessBook(asyncio_store(disk), Shelf(), (), clock, **named)


class Aside:
    """Where definitions are to be read; counts what is carried out."""

    def __init__(self) -> None:
        self.works = 0

    async def __call__(self, work: Callable[[], T], /) -> T:
        self.works += 1
        return work()


class SlowAnswers:
    """A store whose first change becomes durable at once, and is answered when `go_on` is set."""

    def __init__(self, disk: Disk) -> None:
        self.clock = SimulatedClock(Scheduler(Random(0)))
        self.store = SimulatedStore(disk, self._pause)
        self.go_on = asyncio.Event()
        self._is_durable = asyncio.Event()

    async def held_back(self) -> None:
        """Returns when the first change is durable and its answer is held back."""
        await self._is_durable.wait()

    async def _pause(self, moment: Moment) -> None:
        if moment == "durable" and not self._is_durable.is_set():
            self._is_durable.set()
            await self.go_on.wait()


async def test_a_definition_that_checks_is_the_newest_version() -> None:
    processes = book(Disk())
    stored, findings = await processes.publish("line", GOOD, "json", "line.json")
    assert (stored.version, findings) == (1, [])
    id, process = processes.newest("line")
    assert (id, list(process.steps), process.version) == (stored.id, ["a", "b"], 1)


async def test_the_same_text_is_the_same_version() -> None:
    processes = book(Disk())
    first, _ = await processes.publish("line", GOOD, "json", "line.json")
    again, _ = await processes.publish("line", GOOD, "json", "line.json")
    assert again == first


async def test_a_new_version_leaves_the_old_one_to_its_runs() -> None:
    processes = book(Disk())
    first, _ = await processes.publish("line", GOOD, "json", "line.json")
    second, _ = await processes.publish("line", BETTER, "json", "line.json")
    assert processes.newest("line")[0] == second.id
    assert list((await processes.by_id(first.id)).steps) == ["a", "b"]


async def test_a_broken_definition_is_refused_with_its_place_and_changes_nothing() -> None:
    processes = book(Disk())
    first, _ = await processes.publish("line", GOOD, "json", "line.json")
    with pytest.raises(Refusal, match=r"line\.json:1:\d+: .*nowhere") as refused:
        await processes.publish("line", BROKEN, "json", "line.json")
    assert refused.value.findings
    assert processes.newest("line")[0] == first.id


async def test_published_versions_are_there_after_a_start() -> None:
    disk = Disk()
    await book(disk).publish("line", GOOD, "json", "line.json")
    later = book(disk)
    assert await later.load() == {}
    assert later.names() == ["line"]
    assert list(later.newest("line")[1].steps) == ["a", "b"]
    assert await later.by_id(1) is later.newest("line")[1]


async def test_a_version_that_does_not_check_any_more_is_told_and_harms_no_other() -> None:
    disk = Disk()
    await book(disk).publish("line", GOOD, "json", "line.json")
    disk.versions.append(StoredVersion(2, "old", 1, "json", BROKEN, "", 0))
    later = book(disk)
    assert "nowhere" in (await later.load())["old"]
    assert later.names() == ["line", "old"]
    with pytest.raises(VersionUnusable, match="nowhere"):
        later.newest("old")
    with pytest.raises(VersionUnusable, match="nowhere"):
        await later.by_id(2)


async def test_what_is_not_there_is_named() -> None:
    processes = book(Disk())
    with pytest.raises(NotFound, match="'line'"):
        processes.newest("line")
    with pytest.raises(VersionUnusable, match="7"):
        await processes.by_id(7)


async def test_what_another_program_published_is_noticed() -> None:
    disk = Disk()
    here = book(disk)
    await here.publish("line", GOOD, "json", "line.json")
    other = book(disk)
    second, _ = await other.publish("line", BETTER, "json", "line.json")
    await other.publish("new", GOOD.replace('"line"', '"new"'), "json", "new.json")
    assert here.newest("line")[1].version == 1
    assert await here.refresh() == {}
    assert here.newest("line") == (second.id, await here.by_id(second.id))
    assert list(here.newest("line")[1].steps) == ["a"]
    assert here.names() == ["line", "new"]


async def test_an_unusable_version_of_another_program_leaves_the_last_good_one() -> None:
    disk = Disk()
    here = book(disk)
    first, _ = await here.publish("line", GOOD, "json", "line.json")
    disk.versions.append(StoredVersion(2, "line", 2, "json", BROKEN, "", 0))
    assert "nowhere" in (await here.refresh())["line"]
    assert here.newest("line")[0] == first.id
    assert await here.refresh() == {}  # told once
    third, _ = await book(disk).publish("line", BETTER, "json", "line.json")
    assert await here.refresh() == {}
    assert here.newest("line")[0] == third.id


async def test_only_what_is_new_is_read_again() -> None:
    aside = Aside()
    processes = book(Disk(), run_aside=aside)
    await processes.publish("line", GOOD, "json", "line.json")
    for _ in range(3):
        await processes.refresh()
        await processes.by_id(1)
    assert aside.works == 1  # the reading that publishing took


async def test_definitions_are_read_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = set()

    def read(*args: Any, **named: Any) -> Checked:
        threads.add(threading.get_ident())
        return read_process(*args, **named)

    monkeypatch.setattr(processes_file, "read_process", read)
    disk = Disk()
    await book(disk, run_aside=asyncio.to_thread).publish("line", PLAIN, "json", "line.json")
    await book(disk, run_aside=asyncio.to_thread).load()
    await book(disk, run_aside=asyncio.to_thread).by_id(1)
    with pytest.raises(Refusal):
        await book(disk, run_aside=asyncio.to_thread).publish("line", BROKEN, "json", "line.json")
    assert threads
    assert threading.get_ident() not in threads


async def test_many_who_ask_for_one_version_have_it_read_once() -> None:
    disk = Disk()
    await book(disk).publish("line", PLAIN, "json", "line.json")
    later = book(disk, run_aside=asyncio.to_thread)
    asked = await asyncio.gather(*(later.by_id(1) for _ in range(20)))
    assert len({id(process) for process in asked}) == 1


async def test_the_later_of_two_versions_stands_whichever_is_done_first() -> None:
    disk = Disk()
    slow = SlowAnswers(disk)
    processes = ProcessBook(slow.store, Shelf(), (), slow.clock)
    first = asyncio.create_task(processes.publish("line", GOOD, "json", "line.json"))
    await slow.held_back()
    second, _ = await processes.publish("line", BETTER, "json", "line.json")
    slow.go_on.set()
    await first
    assert processes.newest("line")[0] == second.id == 2


async def test_compiled_versions_are_kept_within_their_limit() -> None:
    disk = Disk()
    writer = book(disk)
    for number in range(5):
        text = GOOD.replace('"line"', f'"line{number}"')
        await writer.publish(f"line{number}", text, "json", f"line{number}.json")
    compiled = CompiledVersions(steps_most=4)
    processes = {number: await writer.by_id(number) for number in range(1, 6)}
    for number in (1, 2):
        compiled.put(number, processes[number])
    assert compiled.get(1) is processes[1]
    compiled.put(3, processes[3])
    assert [compiled.get(number) for number in (1, 2, 3)] == [processes[1], None, processes[3]]
    for _ in range(9):
        compiled.put(3, processes[3])
    assert len(compiled) == 2


async def test_a_version_larger_than_the_limit_is_kept_while_it_is_the_last() -> None:
    disk = Disk()
    await book(disk).publish("line", GOOD, "json", "line.json")
    compiled = CompiledVersions(steps_most=1)
    process = await book(disk).by_id(1)
    compiled.put(1, process)
    assert compiled.get(1) is process


async def test_the_newest_versions_stay_compiled_whatever_else_is_used() -> None:
    aside = Aside()
    disk = Disk()
    processes = book(disk, run_aside=aside, steps_most=1)
    for text in (GOOD, BETTER):
        await processes.publish("line", text, "json", "line.json")
    works = aside.works
    await processes.by_id(1)  # an old one is read again
    assert aside.works == works + 1
    assert await processes.by_id(2) is processes.newest("line")[1]
    assert aside.works == works + 1


async def test_what_is_read_aside_can_be_evaluated_here() -> None:
    text = json.dumps(
        {"process": "line", "steps": [step("a", with_={"n": "{{ $uppercase(request.n) & '!' }}"})]}
    )
    processes = book(Disk(), run_aside=asyncio.to_thread)
    await processes.publish("line", text, "json", "line.json")
    template = processes.newest("line")[1].steps["a"].input
    assert template.resolve({"request": {"n": "x"}}, Scope(0, "run", 0)) == {"n": "X!"}

"""The book of processes: published when they check, kept when they do not, loaded when needed."""

from __future__ import annotations

import json
from random import Random

import pytest

from beltline.engine.loader import VersionUnusable
from beltline.engine.ports import NotFound, StoredVersion
from beltline.engine.processes import ProcessBook, Refusal
from tests.simulation.disk import Disk
from tests.simulation.ports import SimulatedClock
from tests.simulation.scheduler import Scheduler
from tests.simulation.store import asyncio_store
from tests.simulation.workload import Shelf, step

GOOD = json.dumps({"process": "line", "steps": [step("a", next_=["b"]), step("b")]})
BETTER = json.dumps({"process": "line", "steps": [step("a")]})
BROKEN = json.dumps({"process": "line", "steps": [step("a", next_=["nowhere"])]})


def book(disk: Disk) -> ProcessBook:
    return ProcessBook(asyncio_store(disk), Shelf(), (), SimulatedClock(Scheduler(Random(0))))


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

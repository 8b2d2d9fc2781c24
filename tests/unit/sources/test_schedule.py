"""A schedule fires each of its times once, whatever stops in between. Time is virtual."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from beltline.core.explanation import moment
from beltline.core.limits import LIMITS, PRODUCTION
from beltline.core.model import Process
from beltline.definition.schedule import ScheduleWay
from beltline.definition.source import Source, read_source
from beltline.engine.backlogs import Backlogs
from beltline.engine.fresh import Fresh
from beltline.engine.ids import id_of
from beltline.engine.ports import NotFound
from beltline.engine.records import RunFilter
from beltline.engine.verdicts import Verdicts
from beltline.sources.door import Door
from beltline.sources.firing import Firing
from beltline.sources.notes import Notes
from beltline.sources.reception import NoProcess, Reception
from beltline.sources.refusal import RequestRefused
from beltline.sources.schedule import LATE_MS, ScheduleFeed
from tests.simulation.ports import SimulatedBell
from tests.unit.engine.desk import Desk

MINUTE = 60_000
HOUR = 60 * MINUTE
HEAD = "source: clock\nkind: schedule\nprocess: line\n"
START = int(datetime(2025, 10, 25, 8, 59, 30, tzinfo=UTC).timestamp() * 1_000)
NINE = 'cron: "0 9 * * *"\ntimezone: UTC\n'


def source_of(rest: str) -> Source:
    checked = read_source(HEAD + rest, name="clock", file="clock.yaml", processes=None)
    assert checked.source is not None, checked.findings
    return checked.source


class Clockwork:
    """A desk with a schedule on it; `start` may be called again after `desk.crash`."""

    def __init__(self, rest: str, *, start: int = START) -> None:
        self.desk = Desk(limits=PRODUCTION)
        self.desk.scheduler.now = start
        self.rest = rest
        self.held = False
        self.without_process = False
        self.woken = 0

    def door(self) -> Door:
        async def states() -> dict[str, str]:
            return {"clock": "paused"} if self.held else {}

        desk = self.desk

        def newest(name: str) -> tuple[int, Process]:
            if self.without_process:
                raise NotFound("there is no process 'line'")
            return 1, desk.processes[1]

        source = source_of(self.rest)
        reception = Reception(
            desk.store,
            desk.node.intake,
            newest,
            Fresh(states, desk.clock),
            Backlogs(desk.store, desk.clock),
        )
        new_key, holds = reception.new_key, reception.holds_back
        firing = Firing(source, desk.store, new_key, newest, holds, desk.limits)
        bell = SimulatedBell(desk.scheduler, desk.clock)
        verdicts = Verdicts(desk.store, desk.clock, bell, lambda *told: None, desk.limits)
        notes = Notes(verdicts, desk.limits)
        return Door(source, reception, firing, desk.store, desk.clock, notes, desk.limits)

    def begin(self) -> Door:
        """One more node's feed of the schedule."""
        door, desk = self.door(), self.desk
        way = door.source.way
        assert isinstance(way, ScheduleWay)
        bell = SimulatedBell(desk.scheduler, desk.clock)
        feed = ScheduleFeed(way, door, desk.clock, bell, self.wake)
        desk.scheduler.spawn("feed", feed.run(), is_inside=True)
        desk.settle()
        return door

    def wake(self) -> None:
        self.woken += 1
        self.desk.node.loader.expect(self.desk.clock.now())

    def wait(self, ms: int) -> None:
        self.desk.wait(ms)

    def restart_after(self, ms: int) -> None:
        """The node is killed, and another one comes after a while."""
        self.desk.crash()
        self.desk.scheduler.now += ms
        self.desk.start()
        self.begin()

    def fired(self) -> list[str]:
        """The due times of all requests that were brought, in order."""
        records = self.desk.run(self.desk.store.runs(RunFilter(), 200))
        metas = [self.meta(record.key) for record in records]
        return sorted(str(meta["due"]) for meta in metas)

    def meta(self, key: bytes) -> dict[str, Any]:
        held = self.desk.disk.requests[key]
        meta: dict[str, Any] = json.loads(held.meta)
        return meta


def at(after_ms: int) -> str:
    return moment(START + after_ms)


def ms(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp() * 1_000)  # type: ignore[misc,arg-type]


def test_a_time_fires_once_and_its_run_starts() -> None:
    work = Clockwork('cron: "0,20 9 * * *"\ntimezone: UTC\n')
    work.begin()
    work.wait(29_999)
    assert work.fired() == []
    work.wait(1)
    assert work.fired() == [at(30_000)]
    assert work.desk.called == ["a"]
    work.wait(20 * MINUTE - 1)
    assert len(work.fired()) == 1
    work.wait(1)
    assert work.fired() == [at(30_000), at(30_000 + 20 * MINUTE)]


def test_the_first_start_fires_nothing_of_the_past() -> None:
    work = Clockwork(NINE, start=START + HOUR)
    work.begin()
    work.wait(HOUR)
    assert work.fired() == []


def test_of_several_nodes_one_fires_each_time() -> None:
    work = Clockwork("every: 10m\n")
    for _ in range(4):
        work.begin()
    work.wait(HOUR)
    assert work.fired() == [at(10 * MINUTE * n) for n in range(1, 7)]


def test_an_interval_is_counted_from_the_last_time_also_after_a_restart() -> None:
    work = Clockwork("every: 10m\n")
    work.begin()
    work.wait(12 * MINUTE)
    work.restart_after(5 * MINUTE)
    work.wait(4 * MINUTE)
    assert work.fired() == [at(10 * MINUTE), at(20 * MINUTE)]


@pytest.mark.parametrize(
    ("missed", "due"),
    [
        ("skip", [1]),
        ("once", [1, 5]),
        ("all", [1, 2, 3, 4, 5]),
    ],
)
def test_missed_times(missed: str, due: list[int]) -> None:
    work = Clockwork(f"every: 10m\nmissed: {missed}\n")
    work.begin()
    work.wait(12 * MINUTE)
    work.restart_after(42 * MINUTE)  # it is 54 minutes after the start: four times were missed
    assert work.fired() == [at(10 * MINUTE * n) for n in due]
    work.wait(10 * MINUTE)
    assert work.fired() == [at(10 * MINUTE * n) for n in [*due, 6]]


def test_a_time_before_the_first_fire_is_missed_too() -> None:
    work = Clockwork(NINE)
    work.begin()
    work.wait(MINUTE // 4)
    work.restart_after(HOUR)
    assert work.fired() == [at(30_000)]


def test_a_restart_within_a_minute_is_in_time_also_for_skip() -> None:
    work = Clockwork(NINE + "missed: skip\n")
    work.begin()
    work.restart_after(30_000 + LATE_MS)
    assert work.fired() == [at(30_000)]
    late = Clockwork(NINE + "missed: skip\n")
    late.begin()
    late.restart_after(30_001 + LATE_MS)
    assert late.fired() == []


def test_all_of_a_long_outage_is_bounded_and_the_newest() -> None:
    work = Clockwork("every: 1s\nmissed: all\n")
    work.begin()
    work.restart_after(2 * HOUR)
    begun = 7_200 - LIMITS.schedule_missed
    keys = list(work.desk.disk.requests)
    dues = sorted(work.meta(key)["due"] for key in keys)
    assert dues == [at(1_000 * n) for n in range(begun + 1, 7_201)]


def test_a_changed_schedule_owes_nothing_of_the_time_before() -> None:
    work = Clockwork(NINE)
    work.begin()
    work.wait(MINUTE)
    work.rest = 'cron: "*/5 * * * *"\ntimezone: UTC\nmissed: all\n'
    work.restart_after(2 * HOUR)
    assert work.fired() == [at(30_000)]
    work.wait(5 * MINUTE)
    assert len(work.fired()) == 2


def test_clocks_put_back_and_forward() -> None:
    """In Berlin 2:30 came twice on 26 October 2025, and not at all on 30 March 2025."""
    berlin = 'cron: "30 2 * * *"\ntimezone: Europe/Berlin\n'
    autumn = Clockwork(berlin, start=ms(2025, 10, 26, 0, 20))
    autumn.begin()
    autumn.wait(90 * MINUTE)
    assert autumn.fired() == ["2025-10-26T00:30:00.000+00:00"]
    spring = Clockwork(berlin, start=ms(2025, 3, 30, 0, 50))
    spring.begin()
    spring.wait(HOUR)
    assert spring.fired() == ["2025-03-30T01:00:00.000+00:00"]


def test_what_is_held_has_no_run() -> None:
    work = Clockwork("every: 10m\n")
    work.held = True
    work.begin()
    work.wait(10 * MINUTE)
    [record] = work.desk.run(work.desk.store.runs(RunFilter(), 2))
    assert record.version_id is None
    assert work.desk.called == []


def test_the_request_is_made_of_meta() -> None:
    work = Clockwork('every: 10m\nrequest: {day: "{{ $substring(meta.due, 0, 10) }}", n: 7}\n')
    work.begin()
    work.wait(10 * MINUTE)
    [request] = work.desk.disk.requests.values()
    assert json.loads(request.body) == {"day": "2025-10-25", "n": 7}
    meta = json.loads(request.meta)
    assert meta["id"] == id_of(request.key)
    assert (meta["source"], meta["due"]) == ("clock", at(10 * MINUTE))


def test_by_hand_the_times_stay_what_they_are() -> None:
    work = Clockwork("every: 10m\n")
    door = work.begin()
    work.wait(9 * MINUTE)
    first = work.desk.run(door.firing.fire_now())
    second = work.desk.run(door.firing.fire_now())
    assert first.key != second.key
    work.wait(MINUTE)
    assert work.fired() == [at(9 * MINUTE), moment(START + 9 * MINUTE + 1), at(10 * MINUTE)]


def test_what_cannot_be_fired_says_why_and_stays_due() -> None:
    nothing = Clockwork('every: 10m\nrequest: "{{ meta.nothing }}"\n')
    with pytest.raises(RequestRefused, match="gives nothing"):
        nothing.desk.run(nothing.door().firing.fire(START))
    work = Clockwork("every: 10m\n")
    work.without_process = True
    firing = work.door().firing
    with pytest.raises(NoProcess, match="there is no process"):
        work.desk.run(firing.fire(START))
    assert work.fired() == []
    work.without_process = False
    assert work.desk.run(firing.fire(START)) is not None
    assert work.desk.run(firing.fire(START)) is None

"""Held requests go in their time: by rates, hours, due times, in order, many as one, too late."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest

from beltline.core.events import Journal
from beltline.definition.source import Source, read_source
from beltline.engine.buffers import Buffers
from beltline.engine.ids import id_of
from beltline.engine.records import HeldFilter
from beltline.engine.work import Accepted
from tests.conformance.store_rows import held_counts
from tests.unit.engine.desk import Desk

MINUTE_MS = 60_000
HEAD = "source: form\nkind: webhook\nprocess: line\nverify: none\n"


def source(text: str) -> Source:
    checked = read_source(HEAD + text, name="form", file="form.yaml", processes=None)
    assert checked.source is not None, checked.findings
    return checked.source


def desk_with(text: str) -> Desk:
    desk = Desk()
    desk.sources["form"] = source(text)
    desk.wait(1_000)  # the releaser has seen it
    return desk


def hold(desk: Desk, number: int, **how: Any) -> list[bytes]:
    """Holds so many requests; gives their keys."""
    keys = []
    for n in range(number):
        answer = desk.submit({"n": n}, held=True, **how)
        assert isinstance(answer, Accepted)
        assert answer.held
        keys.append(answer.key)
    return keys


def waiting(desk: Desk) -> int:
    counts: dict[str, int] = desk.run(held_counts(desk.store))
    return counts.get("form", 0)


def releases(desk: Desk, keys: list[bytes]) -> list[int]:
    """When each of these runs was put on the belt, in virtual milliseconds."""
    return sorted(
        Journal.decode(desk.disk.journal[key][0].entry).at
        for key in keys
        if key in desk.disk.journal
    )


def most_in_a_window(times: list[int], length: int) -> int:
    return max((sum(at <= other < at + length for other in times) for at in times), default=0)


def test_at_most_so_many_go_in_any_time_of_that_length() -> None:
    desk = desk_with("release: {at_most: 3, every: 1m}")
    keys = hold(desk, 8)
    assert waiting(desk) == 5
    desk.wait(MINUTE_MS - 2)
    assert waiting(desk) == 5
    desk.wait(1_000)
    assert waiting(desk) == 2
    desk.wait(MINUTE_MS)
    assert waiting(desk) == 0
    times = releases(desk, keys)
    assert len(times) == 8
    assert most_in_a_window(times, MINUTE_MS) == 3


def test_a_rate_is_reached_whatever_a_look_at_the_store_takes() -> None:
    # A look just before a window has room ends just after it: the next one must not be a second
    # later, or a rate by the second is one by two.
    desk = desk_with("release: {at_most: 3, every: 1s}")
    hold(desk, 33)
    assert waiting(desk) == 30
    desk.store_ms = 9
    desk.wait(10_900)
    desk.store_ms = 0
    assert waiting(desk) == 0


def test_what_is_spread_goes_one_by_one() -> None:
    desk = desk_with("release: {at_most: 6, every: 1m, spread: true}")
    keys = hold(desk, 7)
    for left in range(6, -1, -1):
        assert waiting(desk) == left
        desk.wait(10_001)
    times = releases(desk, keys)
    assert min(later - at for at, later in pairwise(times)) >= 10_000


def test_a_due_time_lets_those_go_that_waited_for_it() -> None:
    desk = desk_with('release: {schedule: "0 * * * *", timezone: UTC, at_most: 2}')
    hold(desk, 3)
    assert waiting(desk) == 3
    to_hour = -desk.clock.now() % 3_600_000
    desk.wait(to_hour + 1_000)
    assert waiting(desk) == 1
    hold(desk, 1)
    desk.wait(10 * MINUTE_MS)
    assert waiting(desk) == 2
    desk.wait(3_600_000)
    assert waiting(desk) == 0


def test_within_hours_all_go_and_outside_none() -> None:
    desk = desk_with("release: {hours: Mon-Sun 9:00-10:00, timezone: UTC}")
    day = 86_400_000
    desk.wait(-desk.clock.now() % day + 10 * 3_600_000)  # closed
    hold(desk, 2)
    desk.wait(22 * 3_600_000)
    assert waiting(desk) == 2
    desk.wait(3_600_000 + 1_000)
    assert waiting(desk) == 0
    hold(desk, 1)
    assert waiting(desk) == 0


def test_of_a_key_one_run_is_under_way() -> None:
    desk = desk_with('key: "{{ request.deal }}"')
    first, second = hold(desk, 2, line="7")
    (other,) = hold(desk, 1, line="8")
    assert desk.called == ["a", "a"]
    assert waiting(desk) == 1
    assert desk.disk.behind(second) == first
    desk.answer("a")
    desk.answer("b")
    assert desk.disk.runs[first].status == "completed"
    assert waiting(desk) == 0
    assert desk.disk.runs[second].owned
    assert desk.disk.runs[other].owned


def test_many_become_one() -> None:
    desk = desk_with("release: {collect: 3, or_after: 1m}")
    keys = hold(desk, 4)
    assert waiting(desk) == 1
    assert {desk.disk.runs[key].status for key in keys[:3]} == {"completed"}
    (together,) = [key for key in desk.disk.runs if key not in keys]
    request = desk.disk.requests[together]
    assert json.loads(request.body) == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert json.loads(request.meta)["requests"] == [id_of(key) for key in keys[:3]]
    assert desk.called == ["a"]
    desk.wait(MINUTE_MS - 2_000)
    assert waiting(desk) == 1
    desk.wait(3_000)
    assert waiting(desk) == 0
    events = Journal.decode(desk.disk.journal[keys[3]][0].entry).events
    assert [type(event).__name__ for event in events] == ["RunStarted", "RunCompleted"]


def test_what_waited_for_too_long_is_a_dead_letter_and_nothing_of_it_was_called() -> None:
    desk = desk_with("release: paused\nexpires: 1h")
    (key,) = hold(desk, 1, expires_at=desk.clock.now() + 3_600_000)
    desk.wait(3_599_000)
    assert waiting(desk) == 1
    desk.wait(3_000)
    assert waiting(desk) == 0
    assert desk.disk.runs[key].status == "stopped"
    assert desk.called == []
    entries = [Journal.decode(row.entry) for row in desk.disk.journal[key]]
    assert "longer than 1h" in str(entries)
    assert "expired" in str(entries)


def test_what_is_dropped_is_cancelled_and_nothing_of_it_was_called() -> None:
    desk = desk_with("release: paused")
    keys = hold(desk, 2)
    buffers = Buffers(desk.store, desk, desk.clock, desk.sources)
    filter = HeldFilter("form", keys=(keys[0],))
    assert desk.run(buffers.drop(filter, 9, reason="a test", by="anna")) == 1
    desk.wait(2_000)
    assert desk.disk.runs[keys[0]].status == "cancelled"
    assert "a test (anna)" in str(Journal.decode(desk.disk.journal[keys[0]][-1].entry))
    assert desk.called == []
    assert waiting(desk) == 1


def test_what_a_person_lets_go_goes_now_but_not_out_of_line() -> None:
    desk = desk_with('release: paused\nkey: "{{ request.deal }}"')
    hold(desk, 2, line="7")
    buffers = Buffers(desk.store, desk, desk.clock, desk.sources)
    assert desk.run(buffers.release(HeldFilter("form"), 9)) == 1
    assert waiting(desk) == 1


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("release: paused", "release: at-once"),
        ("release: {at_most: 1, every: 1h}", "release: {at_most: 9, every: 1h}"),
        ("release: {collect: 9, or_after: 1h}", "release: at-once"),
        ('release: {schedule: "0 0 1 1 *", timezone: UTC}', "release: at-once"),
    ],
)
def test_what_waits_goes_by_the_settings_as_they_are_now(before: str, after: str) -> None:
    desk = desk_with(before)
    hold(desk, 4)
    assert waiting(desk) >= 3
    desk.sources["form"] = source(after)
    desk.node.releaser.ring()
    desk.wait(1_000)
    assert waiting(desk) == 0


def test_a_person_who_pauses_stands_over_the_file() -> None:
    desk = desk_with("release: {at_most: 1, every: 1m}")
    hold(desk, 3)
    assert waiting(desk) == 2
    desk.run(desk.store.set_source_state("form", "paused"))
    desk.wait(10 * MINUTE_MS)
    assert waiting(desk) == 2
    desk.run(desk.store.set_source_state("form", "released"))
    desk.wait(MINUTE_MS + 1_000)
    assert waiting(desk) == 0


def test_a_crash_neither_loses_nor_repeats_a_release() -> None:
    desk = desk_with("release: {at_most: 2, every: 1m}")
    keys = hold(desk, 6)
    for _ in range(3):
        desk.crash()
        desk.start()
        desk.wait(MINUTE_MS + 1_000)
    times = releases(desk, keys)
    assert len(times) == 6
    assert most_in_a_window(times, MINUTE_MS) == 2


def test_a_window_that_is_full_holds_nothing_up_once_the_file_says_another_rate() -> None:
    desk = desk_with("release: {at_most: 1, every: 2h}")
    hold(desk, 3)
    assert waiting(desk) == 2
    desk.sources["form"] = source("release: {at_most: 3, every: 1s}")
    desk.wait(2_001)
    assert waiting(desk) == 0

"""The modules that send nothing outside: set, map, log, the memory's three, wait and stop."""

from __future__ import annotations

import msgspec
import pytest

from beltline.modules.forget import ForgetConfig, forget
from beltline.modules.log import LogConfig, write_line
from beltline.modules.map import MapConfig, map_value
from beltline.modules.recall import RecallConfig, recall
from beltline.modules.remember import RememberConfig, remember
from beltline.modules.set import set_values
from beltline.modules.stop import module as stop
from beltline.modules.wait import WaitConfig
from beltline.modules.wait import module as wait
from beltline.sdk import Reject
from tests.unit.modules.fakes import Lines, Memory, context


async def test_set_gives_its_parameters() -> None:
    assert await set_values({"a": 1, "b": None}, context()) == {"a": 1, "b": None}


@pytest.mark.parametrize(
    ("value", "result"),
    [({"a": 1}, {"a": 1}), ([1], {"value": [1]}), ("x", {"value": "x"}), (None, {"value": None})],
)
async def test_map_gives_an_object(value: object, result: object) -> None:
    assert await map_value(MapConfig(value=value), context()) == result


async def test_log_keeps_the_authors_fields_apart_from_the_hubs() -> None:
    lines = Lines()
    config = LogConfig(message="Look.", level="warning", fields={"run": "forged", "a": 1})
    await write_line(config, context(log=lines))
    assert lines.written == [("warning", "Look.", {"fields": {"run": "forged", "a": 1}})]


async def test_log_is_not_loud_by_default() -> None:
    lines = Lines()
    await write_line(LogConfig(message="Read."), context(log=lines))
    assert [line[:2] for line in lines.written] == [("info", "Read.")]


async def test_what_is_remembered_is_recalled_until_it_is_forgotten() -> None:
    memory = Memory()
    given = context(memory=memory)
    await remember(RememberConfig(key="k", value={"id": 7}, space="deals"), given)
    found = await recall(RecallConfig(key="k", space="deals"), given)
    assert (found.found, found.value) == (True, {"id": 7})
    assert not (await recall(RecallConfig(key="k"), given)).found
    assert (await forget(ForgetConfig(key="k", space="deals"), given)).forgotten
    assert not (await forget(ForgetConfig(key="k", space="deals"), given)).forgotten
    gone = await recall(RecallConfig(key="k", space="deals", default=0), given)
    assert (gone.found, gone.value) == (False, 0)


@pytest.mark.parametrize("value", [0, False, "", [], {}])
async def test_an_empty_value_is_a_value(value: object) -> None:
    given = context()
    await remember(RememberConfig(key="k", value=value), given)
    found = await recall(RecallConfig(key="k", default="other"), given)
    assert (found.found, found.value) == (True, value)


@pytest.mark.parametrize(
    ("ttl", "seconds"), [(None, None), ("90s", 90), ("1h30m", 5400), ("7d", 604_800)]
)
async def test_the_time_to_live_is_in_seconds(ttl: str | None, seconds: float | None) -> None:
    memory = Memory()
    await remember(RememberConfig(key="k", value=1, ttl=ttl), context(memory=memory))
    assert memory.ttls == {("default", "k"): seconds}


async def test_a_time_to_live_of_nothing_is_refused() -> None:
    memory = Memory()
    outcome = await remember(RememberConfig(key="k", value=1, ttl="0s"), context(memory=memory))
    assert isinstance(outcome, Reject)
    assert memory.values == {}


@pytest.mark.parametrize(
    ("given", "accepted"),
    [
        ({"for": "5m"}, True),
        ({"until": "2026-11-23T09:00:00+03:00"}, True),
        ({"until": "2026-11-23T06:00:00Z"}, True),
        ({}, False),
        ({"for": "5m", "until": "2026-11-23T06:00:00Z"}, False),
        ({"for": "5 minutes"}, False),
        ({"for": 5}, False),
        ({"until": "2026-11-23T09:00:00"}, False),  # no offset
        ({"until": "tomorrow"}, False),
    ],
)
def test_a_wait_has_a_length_or_a_moment(given: dict[str, object], accepted: bool) -> None:
    if accepted:
        msgspec.convert(given, WaitConfig)
        return
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(given, WaitConfig)


def test_the_engine_runs_wait_and_stop() -> None:
    # The engine knows these two by their pinned names.
    assert (wait.pinned, wait.handler) == ("wait@1", None)
    assert (stop.pinned, stop.handler) == ("stop@1", None)

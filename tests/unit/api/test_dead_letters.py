"""Dead letters: all that waits for a person, and decisions about many of them at once."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from beltline.engine.ids import key_of
from tests.unit.api.stage import Stage
from tests.unit.api.test_runs import completed, listed, stopped


async def test_dead_letters_are_listed_with_their_errors(stage: Stage) -> None:
    await completed(stage)
    id = await stopped(stage)
    page = (await stage.ask("GET", "/api/v1/dead-letters")).json()
    assert page["next"] is None
    (one,) = page["runs"]
    assert one["run"] == id
    assert one["letters"] == [
        {"step": "judge", "visit": 1, "attempts": 1, "kind": "reject",
         "message": "the verdict is bad"}
    ]  # fmt: skip
    assert (await stage.ask("GET", "/api/v1/dead-letters?process=x")).json()["runs"] == []


async def test_many_are_skipped_at_once_and_only_those_that_were_meant(stage: Stage) -> None:
    ids = [await stopped(stage, n=number) for number in range(3)]
    asked = await stage.ask(
        "POST", "/api/v1/dead-letters/skip", {"step": "judge", "result": {"score": 1}, "limit": 2}
    )
    assert asked.status == 202
    assert asked.json() == {"asked": 2, "refused": [], "next": ids[1]}
    for id in ids[1:]:
        await stage.at_rest(id, "completed")
    assert await listed(stage, "?status=stopped") == ids[:1]


async def test_many_are_cancelled_at_once(stage: Stage) -> None:
    ids = [await stopped(stage, n=number) for number in range(3)]
    asked = await stage.ask("POST", "/api/v1/dead-letters/cancel", {"process": "lead"})
    assert asked.json() == {"asked": 3, "refused": [], "next": None}
    for id in ids:
        await stage.at_rest(id, "cancelled")


async def test_those_that_a_command_does_not_fit_are_named(stage: Stage) -> None:
    id = await stopped(stage)
    asked = await stage.ask("POST", "/api/v1/dead-letters/retry", {"step": "greet"})
    (refused,) = asked.json()["refused"]
    assert refused == {"run": id, "because": "there is no dead letter at 'greet'"}
    assert asked.json()["asked"] == 0


async def test_a_selection_of_no_runs_asks_nothing(stage: Stage) -> None:
    asked = await stage.ask("POST", "/api/v1/dead-letters/retry", {"source": "other"})
    assert asked.json() == {"asked": 0, "refused": [], "next": None}
    assert (await stage.ask("POST", "/api/v1/dead-letters/retry", {"limit": 0})).status == 422
    assert (await stage.ask("POST", "/api/v1/dead-letters/retry", {"since": "x"})).status == 400


async def test_more_than_the_limit_at_once_is_refused_by_its_name(stage: Stage) -> None:
    most = stage.hub.limits.bulk_runs
    answer = await stage.ask("POST", "/api/v1/dead-letters/retry", {"limit": most + 1})
    assert answer.status == 422
    assert "limit bulk_runs" in answer.json()["detail"]
    within = await stage.ask("POST", "/api/v1/dead-letters/retry", {"limit": most})
    assert within.status == 202


async def test_a_damaged_run_keeps_nobody_from_the_others(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = await stopped(stage, n=1), await stopped(stage, n=2)
    read = stage.store.run

    async def damaged(key: bytes) -> Any:
        record, stored = await read(key)
        if key == key_of(bad):
            stored = msgspec.structs.replace(stored, entries=[stored.entries[0], b"[1,0,[5]]"])
        return record, stored

    monkeypatch.setattr(stage.store, "run", damaged, raising=False)
    page = await stage.ask("GET", "/api/v1/dead-letters")
    assert page.status == 200
    first, second = page.json()["runs"]
    assert (first["run"], first["letters"]) == (bad, [])
    assert "row 2 of its journal is damaged" in first["because"]
    assert (second["run"], len(second["letters"])) == (good, 1)
    assert "row 2" in (await stage.run(bad))["because"]
    asked = (await stage.ask("POST", "/api/v1/dead-letters/cancel")).json()
    assert (asked["asked"], [one["run"] for one in asked["refused"]]) == (1, [bad])

"""Sources that look for themselves, as the API shows them; and a schedule run by hand."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

from beltline.core.explanation import moment
from beltline.definition.source import Source
from beltline.loop import AsyncioBell
from beltline.sources.door import Door, Feed, FeedTrouble
from beltline.sources.feeding import Feeds
from tests.unit.api.stage import NOW, Stage
from tests.unit.sources.looking import Looking

CLOCK = (
    'source: clock\nkind: schedule\nprocess: lead\nevery: 1h\nrequest: {name: "{{ meta.due }}"}\n'
)
DROP = "source: drop\nkind: files\nprocess: lead\nfolder: in\nevery: 10s\nsettle: none\n"


async def listed(stage: Stage, name: str) -> dict[str, Any]:
    sources = (await stage.ask("GET", "/api/v1/sources")).json()["sources"]
    found: dict[str, Any] = next(one for one in sources if one["source"] == name)
    return found


async def test_a_schedule_runs_now(stage: Stage) -> None:
    stage.add_source(CLOCK)
    answer = await stage.ask("POST", "/api/v1/sources/clock/run-now")
    assert answer.status == 202
    told = answer.json()
    assert told["request"] == told["run"]
    run = await stage.at_rest(told["run"], "completed")
    assert run["request"]["body"] == {"name": moment(NOW)}
    assert run["document"]["greet"] == {"name": moment(NOW)}


async def test_a_paused_schedule_holds_what_is_run_by_hand(stage: Stage) -> None:
    stage.add_source(CLOCK)
    await stage.ask("POST", "/api/v1/buffers/clock/pause")
    told = (await stage.ask("POST", "/api/v1/sources/clock/run-now")).json()
    assert told["run"] is None
    assert (await listed(stage, "clock"))["held"] == 1


async def test_what_cannot_run_now_says_why(stage: Stage) -> None:
    stage.add_source(CLOCK)
    stage.add_source(CLOCK.replace("clock", "lost").replace("process: lead", "process: gone"))
    stage.add_source(CLOCK.replace("clock", "odd").replace("meta.due }}", "$number('x') }}"))
    for name, status, words in (
        ("nothing", 404, "no source"),
        ("form", 409, "only a schedule"),
        ("lost", 409, "no process to start"),
        ("odd", 422, "cannot be told"),
    ):
        answer = await stage.ask("POST", f"/api/v1/sources/{name}/run-now")
        assert answer.status == status
        assert words in answer.json()["detail"]
    stage.hub.node.intake.is_closed = True
    assert (await stage.ask("POST", "/api/v1/sources/clock/run-now")).status == 503


async def test_a_feed_is_seen(stage: Stage, tmp_path: Path) -> None:
    looking = Looking(stage, DROP, tmp_path)
    stage.add_source(DROP)
    assert (await listed(stage, "drop"))["feed"] is None  # not on this node
    failed = asyncio.Event()

    class Failing:
        async def run(self) -> None:
            await looking.door.offer({"name": "Anna"})
            looking.door.looked()
            looking.door.refused("row 2: too long")
            failed.set()
            raise FeedTrouble("the folder went away")

    def make(source: Source, door: Door) -> Feed | None:
        return Failing()

    feeds: Feeds = stage.hub.feeds
    feeds.__init__(make, stage.clock, partial(AsyncioBell, stage.clock))  # type: ignore[misc]
    feeds.start([looking.door])
    await failed.wait()
    await asyncio.sleep(0)
    source = await listed(stage, "drop")
    assert (source["path"], source["verify"], source["kind"]) == (None, None, "files")
    assert source["feed"] == {
        "state": "failing",
        "last_look": moment(NOW),
        "last_request": moment(NOW),
        "last_error": "the folder went away",
        "last_error_at": moment(NOW),
        "taken": 1,
        "refused": 1,
        "last_refusal": "row 2: too long",
    }
    await feeds.stop()
    assert (await listed(stage, "drop"))["feed"]["state"] == "stopped"
    form = await listed(stage, "form")
    assert (form["feed"], form["path"], form["verify"]) == (None, "/in/form", "none")


async def test_a_feed_takes_no_senders(stage: Stage) -> None:
    stage.add_source(CLOCK)
    assert (await stage.send("clock", {})).status == 404

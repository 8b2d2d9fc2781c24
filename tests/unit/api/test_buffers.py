"""Sources and their buffers: seen, paused, released."""

from __future__ import annotations

import asyncio

import pytest

from beltline.definition.source import Source, read_source
from tests.unit.api.stage import Stage

HELD = "source: held\nkind: webhook\nprocess: lead\nverify: none\nrelease: paused\n"


async def buffer(stage: Stage, source: str) -> dict[str, object]:
    listed = (await stage.ask("GET", "/api/v1/buffers")).json()["buffers"]
    found: dict[str, object] = next(one for one in listed if one["source"] == source)
    return {name: found[name] for name in ("source", "state", "held")}


async def test_a_paused_source_holds_back_from_the_next_request_on(stage: Stage) -> None:
    assert (await stage.send("form", {})).json()["run"] is not None
    paused = await stage.ask("POST", "/api/v1/buffers/form/pause")
    assert paused.json()["state"] == "paused"
    assert (await stage.send("form", {})).json()["run"] is None
    assert await buffer(stage, "form") == {"source": "form", "state": "paused", "held": 1}


async def test_release_lets_the_oldest_go_and_the_rest_stays(stage: Stage) -> None:
    stage.add_source(HELD)
    ids = [(await stage.send("held", {"n": n})).json()["request"] for n in range(3)]
    answer = await stage.ask("POST", "/api/v1/buffers/held/release", {"count": 2})
    assert answer.json() == {"source": "held", "state": "paused", "released": 2, "held": 1}
    for id in ids[:2]:
        await stage.at_rest(id, "completed")
    assert (await stage.run(ids[2]))["version"] is None


async def test_resume_lets_everything_go(stage: Stage) -> None:
    stage.add_source(HELD)
    ids = [(await stage.send("held", {"n": n})).json()["request"] for n in range(3)]
    answer = await stage.ask("POST", "/api/v1/buffers/held/resume")
    assert answer.json() == {"source": "held", "state": "released", "released": 3, "held": 0}
    for id in ids:
        await stage.at_rest(id, "completed")
    assert (await stage.send("held", {})).json()["run"] is not None


async def test_resuming_without_a_process_changes_nothing(stage: Stage) -> None:
    stage.add_source(HELD.replace("process: lead", "process: nowhere"))
    await stage.send("held", {})
    answer = await stage.ask("POST", "/api/v1/buffers/held/resume")
    assert answer.status == 409
    assert "nowhere" in answer.json()["detail"]
    assert await buffer(stage, "held") == {"source": "held", "state": "paused", "held": 1}


async def test_a_pause_by_another_program_soon_holds(stage: Stage) -> None:
    await stage.send("form", {})
    await stage.store.set_source_state("form", "paused")
    stage.clock.time += 1_000
    assert (await stage.send("form", {})).json()["run"] is None


async def test_what_comes_in_while_a_resume_is_not_known_here_is_released_later(
    stage: Stage,
) -> None:
    await stage.ask("POST", "/api/v1/buffers/form/pause")
    await stage.send("form", {"n": 1})
    await stage.store.set_source_state("form", "released")  # another program lets it through
    late = await stage.send("form", {"n": 2})
    assert late.json()["run"] is None
    stage.hub.look_at_buffers()
    await stage.at_rest(late.json()["request"], "completed")


async def test_requests_without_a_process_stay(stage: Stage) -> None:
    stage.add_source(HELD)
    stage.add_source(HELD.replace("held", "lost").replace("process: lead", "process: nowhere"))
    first = await stage.send("held", {})
    await stage.send("lost", {})
    for source in ("held", "lost"):
        await stage.store.set_source_state(source, "released")
    stage.hub.look_at_buffers()
    await stage.at_rest(first.json()["request"], "completed")
    assert await buffer(stage, "lost") == {"source": "lost", "state": "released", "held": 1}


@pytest.mark.parametrize("by_file", ["paused", ""])
@pytest.mark.parametrize("set_by_people", [None, "paused", "released"])
async def test_intake_and_buffers_agree_on_what_is_held_back(
    stage: Stage, by_file: str, set_by_people: str | None
) -> None:
    release = f"release: {by_file}\n" if by_file else ""
    stage.add_source(f"source: one\nkind: webhook\nprocess: lead\nverify: none\n{release}")
    if set_by_people is not None:
        await stage.store.set_source_state("one", set_by_people)
    is_held = (await stage.send("one", {})).json()["run"] is None
    assert is_held == ((set_by_people or by_file) == "paused")
    state = (await buffer(stage, "one"))["state"]
    assert (state == "paused") == is_held


async def test_requests_of_a_source_that_is_gone_are_still_seen(stage: Stage) -> None:
    stage.add_source(HELD)
    await stage.send("held", {})
    del stage.sources["held"]
    assert await buffer(stage, "held") == {"source": "held", "state": "paused", "held": 1}
    assert (await stage.ask("POST", "/api/v1/buffers/held/resume")).status == 404


async def test_wrong_counts_are_told(stage: Stage) -> None:
    too_many = await stage.ask("POST", "/api/v1/buffers/form/release", {"count": 10**9})
    assert "limit release_requests" in too_many.json()["detail"]
    for body in ({"count": 0}, {"count": -1}, {"count": "all"}, {"count": 10**9}, {"n": 1}):
        assert (await stage.ask("POST", "/api/v1/buffers/form/release", body)).status == 422
    assert (await stage.ask("POST", "/api/v1/buffers/form/pause", {"x": 1})).status == 422


async def test_sources_are_listed_without_their_secrets(stage: Stage) -> None:
    stage.secrets["KEY"] = "canary"
    stage.add_source(
        "source: shop\nkind: webhook\nprocess: lead\n"
        'verify: {hmac: {header: X-Signature, secret: "${KEY}"}}\n'
        'identity: {by: "{{ request.id }}", window: 1h}\n'
    )
    answer = await stage.ask("GET", "/api/v1/sources")
    assert b"canary" not in answer.body
    assert [one["source"] for one in answer.json()["sources"]] == ["form", "shop"]
    assert answer.json()["sources"][1] == {
        "source": "shop",
        "kind": "webhook",
        "process": "lead",
        "path": "/in/shop",
        "verify": "hmac",
        "identity_window_ms": 3_600_000,
        "state": "released",
        "held": 0,
        "feed": None,
    }


async def test_what_waits_is_listed_in_its_order_and_moved_and_dropped(stage: Stage) -> None:
    stage.add_source(HELD + 'key: "{{ request.deal }}"\nexpires: 1h\n')
    first, behind, other = [
        (await stage.send("held", {"deal": deal})).json()["request"] for deal in ("7", "7", "8")
    ]
    address = "/api/v1/buffers/held"
    page = (await stage.ask("GET", f"{address}/requests?limit=2")).json()
    assert [one["id"] for one in page["requests"]] == [first, behind]
    assert page["requests"][1] == {
        "id": behind,
        "process": "lead",
        "accepted_at": "2025-11-24T16:00:00.000+00:00",
        "key": "7",
        "behind": first,
        "place": 1_764_000_000_000,
        "expires_at": "2025-11-24T17:00:00.000+00:00",
    }
    rest = (await stage.ask("GET", f"{address}/requests?after={page['next']}")).json()
    assert [one["id"] for one in rest["requests"]] == [other]
    moved = await stage.ask("POST", f"{address}/order", {"ids": [other], "to": "first"})
    assert moved.json() == {"source": "held", "moved": 1}
    page = (await stage.ask("GET", f"{address}/requests")).json()
    assert [one["id"] for one in page["requests"]] == [other, first, behind]
    dropped = await stage.ask("POST", f"{address}/drop", {"key": "8", "reason": "a mistake"})
    assert dropped.json() == {"source": "held", "dropped": 1, "held": 2}
    await stage.at_rest(other, "cancelled")
    released = await stage.ask("POST", f"{address}/release", {})
    assert released.json()["released"] == 1
    await stage.at_rest(first, "completed")


async def test_a_full_backlog_is_told_with_the_time_at_which_there_is_room(stage: Stage) -> None:
    stage.add_source(HELD + "backlog: {most: 3, answer: 429}\n")
    answers = await asyncio.gather(*(stage.send("held", {"n": n}) for n in range(9)))
    statuses = sorted(answer.status for answer in answers)
    assert statuses == [202] * 3 + [429] * 6
    refused = next(answer for answer in answers if answer.status == 429)
    assert refused.json()["type"].endswith("backlog-full")
    assert refused.headers["retry-after"] == "60"  # nobody knows when a person lets them go
    stage.sources["held"] = read_held("release: {at_most: 1, every: 1h}\nbacklog: 1\n")
    await stage.ask("POST", "/api/v1/buffers/held/drop", {"reason": "room", "count": 2})
    stage.clock.time += 2_000
    refused = await stage.send("held", {})
    assert refused.status == 503
    assert 1 <= int(refused.headers["retry-after"]) <= 3_600
    await stage.ask("POST", "/api/v1/buffers/held/drop", {"reason": "room"})
    stage.clock.time += 2_000
    assert (await stage.send("held", {})).status == 202


async def test_a_repeat_gets_its_first_answer_though_the_backlog_is_full(stage: Stage) -> None:
    stage.add_source(HELD + "backlog: 1\nidentity: {by: '{{ request.n }}', window: 24h}\n")
    first = await stage.send("held", {"n": 1})
    assert (await stage.send("held", {"n": 2})).status == 503
    again = await stage.send("held", {"n": 1})
    assert (again.status, again.json()) == (202, first.json())
    assert again.headers["idempotent-replay"] == "true"
    assert (await stage.send("held", {"n": 1, "other": True})).status == 409


async def test_what_has_gone_is_room_a_moment_later(stage: Stage) -> None:
    # A source that lets more go in a second than its backlog holds must not refuse for a second.
    stage.add_source(HELD + "backlog: 2\n")
    for _ in range(5):
        statuses = [(await stage.send("held", {})).status for _ in range(3)]
        assert statuses == [202, 202, 503]
        await stage.ask("POST", "/api/v1/buffers/held/release", {})
        stage.clock.time += 100


def read_held(more: str) -> Source:
    checked = read_source(
        HELD.replace("release: paused\n", more), name="held", file="x.yaml", processes=None
    )
    assert checked.source is not None, checked.findings
    return checked.source


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "requests?after=x", None, 400),
        ("GET", "requests?after=5.x", None, 400),
        ("GET", "requests?limit=0", None, 400),
        ("POST", "drop", {}, 422),
        ("POST", "drop", {"reason": ""}, 422),
        ("POST", "drop", {"reason": "x", "ids": ["x"]}, 422),
        ("POST", "order", {"ids": [], "to": "first"}, 422),
        ("POST", "order", {"to": "first"}, 422),
        ("POST", "release", {"since": "yesterday"}, 400),
    ],
)
async def test_wrong_choices_are_told(
    stage: Stage, method: str, path: str, body: object, status: int
) -> None:
    answer = await stage.ask(method, f"/api/v1/buffers/form/{path}", body)
    assert answer.status == status


async def test_a_source_with_a_rate_is_not_paused_by_it(stage: Stage) -> None:
    stage.add_source(HELD.replace("release: paused", "release: {at_most: 1, every: 1h}"))
    await stage.send("held", {})
    answer = await stage.ask("POST", "/api/v1/buffers/held/release", {"count": 1})
    assert answer.json()["state"] == (await buffer(stage, "held"))["state"] == "released"
    await stage.ask("POST", "/api/v1/buffers/held/pause")
    await stage.send("held", {})
    answer = await stage.ask("POST", "/api/v1/buffers/held/release", {"count": 1})
    assert answer.json()["state"] == (await buffer(stage, "held"))["state"] == "paused"

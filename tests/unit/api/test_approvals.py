"""Approvals over the API, and the links by which they are decided without an account."""

from __future__ import annotations

from typing import Any

import pytest

from beltline.api.approval_link import path_of
from beltline.core.explanation import moment
from tests.unit.api.calling import Answered, call
from tests.unit.api.stage import NOW, Stage

ASKING = """
process: asking
steps:
  - id: boss
    module: approve
    with:
      title: "A discount for {{ request.name }}"
      text: "They ask for <{{ request.discount }}> %."
      fields: {discount: "Discount, %"}
      within: 2d
    condition:
      - {field: boss.approved, operation: "=", value: true, result: [granted]}
    next: []
  - {id: granted, module: echo, with: {discount: "{{ boss.given.discount }}"}}
"""


@pytest.fixture
async def asking(stage: Stage) -> str:
    """A run that waits for the boss."""
    await stage.hub.processes.publish("asking", ASKING, "yaml", "asking.yaml")
    stage.add_source("source: ask\nkind: webhook\nprocess: asking\nverify: none\n")
    id: str = (await stage.send("ask", {"name": "<Anna>", "discount": 20})).json()["run"]
    await stage.at_rest(id, "waiting")
    return id


async def listed(stage: Stage) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await stage.ask("GET", "/api/v1/approvals")).json()["approvals"]
    return found


async def by_link(stage: Stage, link: str, sent: bytes | None = None) -> Answered:
    answer = await call(stage.app, "GET" if sent is None else "POST", link, sent or b"", [])
    assert answer is not None
    return answer


async def test_what_waits_is_listed_and_decided_by_name(stage: Stage, asking: str) -> None:
    (shown,) = await listed(stage)
    assert shown == {
        "run": asking,
        "process": "asking",
        "step": "boss",
        "visit": 1,
        "title": "A discount for <Anna>",
        "text": "They ask for <20> %.",
        "fields": {"discount": "Discount, %"},
        "since": moment(NOW),
        "until": moment(NOW + 2 * 86_400_000),
        "link": path_of(b"a key of the tests", asking, "boss", 1),
    }
    decision = {"step": "boss", "comment": "fine", "given": {"discount": 15}}
    answer = await stage.ask("POST", f"/api/v1/runs/{asking}/approve", decision, role="operator")
    assert answer.status == 202
    run = await stage.at_rest(asking, "completed")
    assert run["document"]["granted"] == {"discount": 15}
    assert run["document"]["boss"]["by"] == "the operator"
    assert await listed(stage) == []
    again = await stage.ask("POST", f"/api/v1/runs/{asking}/reject", decision)
    assert again.status == 409


async def test_a_rejection_leads_where_the_condition_says(stage: Stage, asking: str) -> None:
    await stage.ask("POST", f"/api/v1/runs/{asking}/reject", {"step": "boss"})
    run = await stage.at_rest(asking, "completed")
    assert run["path"] == ["boss"]


async def test_what_waits_is_listed_in_pages(stage: Stage, asking: str) -> None:
    page = (await stage.ask("GET", "/api/v1/approvals?limit=1")).json()
    assert page["next"] == f"{asking}/boss/1"
    rest = (await stage.ask("GET", f"/api/v1/approvals?after={page['next']}")).json()
    assert rest == {"approvals": [], "next": None}


async def test_opening_a_link_decides_nothing_and_shows_what_is_asked(
    stage: Stage, asking: str
) -> None:
    link = (await listed(stage))[0]["link"]
    page = await by_link(stage, link)
    text = page.body.decode()
    assert page.status == 200
    assert "A discount for &lt;Anna&gt;" in text
    assert "They ask for &lt;20&gt; %." in text
    assert 'name="field-discount"' in text
    assert "form-action 'self'" in page.headers["content-security-policy"]
    assert (await stage.run(asking))["status"] == "waiting"


async def test_a_link_is_good_once(stage: Stage, asking: str) -> None:
    link = (await listed(stage))[0]["link"]
    sent = b"decision=approve&comment=fine&field-discount=15"
    assert (await by_link(stage, link, sent)).status == 200
    run = await stage.at_rest(asking, "completed")
    assert run["document"]["boss"]["given"] == {"discount": "15"}
    assert run["document"]["boss"]["by"] == "by a link"
    assert (await by_link(stage, link, b"decision=reject")).status == 410
    assert (await by_link(stage, link)).status == 410


@pytest.mark.parametrize("sent", [b"", b"decision=maybe", b"decision"])
async def test_a_link_wants_a_decision(stage: Stage, asking: str, sent: bytes) -> None:
    link = (await listed(stage))[0]["link"]
    answer = await call(stage.app, "POST", link, sent, [])
    assert answer is not None
    assert answer.status == 422
    assert (await stage.run(asking))["status"] == "waiting"


async def test_a_link_that_the_hub_did_not_sign_opens_nothing(stage: Stage, asking: str) -> None:
    link = (await listed(stage))[0]["link"]
    other = path_of(b"another key", asking, "boss", 1)
    moved = path_of(b"a key of the tests", asking, "granted", 1)
    for wrong in (link + "x", link[:-1], other, moved, "/approve/", "/approve/a.b", "/approve/é.é"):
        assert (await by_link(stage, str(wrong))).status == 410


async def test_a_link_takes_the_methods_that_it_knows(stage: Stage) -> None:
    answer = await call(stage.app, "PUT", "/approve/x.y", b"", [])
    assert answer is not None
    assert (answer.status, answer.headers["allow"]) == (405, "GET, POST")

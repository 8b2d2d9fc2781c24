"""All that came in lately with its verdict; accepting by hand what was refused."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from beltline.core.limits import PRODUCTION, TINY
from beltline.engine.ids import key_of
from tests.unit.api.stage import Stage, running_stage

SIGNED = "source: signed\nkind: webhook\nprocess: lead\nverify: {bearer: '${SIGNED}'}\n"
KEYED = (
    "source: keyed\nkind: webhook\nprocess: lead\nverify: none\n"
    "identity: {by: '{{ meta.headers.idempotency-key }}', window: 1d}\n"
)
STRICT = (
    "source: strict\nkind: webhook\nprocess: lead\nverify: none\n"
    "schema: {type: object, required: [name]}\n"
)
PORTAL = "source: portal\nkind: webhook\nprocess: lead\nverify: {bitrix24: '${PORTAL}'}\n"


@pytest.fixture
async def tiny(tmp_path: Path) -> AsyncIterator[Stage]:
    bounds = {
        name: getattr(TINY, name)
        for name in ("verdicts_per_second", "verdict_body_bytes", "request_body_bytes")
    }
    limits = msgspec.structs.replace(PRODUCTION, **bounds)
    async with running_stage(tmp_path, limits=limits) as stage:
        yield stage


async def listed(stage: Stage, query: str = "") -> list[dict[str, Any]]:
    await stage.hub.verdicts.keep()
    answer = await stage.ask("GET", f"/api/v1/requests{query}")
    assert answer.status == 200, answer.json()
    found: list[dict[str, Any]] = answer.json()["requests"]
    return found


async def shown(stage: Stage, id: str) -> dict[str, Any]:
    answer = await stage.ask("GET", f"/api/v1/requests/{id}")
    assert answer.status == 200
    found: dict[str, Any] = answer.json()
    return found


async def accepted(stage: Stage, id: str, body: Any = b"") -> dict[str, Any]:
    answer = await stage.ask("POST", f"/api/v1/requests/{id}/accept", body)
    assert answer.status == 202, answer.json()
    found: dict[str, Any] = answer.json()
    return found


async def refused_by_bearer(
    stage: Stage,
    body: Any,
    *headers: tuple[str, str],
    content_type: str = "application/json",
) -> str:
    stage.secrets["SIGNED"] = "right"
    stage.add_source(SIGNED)
    answer = await stage.send(
        "signed", body, ("Authorization", "Bearer wrong"), *headers, content_type=content_type
    )
    assert answer.status == 401
    id: str = (await listed(stage, "?source=signed"))[0]["id"]
    return id


# Seeing


async def test_what_came_in_is_listed_with_its_verdict_the_newest_first(stage: Stage) -> None:
    stage.add_source(KEYED)
    first = await stage.send("keyed", {"name": "Anna"}, ("Idempotency-Key", "1"))
    await stage.send("keyed", {"name": "Anna"}, ("Idempotency-Key", "1"))
    await stage.send("keyed", {"name": "Boris"}, ("Idempotency-Key", "1"))
    await stage.send("keyed", {"name": "Vera"})
    id = first.json()["request"]
    await stage.at_rest(id, "completed")
    newest = await listed(stage)
    assert [one["verdict"] for one in newest] == ["refused", "refused", "duplicate", "accepted"]
    no_identity, taken, repeat, good = newest
    assert (no_identity["refusal"]["status"], no_identity["refusal"]["kind"]) == (
        422,
        "no-identity",
    )
    assert taken["refusal"]["kind"] == "identity-taken"
    assert id in taken["refusal"]["detail"]
    assert (repeat["duplicate_of"], repeat["refusal"]) == (id, None)
    assert (good["id"], good["process"], good["status"]) == (id, "lead", "completed")


async def test_the_list_is_narrowed_and_goes_on_page_by_page(stage: Stage) -> None:
    stage.add_source(STRICT)
    for number in range(3):
        await stage.send("form", {"n": number})
        await stage.send("strict", {"n": number})
    every = [one["id"] for one in await listed(stage)]
    assert len(every) == 6
    assert every == sorted(every, reverse=True)
    by_verdict = await listed(stage, "?verdict=refused")
    assert {one["source"] for one in by_verdict} == {"strict"}
    assert [one["id"] for one in await listed(stage, "?source=form")] == every[1::2]
    pages, query = [], "?limit=2"
    for _ in range(3):
        page = await listed(stage, query)
        pages += [one["id"] for one in page]
        query = f"?limit=2&before={page[-1]['id']}"
    assert pages == every
    assert (await stage.ask("GET", "/api/v1/requests?verdict=good")).status == 400


async def test_a_refused_request_is_shown_without_what_proves_its_sender(stage: Stage) -> None:
    id = await refused_by_bearer(stage, {"name": "Anna"}, ("X-Request-Id", "r-1"), ("Cookie", "s"))
    whole = await shown(stage, id)
    assert whole["request"] == {"name": "Anna"}
    assert whole["came"]["refusal"]["kind"] == "unverified-sender"
    assert whole["meta"]["headers"]["x-request-id"] == "r-1"
    assert set(whole["meta"]["headers_not_kept"]) >= {"authorization", "cookie"}
    assert "wrong" not in str(whole["meta"])
    assert (whole["size"], whole["has_body"], whole["content_type"]) == (
        15,
        True,
        "application/json",
    )


async def test_a_body_that_cannot_be_read_is_shown_as_text(stage: Stage) -> None:
    assert (await stage.send("form", b'{"name": "An')).status == 400
    id = (await listed(stage))[0]["id"]
    whole = await shown(stage, id)
    assert (whole["request"], whole["text"]) == (None, '{"name": "An')


async def test_tokens_in_bodies_of_bitrix24_are_not_kept(stage: Stage) -> None:
    stage.secrets["PORTAL"] = "right"
    stage.add_source(PORTAL)
    body = urlencode({"event": "ONCRMLEADADD", "auth[application_token]": "forged"}).encode()
    answer = await stage.send("portal", body, content_type="application/x-www-form-urlencoded")
    assert answer.status == 401
    whole = await shown(stage, (await listed(stage))[0]["id"])
    assert whole["request"] == {"event": "ONCRMLEADADD", "auth": {}}
    assert "forged" not in str(whole)


async def test_a_secret_that_is_not_set_loses_no_request(stage: Stage) -> None:
    stage.add_source(SIGNED)
    answer = await stage.send("signed", {"name": "Anna"}, ("Authorization", "Bearer right"))
    assert answer.status == 503
    [one] = await listed(stage)
    assert one["refusal"]["kind"] == "source-not-ready"
    assert "SIGNED" in one["refusal"]["detail"]
    id = (await accepted(stage, one["id"]))["request"]
    await stage.at_rest(id, "completed")


async def test_an_accepted_request_is_shown_as_it_came(stage: Stage) -> None:
    id = (await stage.send("form", {"name": "Anna"})).json()["request"]
    whole = await shown(stage, id)
    assert (whole["request"], whole["came"]["verdict"]) == ({"name": "Anna"}, "accepted")
    assert whole["meta"]["source"] == "form"


async def test_what_is_too_large_is_listed_and_its_body_is_not_kept(tiny: Stage) -> None:
    await tiny.send("form", {"name": "x" * 5_000})
    wrong = b'{"name": "' + b"x" * 1_500
    await tiny.send("form", wrong)
    cut, large = await listed(tiny)
    assert (large["refusal"]["status"], large["refusal"]["kind"]) == (413, "too-large")
    unread = await shown(tiny, large["id"])
    assert (unread["size"], unread["has_body"]) == (None, False)
    known = await shown(tiny, cut["id"])
    assert (known["size"], known["has_body"]) == (len(wrong), False)


async def test_a_flood_of_refusals_is_noted_by_its_first_ones(tiny: Stage) -> None:
    tiny.add_source(STRICT)
    for _ in range(10):
        assert (await tiny.send("strict", {})).status == 422
    assert (await tiny.send("form", b"{")).status == 400  # another source has its own room
    assert [one["source"] for one in await listed(tiny)] == ["form", *["strict"] * 3]
    assert tiny.hub.verdicts.not_kept == 7
    tiny.clock.time += 1_000
    await tiny.send("strict", {})
    assert len(await listed(tiny, "?source=strict")) == 4


async def test_nothing_is_noted_of_an_address_that_is_no_source(stage: Stage) -> None:
    assert (await stage.send("nowhere", {})).status == 404
    assert await listed(stage) == []


# Accepting by hand


async def test_a_refused_request_is_accepted_by_hand_once(stage: Stage) -> None:
    id = await refused_by_bearer(stage, {"name": "Anna"}, ("User-Agent", "site"))
    done = await asyncio.gather(*(accepted(stage, id) for _ in range(3)), accepted(stage, id))
    assert len({one["request"] for one in done}) == 1
    run = await stage.at_rest(done[0]["request"], "completed")
    assert run["document"]["request"] == {"name": "Anna"}
    meta = run["document"]["meta"]
    assert meta["by_hand"] == {"by": "the admin", "refused_as": id}
    assert meta["headers"] == {"content-type": "application/json", "user-agent": "site"}
    newest = await listed(stage)
    assert [(one["verdict"], one["accepted_as"]) for one in newest] == [
        ("accepted", None),
        ("refused", done[0]["request"]),
    ]
    assert newest[1]["accepted_by"] == "the admin"


async def test_a_compressed_form_is_accepted_as_it_came(stage: Stage) -> None:
    body = gzip.compress(b"name=Anna&phones[]=1&phones[]=2")
    id = await refused_by_bearer(stage, b"{}")
    answer = await stage.send(
        "signed",
        body,
        ("Content-Encoding", "gzip"),
        content_type="application/x-www-form-urlencoded",
    )
    assert answer.status == 401
    id = (await listed(stage))[0]["id"]
    run = await stage.at_rest((await accepted(stage, id))["request"], "completed")
    assert run["document"]["request"] == {"name": "Anna", "phones": ["1", "2"]}


async def test_what_does_not_fit_is_mended_and_accepted(stage: Stage) -> None:
    stage.add_source(STRICT)
    await stage.send("strict", {"nom": "Anna"})
    id = (await listed(stage))[0]["id"]
    still = await stage.ask("POST", f"/api/v1/requests/{id}/accept")
    assert (still.status, still.json()["errors"][0]["rule"]) == (422, "required")
    new = (await accepted(stage, id, {"request": {"name": "Anna"}}))["request"]
    run = await stage.at_rest(new, "completed")
    assert run["document"]["request"] == {"name": "Anna"}


async def test_an_identity_holds_for_what_is_accepted_by_hand(stage: Stage) -> None:
    stage.secrets["SIGNED"] = "right"
    stage.add_source(KEYED.replace("verify: none", "verify: {bearer: '${SIGNED}'}"))
    key = ("Idempotency-Key", "1")
    await stage.send("keyed", {"name": "Anna"}, ("Authorization", "Bearer wrong"), key)
    id = (await listed(stage))[0]["id"]
    sent = await stage.send("keyed", {"name": "Anna"}, ("Authorization", "Bearer right"), key)
    assert (await accepted(stage, id))["request"] == sent.json()["request"]


async def test_a_request_for_a_full_buffer_is_accepted_by_hand(stage: Stage) -> None:
    stage.add_source(
        "source: few\nkind: webhook\nprocess: lead\nverify: none\nrelease: paused\n"
        "backlog: {most: 1}\n"
    )
    await stage.send("few", {"n": 1})
    assert (await stage.send("few", {"n": 2})).status == 503
    id = (await listed(stage, "?verdict=refused"))[0]["id"]
    new = (await accepted(stage, id))["request"]
    assert (await shown(stage, new))["came"]["status"] == "held"


async def test_what_cannot_be_accepted_is_told(tiny: Stage) -> None:
    tiny.add_source(KEYED)
    for _ in range(2):
        await tiny.send("keyed", {}, ("Idempotency-Key", "1"))
    await tiny.send("form", {"name": "x" * 5_000})
    large, repeat, good = await listed(tiny)
    answer = await tiny.ask("POST", f"/api/v1/requests/{repeat['id']}/accept")
    assert (answer.status, answer.json()["type"]) == (409, "urn:beltline:problem:not-refused")
    answer = await tiny.ask("POST", f"/api/v1/requests/{large['id']}/accept")
    assert (answer.status, answer.json()["type"]) == (422, "urn:beltline:problem:no-body")
    answer = await tiny.ask("POST", f"/api/v1/requests/{good['id']}/accept")
    assert answer.status == 404
    for id in ("nothing", "00000000-0000-7000-8000-000000000000"):
        assert (await tiny.ask("GET", f"/api/v1/requests/{id}")).status == 404
        assert (await tiny.ask("POST", f"/api/v1/requests/{id}/accept")).status == 404
    del tiny.sources["form"]
    answer = await tiny.ask("POST", f"/api/v1/requests/{large['id']}/accept")
    assert (answer.status, answer.json()["type"]) == (409, "urn:beltline:problem:no-such-source")


async def test_only_operators_accept(stage: Stage) -> None:
    id = await refused_by_bearer(stage, {})
    answer = await stage.ask("POST", f"/api/v1/requests/{id}/accept", role="viewer")
    assert answer.status == 403
    assert key_of(id) is not None


HOOKS = "source: hooks\nkind: webhook\nprocess: lead\nverify: {standard-webhooks: '${HOOKS}'}\n"


async def test_a_message_whose_id_another_one_has_is_not_accepted_as_that_one(
    stage: Stage,
) -> None:
    stage.secrets["HOOKS"] = "whsec_" + "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"
    stage.add_source(HOOKS)
    at = str(stage.clock.time // 1_000)
    for body in ({"name": "Anna"}, {"name": "Boris"}):
        headers = (("webhook-id", "m1"), ("webhook-timestamp", at), ("webhook-signature", "v1,x"))
        assert (await stage.send("hooks", body, *headers)).status == 401
    second, first = [one["id"] for one in await listed(stage)]
    await accepted(stage, first)
    answer = await stage.ask("POST", f"/api/v1/requests/{second}/accept")
    assert (answer.status, answer.json()["type"]) == (409, "urn:beltline:problem:identity-taken")
    assert (await shown(stage, second))["came"]["accepted_as"] is None


async def test_what_came_by_another_kind_of_source_is_shown_as_it_is(stage: Stage) -> None:
    form = "application/x-www-form-urlencoded"
    id = await refused_by_bearer(stage, b"name=Anna", content_type=form)
    del stage.sources["signed"]
    stage.add_source(
        "source: signed\nkind: schedule\nprocess: lead\ncron: '0 0 * * *'\ntimezone: UTC\n"
    )
    assert (await shown(stage, id))["text"] == "name=Anna"
    answer = await stage.ask("POST", f"/api/v1/requests/{id}/accept")
    assert (answer.status, answer.json()["type"]) == (422, "urn:beltline:problem:other-kind")

"""What senders are answered beside the plain 202: own answers, results, challenges, origins."""

from __future__ import annotations

import hmac
from typing import Any

import msgspec
import pytest

from beltline.core.limits import PRODUCTION
from tests.unit.api.calling import call
from tests.unit.api.stage import NOW, Stage

HEAD = "kind: webhook\nprocess: lead\nverify: none\n"


def add(stage: Stage, name: str, rest: str, head: str = HEAD) -> None:
    stage.add_source(f"source: {name}\n{head}{rest}\n")


# The schema


async def test_a_request_that_does_not_fit_hears_all_that_is_wrong(stage: Stage) -> None:
    add(stage, "strict", """
schema:
  type: object
  required: [name, phone]
  properties:
    name: {type: string, maxLength: 5}
    age: {type: integer}
    tags: {type: array, items: {type: string}}
""")  # fmt: skip
    assert (await stage.send("strict", {"name": "Anna", "phone": 1})).status == 202
    body = {"name": "Anastasia", "age": "x", "tags": ["a", 1, "b", None], "a/b": {"c~": 1}}
    answer = await stage.send("strict", body)
    assert answer.status == 422
    problem = answer.json()
    assert problem["type"] == "urn:beltline:problem:schema-mismatch"
    assert problem["detail"].endswith("5 mistakes.")
    told = {(one["pointer"], one["rule"]) for one in problem["errors"]}
    assert told == {
        ("#/phone", "required"), ("#/name", "maxLength"), ("#/age", "type"), ("#/tags/1", "type"),
        ("#/tags/3", "type"),
    }  # fmt: skip
    assert problem["where"] in {one["pointer"] for one in problem["errors"]}
    assert "Anastasia" not in answer.body.decode()


async def test_pointers_are_escaped_and_mistakes_bounded(stage: Stage) -> None:
    add(stage, "strict", "schema: {additionalProperties: {type: string}}")
    one = (await stage.send("strict", {"a/b~c": 1})).json()
    assert [error["pointer"] for error in one["errors"]] == ["#/a~1b~0c"]
    assert "is not of type" in one["detail"]
    many = (await stage.send("strict", {f"k{n}": n for n in range(1_000)})).json()
    assert len(many["errors"]) == PRODUCTION.schema_errors
    assert "20 mistakes and more" in many["detail"]
    large = (await stage.send("strict", {f"k{n}": n for n in range(5_000)})).json()
    assert len(large["errors"]) == 1
    assert "perhaps more" in large["detail"]
    huge = await stage.send("strict", {f"k{n}": n for n in range(60_000)})
    assert (huge.status, "errors" in huge.json(), huge.json()["where"]) == (422, False, "#")


async def test_the_texts_of_a_form_get_the_types_of_the_schema(stage: Stage) -> None:
    add(stage, "typed", """
schema:
  properties:
    n: {type: integer}
    x: {type: number}
    yes: {type: boolean}
    d: {type: string, format: date}
    note: {type: string}
    size: {enum: [1, 2, XL]}
    list: {type: array, items: {type: integer}}
    in: {$ref: "#/$defs/in"}
  $defs: {in: {type: object, properties: {n: {type: integer}}}}
""")  # fmt: skip
    form = b"n=7&x=-1.5e3&yes=on&d=&note=&size=2&list[]=1&list[]=2&in[n]=8&other=9&in[m]=5"
    answer = await stage.send("typed", form, content_type="application/x-www-form-urlencoded")
    run = await stage.run(answer.json()["run"])
    assert run["request"]["body"] == {
        "n": 7, "x": -1500.0, "yes": True, "note": "", "size": 2, "list": [1, 2],
        "in": {"n": 8, "m": "5"}, "other": "9",
    }  # fmt: skip


@pytest.mark.parametrize("text", ["", "x", "1.5", "0x1", "1_000", "٣", "1e999", "1" * 400, "NaN",
                                  "18446744073709551616", "01"])  # fmt: skip
async def test_what_is_no_integer_stays_a_text_and_does_not_fit(stage: Stage, text: str) -> None:
    add(stage, "typed", "schema: {required: [n], properties: {n: {type: integer}}}")
    answer = await stage.send("typed", f"n={text}".encode(),
                              content_type="application/x-www-form-urlencoded")  # fmt: skip
    assert answer.status == 422
    assert answer.json()["errors"][0]["pointer"] == "#/n"


# Its own answer


async def test_a_source_answers_in_its_own_words(stage: Stage) -> None:
    add(stage, "own", """
answer:
  status: 200
  headers: {X-Lead: "lead-{{ request.n }}", X-Source: "{{ meta.source }}"}
  body: {result: ok, lead: "{{ request.n }}", none: "{{ request.nothing }}", id: "{{ id }}"}
""")  # fmt: skip
    answer = await stage.send("own", {"n": 7})
    told = answer.json()
    assert (answer.status, told) == (200, {"result": "ok", "lead": 7, "id": told["id"]})
    assert answer.headers["content-type"] == "application/json"
    assert (answer.headers["x-lead"], answer.headers["x-source"]) == ("lead-7", "own")
    assert (await stage.run(told["id"]))["request"]["body"] == {"n": 7}


async def test_an_answer_may_be_a_text_or_nothing_or_lead_elsewhere(stage: Stage) -> None:
    add(stage, "text", 'answer: {status: 201, body: "thanks, {{ request.name }}"}')
    answer = await stage.send("text", {"name": "Анна"})
    assert (answer.status, answer.body.decode()) == (201, "thanks, Анна")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    add(stage, "nothing", "answer: {status: 204}")
    answer = await stage.send("nothing", {})
    assert (answer.status, answer.body) == (204, b"")
    add(
        stage,
        "away",
        'answer: {status: 303, headers: {Location: "https://a.example/?q={{ request.q }}"}}',
    )
    answer = await stage.send("away", {"q": "привет\r\nSet-Cookie: a=b"})
    assert answer.status == 303
    assert answer.headers["location"].startswith("https://a.example/?q=%D0%BF")
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: b=c", "a\x00", "ы", "\x7f", "a\n"])
async def test_a_header_that_cannot_be_gives_the_plain_answer(stage: Stage, value: str) -> None:
    add(stage, "own", 'answer: {headers: {X-Name: "{{ request.name }}"}}')
    answer = await stage.send("own", {"name": value})
    assert answer.status == 202
    assert answer.json()["run"]
    assert "x-name" not in answer.headers


async def test_an_expression_that_fails_gives_the_plain_answer(stage: Stage) -> None:
    add(stage, "own", 'answer: {body: "{{ $number(request.name) }}"}')
    assert (await stage.send("own", {"name": "x"})).json()["run"]
    add(stage, "long", 'answer: {body: ["{{ request }}", "{{ request }}"]}')
    answer = await stage.send("long", {"a": "x" * 600_000})
    assert (answer.status, "run" in answer.json()) == (202, True)


async def test_a_repeat_gets_the_first_s_own_answer(stage: Stage) -> None:
    rest = (
        'identity: {by: "{{ request.n }}", window: 1h}\n'
        'answer: {status: 200, body: {id: "{{ id }}", at: "{{ meta.time }}"}}'
    )
    add(stage, "own", rest)
    add(stage, "held", f"{rest}\nrelease: paused")
    for name in ("own", "held"):
        stage.clock.time = NOW
        first = await stage.send(name, {"n": 7})
        stage.clock.time += 60_000
        again = await stage.send(name, {"n": 7})
        assert (again.status, again.body) == (first.status, first.body)
        assert again.headers["idempotent-replay"] == "true"


# Challenges


async def meta(stage: Stage, query: str) -> tuple[int, bytes]:
    answer = await call(stage.app, "GET", f"/in/meta?{query}")
    assert answer is not None
    return answer.status, answer.body


async def test_the_challenge_of_meta_is_answered_to_who_knows_the_token(stage: Stage) -> None:
    add(stage, "meta", 'challenge: {meta: "${T}"}')
    right = "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token="
    assert (await meta(stage, right + "canary"))[0] == 503
    stage.secrets["T"] = "old\ncanary"
    assert await meta(stage, right + "canary") == (200, b"1158201444")
    assert (await meta(stage, right + "old"))[0] == 200
    for wrong in ("canar", "", "canarys", "old%0Acanary"):
        status, body = await meta(stage, right + wrong)
        assert status == 403
        assert b"1158201444" not in body
    assert (await meta(stage, right + "canary&hub.verify_token=x"))[0] == 400
    assert (await meta(stage, "hub.mode=subscribe&hub.verify_token=canary"))[0] == 400
    assert (await meta(stage, right.replace("subscribe", "x") + "canary"))[0] == 400
    assert (await meta(stage, "a=b"))[0] == 405
    assert (await stage.send("meta", {})).status == 202
    listed = (await stage.ask("GET", "/api/v1/runs")).json()["runs"]
    assert len(listed) == 1


async def test_the_challenge_of_slack_is_answered_once_it_is_verified(stage: Stage) -> None:
    add(stage, "slack", "challenge: slack",
        'kind: webhook\nprocess: lead\nverify: {slack: "${K}"}\n')  # fmt: skip
    stage.secrets["K"] = "k"
    body = b'{"token":"x","challenge":"3eZbrw1aB","type":"url_verification"}'
    stamp = str(NOW // 1_000)
    right = hmac.new(b"k", f"v0:{stamp}:".encode() + body, "sha256").hexdigest()

    async def sent(signature: str, content: bytes = body) -> Any:
        headers = [("X-Slack-Request-Timestamp", stamp), ("X-Slack-Signature", signature)]
        return await stage.send("slack", content, *headers)

    answer = await sent(f"v0={right}")
    assert (answer.status, answer.json()) == (200, {"challenge": "3eZbrw1aB"})
    refused = await sent(f"v0={'0' * 64}")
    assert refused.status == 401
    assert b"3eZbrw1aB" not in refused.body
    assert (await stage.ask("GET", "/api/v1/runs")).json()["runs"] == []
    event = body.replace(b"url_verification", b"event_callback")
    signed = hmac.new(b"k", f"v0:{stamp}:".encode() + event, "sha256").hexdigest()
    assert (await sent(f"v0={signed}", event)).status == 202


# Bitrix24


async def test_tokens_of_bitrix24_are_checked_and_never_kept(stage: Stage) -> None:
    add(stage, "portal", "", 'kind: webhook\nprocess: lead\nverify: {bitrix24: "${K}"}\n')
    stage.secrets["K"] = "canary"
    form = (
        b"event=ONCRMDEALADD&data[FIELDS][ID]=7&auth[domain]=a.bitrix24.ru"
        b"&auth[application_token]=canary&auth[access_token]=canary2&auth[refresh_token]=canary3"
    )
    type = "application/x-www-form-urlencoded"
    assert (await stage.send("portal", form.replace(b"=canary&", b"=x&"), content_type=type)
            ).status == 401  # fmt: skip
    answer = await stage.send("portal", form, content_type=type)
    run = await stage.run(answer.json()["run"])
    assert run["request"]["body"] == {
        "event": "ONCRMDEALADD", "data": {"FIELDS": {"ID": "7"}},
        "auth": {"domain": "a.bitrix24.ru"},
    }  # fmt: skip
    assert "canary" not in msgspec.json.encode(run).decode()


# Origins

SHOP = ("Origin", "https://shop.example")


async def test_pages_of_known_sites_may_send_and_read_the_answer(stage: Stage) -> None:
    add(stage, "cors", "cors: {origins: [https://shop.example]}")
    asked = await stage.send("cors", b"", SHOP, ("Access-Control-Request-Method", "POST"),
                             method="OPTIONS")  # fmt: skip
    assert asked.status == 204
    assert asked.headers["access-control-allow-origin"] == "https://shop.example"
    assert asked.headers["access-control-allow-methods"] == "POST"
    assert "content-type" in asked.headers["access-control-allow-headers"]
    assert asked.headers["vary"] == "origin"
    assert "access-control-allow-credentials" not in asked.headers
    for body in (b"{}", b"{"):
        answer = await stage.send("cors", body, SHOP)
        assert answer.headers["access-control-allow-origin"] == "https://shop.example"
    assert (await stage.send("cors", {})).status == 202


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "http://shop.example", "https://shop.example.evil",
     "https://shop.example:444"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["POST", "OPTIONS"])
async def test_pages_of_other_sites_may_not(stage: Stage, origin: str, method: str) -> None:
    add(stage, "cors", "cors: {origins: [https://shop.example]}")
    answer = await stage.send("cors", {}, ("Origin", origin), method=method)
    assert answer.status == 403
    assert "access-control-allow-origin" not in answer.headers
    assert (await stage.ask("GET", "/api/v1/runs")).json()["runs"] == []


async def test_any_site_may_send_where_the_source_says_so(stage: Stage) -> None:
    add(stage, "cors", 'cors: {origins: ["*"]}')
    answer = await stage.send("cors", {}, ("Origin", "https://any.example"))
    assert answer.headers["access-control-allow-origin"] == "https://any.example"


async def test_without_cors_no_origin_may_read_and_none_is_refused(stage: Stage) -> None:
    answer = await stage.send("form", {}, SHOP)
    assert answer.status == 202
    assert "access-control-allow-origin" not in answer.headers
    assert (await stage.send("form", b"", SHOP, method="OPTIONS")).status == 405


async def test_a_401_says_how_to_prove_oneself(stage: Stage) -> None:
    add(
        stage,
        "basic",
        "",
        'kind: webhook\nprocess: lead\nverify: {basic: {user: a, secret: "${K}"}}\n',
    )
    stage.secrets["K"] = "k"
    answer = await stage.send("basic", {})
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Basic realm=")
    assert (await stage.send("basic", {}, ("Authorization", "Basic YTpr"))).status == 202

"""What a webhook source's file may say beside `verify`, and where a mistake in it is."""

from __future__ import annotations

import pytest

from beltline.core.expression import Scope
from beltline.definition.answer import MetaChallenge, SlackChallenge, Waiting
from beltline.definition.secret import SecretRef
from beltline.definition.source import CheckedSource, Source, read_source
from beltline.definition.verify import VerifyBasic, VerifyBitrix24, VerifySlack
from beltline.definition.webhook import WebhookWay
from tests.unit.definition.shelf import lines

HEAD = "source: form\nkind: webhook\nprocess: lead\n"
OPEN = HEAD + "verify: none\n"


def check(text: str) -> CheckedSource:
    return read_source(text, name="form", file="s.yaml", processes=["lead"])


def source_of(text: str) -> Source:
    checked = check(text)
    assert checked.source is not None, lines(checked.findings)
    return checked.source


def way_of(text: str) -> WebhookWay:
    way = source_of(text).way
    assert isinstance(way, WebhookWay)
    return way


def test_without_more_keys_nothing_is_special() -> None:
    way = way_of(OPEN)
    assert (way.answer, way.wait, way.challenge, way.cors, way.form, way.body_bytes) == (
        None, Waiting(), None, None, None, None)  # fmt: skip


def test_more_ways_to_verify() -> None:
    assert way_of(HEAD + 'verify: {basic: {user: site, secret: "${K}"}}').verify == (
        VerifyBasic("site", SecretRef("K"))
    )
    assert way_of(HEAD + 'verify: {slack: "${K}"}').verify == VerifySlack(SecretRef("K"))
    assert way_of(HEAD + 'verify: {bitrix24: {secret: "${K}"}}').verify == (
        VerifyBitrix24(SecretRef("K"))
    )


def test_an_answer_of_its_own() -> None:
    answer = way_of(
        OPEN + 'answer: {status: 200, headers: {X-Lead: "{{ request.id }}"}, body: {ok: true, '
        'id: "{{ id }}", at: "{{ meta.time }}"}}\n'
    ).answer
    assert answer is not None
    assert (answer.status, list(answer.headers)) == (200, ["x-lead"])
    assert answer.body is not None
    document = {"request": {"id": 7}, "meta": {"time": "now"}, "id": "x"}
    scope = Scope(0, "x", 0)
    assert answer.body.resolve(document, scope) == {"ok": True, "id": "x", "at": "now"}
    assert answer.headers["x-lead"].resolve(document, scope) == 7


def test_challenges() -> None:
    assert way_of(OPEN + 'challenge: {meta: "${T}"}').challenge == (MetaChallenge(SecretRef("T")))
    assert way_of(OPEN + 'challenge: {meta: {secret: "${T}"}}').challenge == (
        MetaChallenge(SecretRef("T"))
    )
    slack = way_of(HEAD + 'verify: {slack: "${K}"}\nchallenge: slack')
    assert slack.challenge == SlackChallenge()


def test_origins_and_sizes() -> None:
    way = way_of(OPEN + "cors: {origins: [https://a.example, 'http://b.example:8080']}")
    assert way.cors is not None
    assert way.cors.allows("https://a.example")
    assert not way.cors.allows("http://a.example")
    assert not way.cors.allows("null")
    everyone = way_of(OPEN + 'cors: {origins: ["*"]}').cors
    assert everyone is not None
    assert everyone.allows("https://x.example")
    assert way_of(OPEN + "body: {most: 64KiB}").body_bytes == 65_536
    assert way_of(OPEN + "body: {most: 16MiB}").body_bytes == 16_777_216


def test_what_a_sender_that_waits_is_told() -> None:
    wait = way_of(OPEN + 'wait: {output: {score: "{{ judge.score }}"}, document: true}').wait
    assert wait.document
    assert wait.output is not None
    value = wait.output.resolve({"judge": {"score": 7}}, Scope(0, "x", 0))
    assert value == {"score": 7}


SLACK = 'verify: {slack: "${K}"}\n'


@pytest.mark.parametrize(
    ("rest", "line"),
    [
        ("verify: basic", 's.yaml:4:9: verify needs more than "basic". Write `verify: {basic: {'),
        ('verify: {basic: "${K}"}', "s.yaml:4:17: basic must be an object of keys, not a text"),
        ('verify: {basic: {secret: "${K}"}}', "s.yaml:4:17: basic needs the name of the user"),
        ('verify: {basic: {user: "a:b", secret: "${K}"}}', "s.yaml:4:24: user must be a name"),
        ('verify: {basic: {user: 7, secret: "${K}"}}', "s.yaml:4:24: user must be a text"),
        ("verify: {bitrix24: token}", "s.yaml:4:20: secret must name a secret, not hold it"),
        ("verify: {slack: {}}", "s.yaml:4:17: slack needs a secret"),
        ("verify: none\nanswer: ok", "s.yaml:5:9: answer must be an object of keys"),
        ("verify: none\nanswer: {status: 404}", "s.yaml:5:18: status can be 200 to 206, 301, 302"),
        ("verify: none\nanswer: {status: true}", "s.yaml:5:18: status can be 200"),
        ("verify: none\nanswer: {status: 204, body: x}", "s.yaml:5:29: an answer of the status"),
        ("verify: none\nanswer: {bdoy: x}", 's.yaml:5:10: unknown key "bdoy" in answer. Did you'),
        ('verify: none\nanswer: {body: "{{ step.x }}"}', 's.yaml:5:16: "step" is not known when a'),
        ('verify: none\nanswer: {body: {a: ["{{ request."]}}', "s.yaml:5:21: "),
        ('verify: none\nanswer: {headers: {"a b": x}}', 's.yaml:5:20: "a b" cannot name a header'),
        ("verify: none\nanswer: {headers: {Content-Length: x}}", "s.yaml:5:20: the header conten"),
        ("verify: none\nanswer: {headers: {Access-Control-Allow-Origin: x}}", "s.yaml:5:20: the"),
        ("verify: none\nanswer: {headers: {A: x, a: y}}", "s.yaml:5:26: the header a stands twice"),
        ("verify: none\nanswer: {headers: {A: 1}}", "s.yaml:5:23: a header must be a text, not a"),
        ("verify: none\nwait: {document: yes please}", "s.yaml:5:18: document must be true or"),
        ("verify: none\nwait: 30s", "s.yaml:5:7: wait must be an object of keys, not a text"),
        ("verify: none\nchallenge: meta", "s.yaml:5:12: meta needs its verify token. Write"),
        ("verify: none\nchallenge: {meta: abc}", "s.yaml:5:19: secret must name a secret"),
        ("verify: none\nchallenge: slak", 's.yaml:5:12: this is no challenge. Did you mean "sl'),
        ("verify: none\nchallenge: [slack]", "s.yaml:5:12: this is no challenge. Write `slack`"),
        ("verify: none\nchallenge: slack", "s.yaml:5:12: only a sender that is verified can be"),
        ("verify: none\ncors: {origins: []}", "s.yaml:5:7: cors needs a list of 1 to 100 origins"),
        ("verify: none\ncors: {origins: [https://a.example/]}", 's.yaml:5:18: "https://a.example/"'),
        ("verify: none\ncors: {origins: [https://A.example]}", "s.yaml:5:18: "),
        ("verify: none\ncors: {origins: ['https://a.example:443']}", "s.yaml:5:18: "),
        ("verify: none\ncors: {origins: [a.example]}", 's.yaml:5:18: "a.example" is no origin'),
        ("verify: none\ncors: {origins: ['null']}", 's.yaml:5:18: "null" is no origin'),
        ("verify: none\ncors: {origins: [1]}", "s.yaml:5:18: an origin must be a text, not"),
        ("verify: none\ncors: {origins: [[]]}", "s.yaml:5:18: an origin must be a text, not"),
        ("verify: none\nbody: {most: 8MB}", "s.yaml:5:7: body needs the size that it may have"),
        ("verify: none\nbody: {most: 0MiB}", "s.yaml:5:7: body needs the size that it may have"),
        ("verify: none\nbody: {most: 17MiB}", "s.yaml:5:14: most must be at most 16,777,216 bytes"),
        ("verify: none\nform: true", "s.yaml:5:7: a form is made of the schema, and there is none"),
        (SLACK + "schema: {properties: {a: {type: string}}}\nform: true", "s.yaml:6:7: a browser"),
    ],
)  # fmt: skip
def test_a_mistake_has_its_place(rest: str, line: str) -> None:
    checked = check(HEAD + rest)
    assert checked.source is None
    assert len(checked.findings) == 1, lines(checked.findings)
    assert str(checked.findings[0]).startswith(line)


# The schema


@pytest.mark.parametrize(
    ("schema", "line"),
    [
        ("[]", "s.yaml:5:9: schema must be an object of keys, not a list"),
        ("{type: strin}", 's.yaml:5:16: the schema is wrong: "strin" is not'),
        ("{properties: {a: {minimum: x}}}", 's.yaml:5:36: the schema is wrong: "x" is not of type'),
        ("{properties: [1]}", "s.yaml:5:22: the schema is wrong: [1] is not of type"),
        ('{pattern: "(a"}', 's.yaml:5:19: the schema is wrong: "(a" is not a "regex"'),
        ('{pattern: "(?=a)b"}', 's.yaml:5:19: the schema is wrong: "(?=a)b" is not a "regex"'),
        ('{$ref: "#/$defs/nope"}', "s.yaml:5:9: the schema is wrong: Pointer '/$defs/nope'"),
        ('{$ref: "http://127.0.0.1:9/x"}', "s.yaml:5:9: the schema is wrong: Resource"),
        ('{$schema: "http://127.0.0.1:9/x"}', "s.yaml:5:9: the schema is wrong: Unknown meta"),
    ],
)
def test_a_wrong_schema_is_a_finding_with_its_place(schema: str, line: str) -> None:
    checked = check(f"{OPEN}schema: {schema}\n")
    assert checked.source is None
    assert str(checked.findings[0]).startswith(line), lines(checked.findings)


def test_a_wrong_schema_is_told_once_where_a_form_is_made_of_it_too() -> None:
    checked = check(f"{OPEN}schema: {{type: strin}}\nform: true\n")
    assert len(checked.findings) == 1


def test_a_schema_that_nests_too_deep_is_refused_by_its_limit_s_name() -> None:
    deep = '{"not":' * 101 + "{}" + "}" * 101
    assert "schema_depth" in str(check(f"{OPEN}schema: {deep}\n").findings[0])
    assert source_of(f"{OPEN}schema: {deep[7:-1]}\n").schema is not None


def test_any_kind_of_source_may_have_a_schema_of_an_older_draft() -> None:
    schema = '{$schema: "http://json-schema.org/draft-07/schema#", definitions: {a: {}}}'
    assert source_of(f"{OPEN}schema: {schema}\n").schema is not None


# The form


def form_findings(properties: str, more: str = "") -> list[str]:
    schema = f"schema: {{type: object, properties: {{{properties}}}{more}}}"
    return lines(check(f"{OPEN}form: true\n{schema}\n").findings)


@pytest.mark.parametrize(
    ("properties", "more", "said"),
    [
        ("a: {}", "", "a page can show texts"),
        ("a: true", "", "a page can show texts"),
        ("a: {type: array, items: {type: string}}", "", "those whose items are an enum"),
        ("a: {enum: [[]]}", "", "a form offers texts and numbers only"),
        ('"a[b]": {type: string}', "", "must not be empty or hold brackets"),
        ('"": {type: string}', "", "must not be empty or hold brackets"),
        ("a: {type: boolean}", ", required: [a]", "a box that is not ticked sends nothing"),
        ("a: {type: object, properties: {" * 5 + "b: {type: string}" + "}}" * 5, "", "form_levels"),
        (", ".join(f"a{n}: {{type: string}}" for n in range(501)), "", "form_page_fields"),
    ],
)
def test_a_property_that_a_page_cannot_show_is_found(properties: str, more: str, said: str) -> None:
    found = form_findings(properties, more)
    assert len(found) == 1
    assert said in found[0]


def test_a_schema_that_leads_in_a_circle_ends() -> None:
    found = form_findings('a: {$ref: "#/properties/a"}')
    assert "a page can show texts" in found[0]
    tree = (
        'schema: {$ref: "#/$defs/t", $defs: {t: {type: object, properties: '
        '{x: {type: string}, t: {$ref: "#/$defs/t"}}}}}'
    )
    assert "form_levels" in str(check(f"{OPEN}form: true\n{tree}\n").findings[0])

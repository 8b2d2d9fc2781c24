"""Source files: who may send, what makes a request a repeat, when runs start."""

from __future__ import annotations

from typing import Any

import pytest

from beltline.core.expression import Scope
from beltline.definition.buffering import AtOnce, Paused
from beltline.definition.secret import SecretRef
from beltline.definition.source import CheckedSource, Source, read_source
from beltline.definition.verify import (
    Verify,
    VerifyBearer,
    VerifyHmac,
    VerifyNone,
    VerifyStandardWebhooks,
)
from beltline.definition.webhook import WebhookWay
from tests.unit.definition.shelf import lines

HEAD = "source: site-form\nkind: webhook\nprocess: deal-intake\n"


def check(text: str, **options: Any) -> CheckedSource:
    return read_source(
        text, **{"name": "site-form", "file": "s.yaml", "processes": ["deal-intake"], **options}
    )


def source_of(text: str) -> Source:
    checked = check(text)
    assert checked.source is not None, lines(checked.findings)
    return checked.source


def test_a_source_of_the_design() -> None:
    source = source_of(
        HEAD + 'verify: {hmac: {header: X-Signature, secret: "${SITE_FORM_SECRET}"}}\n'
        'identity: {by: "{{ request.lead_id }}", window: 2h}\nrelease: paused\n'
    )
    assert (source.name, source.kind, source.process) == ("site-form", "webhook", "deal-intake")
    assert isinstance(source.way, WebhookWay)
    assert source.way.verify == VerifyHmac("X-Signature", SecretRef("SITE_FORM_SECRET"))
    assert source.buffering.release == Paused()
    assert source.identity is not None
    assert source.identity.window_ms == 7_200_000
    value = source.identity.by.resolve({"request": {"lead_id": 7}}, Scope(0, "r", 1))
    assert value == 7


@pytest.mark.parametrize(
    ("written", "verify"),
    [
        ("none", VerifyNone()),
        ('{bearer: "${T}"}', VerifyBearer(SecretRef("T"))),
        ('{bearer: {secret: "${T}"}}', VerifyBearer(SecretRef("T"))),
        ('{standard-webhooks: {secret: "${W}"}}', VerifyStandardWebhooks(SecretRef("W"))),
        (
            (
                '{hmac: {header: X-Hub-Signature-256, secret: "${G}", algorithm: sha512, '
                'encoding: base64, prefix: "sha512="}}'
            ),
            VerifyHmac("X-Hub-Signature-256", SecretRef("G"), "sha512", "base64", "sha512="),
        ),
    ],
)
def test_ways_to_verify(written: str, verify: Verify) -> None:
    source = source_of(HEAD + f"verify: {written}\n")
    assert isinstance(source.way, WebhookWay)
    assert source.way.verify == verify
    assert (source.buffering.release, source.identity) == (AtOnce(), None)


@pytest.mark.parametrize(
    ("rest", "line"),
    [
        ("", "s.yaml:1:1: the source does not say how its senders are verified. Write `bearer`"),
        ("verify: non", 's.yaml:4:9: verify cannot be "non". Did you mean "none"?'),
        ("verify: hmac", 's.yaml:4:9: verify needs more than "hmac". Write `verify: {hmac:'),
        ("verify: false", "s.yaml:4:9: verify cannot be true or false"),
        ("verify: {}", "s.yaml:4:9: verify takes exactly one way"),
        ("verify: {baerer: x}", 's.yaml:4:10: unknown key "baerer" in verify. Did you mean "bear'),
        ("verify: {bearer: abc}", "s.yaml:4:18: secret must name a secret, not hold it"),
        ("verify: {bearer: $TOKEN}", ('s.yaml:4:18: secret must name a secret, not hold it. '
         'Write "${TOKEN}".')),
        ("verify: {bearer: {}}", "s.yaml:4:18: bearer needs a secret"),
        ("verify: {bearer: [x]}", "s.yaml:4:18: bearer must be an object of keys, not a list"),
        ('verify: {hmac: {secret: "${S}"}}', "s.yaml:4:16: hmac needs the header"),
        ('verify: {hmac: {header: "a b", secret: "${S}"}}', 's.yaml:4:25: "a b" cannot name'),
        ('verify: {hmac: {header: X, secret: "${S}", algorithm: md5}}',
         "s.yaml:4:55: algorithm can be sha256, sha512 or sha1"),
        ('verify: {hmac: {header: X, secret: "${S}", encoding: hexx}}',
         "s.yaml:4:54: encoding can be hex or base64"),
        ("verify: none\nidentity: {window: 1h}", "s.yaml:5:11: identity needs the value"),
        ("verify: none\nidentity: {by: request.id}", ("s.yaml:5:16: this is the same for every "
         'request. Write "{{ request.id }}".')),
        ('verify: none\nidentity: {by: "{{ deal.id }}"}', 's.yaml:5:16: "deal" is not known'),
        ('verify: none\nidentity: {by: "{{ request.id }}", window: 0s}', "s.yaml:5:44: window"),
        ('verify: none\nidentity: {by: "{{ request.id", window: 1h}', "s.yaml:5:16:"),
        ("verify: none\nrelease: later", 's.yaml:5:10: release cannot be "later". Write at-once'),
        ("verify: none\nrelease: {at_most: 10}", "s.yaml:5:10: release needs the time that"),
        ("verify: none\nrelease: {at_most: 0, every: 1m}", "s.yaml:5:20: at_most must be at"),
        ("verify: none\nrelease: {at_most: 1, every: 1m, spraed: true}", 's.yaml:5:34: unknown'),
        ('verify: none\nrelease: {schedule: "0 9 * * *"}', "s.yaml:5:10: a time of day needs"),
        ('verify: none\nrelease: {schedule: "61 9 * * *", timezone: UTC}', "s.yaml:5:21: this is"),
        ('verify: none\nrelease: {schedule: "0 0 30 2 *", timezone: UTC}', "s.yaml:5:21: this"),
        ('verify: none\nrelease: {schedule: "0 9 * * *", timezone: Mars/One}',
         's.yaml:5:44: there is no time zone "Mars/One"'),
        ("verify: none\nrelease: {hours: Mon-Fri 18:00-9:00, timezone: UTC}", "s.yaml:5:18: "),
        ("verify: none\nrelease: {collect: 10}", "s.yaml:5:10: collect needs the time after"),
        ("verify: none\non_stopped: pass", "s.yaml:5:13: on_stopped needs a key"),
        ("verify: none\nkey: deal", 's.yaml:5:6: this is the same for every request. Write "{'),
        ("verify: none\npriority: -1", "s.yaml:5:11: priority must be at least 0"),
        ("verify: none\nbacklog: {most: 5, answer: 500}", "s.yaml:5:28: answer can be 429 or 503"),
        ("verify: none\nexpires: 5", "s.yaml:5:10: expires needs a unit. Write 5s for seconds."),
        ("verify: none\nrelaese: paused", ('s.yaml:5:1: unknown key "relaese" in a source. '
         'Did you mean "release"?')),
    ],
)  # fmt: skip
def test_a_mistake_has_its_place(rest: str, line: str) -> None:
    checked = check(HEAD + rest)
    assert checked.source is None
    assert len(checked.findings) == 1
    assert str(checked.findings[0]).startswith(line)


def test_every_mistake_is_found_at_once() -> None:
    checked = check("source: form\nkind: post\nprocess: deal\nverify: x\nrelease: later\n")
    assert [(finding.line, finding.column) for finding in checked.findings] == [
        (1, 9),
        (2, 7),
        (3, 10),
        (5, 10),
    ]
    assert 'Did you mean "deal-intake"?' not in checked.findings[2].suggestion
    assert "Kinds: webhook" in checked.findings[1].suggestion


def test_a_kind_that_does_not_exist_and_missing_keys() -> None:
    assert "is no kind of source" in str(check(HEAD.replace("webhook", "hook")).findings)
    found = str(lines(check("verify: none\n").findings))
    for text in ("the source has no name", "has no kind", "names no process"):
        assert text in found


def test_what_is_no_source_at_all() -> None:
    assert check("[]").source is None
    assert check("a: [").findings[0].line == 1
    assert check('{"source": "site-form", }', file="s.json").findings[0].column == 23

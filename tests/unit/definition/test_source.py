"""Source files: who may send, what makes a request a repeat, when runs start."""

from __future__ import annotations

from typing import Any

import pytest

from beltline.core.expression import Scope
from beltline.definition.secret import SecretRef
from beltline.definition.source import (
    CheckedSource,
    Source,
    Verify,
    VerifyBearer,
    VerifyHmac,
    VerifyNone,
    VerifyStandardWebhooks,
    read_source,
)
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
    assert source.verify == VerifyHmac("X-Signature", SecretRef("SITE_FORM_SECRET"))
    assert source.release == "paused"
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
    assert source.verify == verify
    assert (source.release, source.identity) == ("at-once", None)


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
        ("verify: none\nrelease: {at_most: 10, every: 1m}",
         ("s.yaml:5:10: this version releases at once, or by hand. "
         "Leave release out, or write `release: paused`.")),
        ("verify: none\nschema: {}", "s.yaml:5:1: this version has no `schema` of sources"),
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
    checked = check("source: form\nkind: mail\nprocess: deal\nverify: x\nrelease: later\n")
    assert [(finding.line, finding.column) for finding in checked.findings] == [
        (1, 9),
        (2, 7),
        (3, 10),
        (4, 9),
        (5, 10),
    ]
    assert 'Did you mean "deal-intake"?' not in checked.findings[3].suggestion
    assert "only webhooks" in checked.findings[1].message


def test_a_kind_that_does_not_exist_and_missing_keys() -> None:
    assert "is no kind of source" in str(check(HEAD.replace("webhook", "hook")).findings)
    found = str(lines(check("verify: none\n").findings))
    for text in ("the source has no name", "has no kind", "names no process"):
        assert text in found


def test_what_is_no_source_at_all() -> None:
    assert check("[]").source is None
    assert check("a: [").findings[0].line == 1
    assert check('{"source": "site-form", }', file="s.json").findings[0].column == 23

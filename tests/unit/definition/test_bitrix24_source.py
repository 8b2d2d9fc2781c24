"""Source files of the kind `bitrix24`: what they give, and where they are wrong."""

from __future__ import annotations

import pytest

from beltline.definition.bitrix24 import Bitrix24Way, RecordKind
from beltline.definition.secret import SecretRef
from beltline.definition.source import CheckedSource, read_source
from tests.unit.definition.shelf import lines

HEAD = "source: s\nkind: bitrix24\nprocess: p\nconnection: crm\n"
LEADS = "every: 5m\nrecords: [lead]\n"
TOKEN = 'application_token: {secret: "${PORTAL_TOKEN}"}\n'


def check(text: str) -> CheckedSource:
    return read_source(text, name="s", file="s.yaml", processes=["p"], connections=["crm"])


def way_of(rest: str) -> Bitrix24Way:
    checked = check(HEAD + rest)
    assert checked.source is not None, lines(checked.findings)
    assert checked.findings == []
    assert isinstance(checked.source.way, Bitrix24Way)
    return checked.source.way


def test_the_shortest_file_takes_what_lists_can_tell() -> None:
    assert way_of(LEADS) == Bitrix24Way(
        "crm", 300_000, (RecordKind("lead", 1),), frozenset(("add", "update"))
    )


def test_with_a_token_deletions_are_told_too() -> None:
    way = way_of(LEADS + TOKEN)
    assert way.on == {"add", "update", "delete"}
    assert way.token == SecretRef("PORTAL_TOKEN")
    assert way_of(LEADS + 'application_token: "${PORTAL_TOKEN}"\n') == way


def test_a_file_with_every_key() -> None:
    way = way_of(
        "every: 1m\nrecords: [deal, contact, 31, 1036]\non: [add, delete]\n"
        "fields: [title, ufCrm_1639]\nwhere: {categoryId: 2, '>=opportunity': 1000.5,"
        ' "@stageId": [NEW, WON]}\nstart: "2026-01-31T00:00:00+03:00"\n'
        + TOKEN
        + "events: [ONVOXIMPLANTCALLEND]\n"
    )
    assert [(kind.name, kind.type_id) for kind in way.records] == [
        *(("deal", 2), ("contact", 3), ("invoice", 31), ("smart-1036", 1036))
    ]
    assert way.on == {"add", "delete"}
    assert way.fields == ("title", "ufCrm_1639")
    assert way.where == {"categoryId": 2, ">=opportunity": 1000.5, "@stageId": ["NEW", "WON"]}
    assert way.start == 1_769_806_800
    assert way.events == {"ONVOXIMPLANTCALLEND"}
    assert way_of(LEADS + "start: all\n").start == "all"
    assert way_of(LEADS + "start: now\n").start == "now"


def test_everything_that_sources_have_stands_beside() -> None:
    source = check(
        HEAD
        + LEADS
        + 'release: {at_most: 10, every: 1m}\nkey: "{{ request.id }}"\npriority: 3\n'
        + "backlog: 100\nexpires: 1h\n"
        + "condition:\n  - {field: request.event, operation: '=', value: lead.add, result: [p]}\n"
    ).source
    assert source is not None
    assert source.buffering.expires_ms == 3_600_000
    assert source.routing is not None


@pytest.mark.parametrize(
    ("rest", "line"),
    [
        ("", "s.yaml:1:1: the source does not say how often it looks. Add `every: 1m`."),
        ("every: 5m", "s.yaml:1:1: the source lists no records. Write lead, deal, contact"),
        ("every: 5m\nrecords: lead", "s.yaml:6:10: the source lists no records"),
        ("every: 5m\nrecords: []", "s.yaml:6:10: the source lists no records"),
        ("every: 5m\nrecords: [lead, lea]", 's.yaml:6:17: "lea" is no kind of record. Did you me'),
        ("every: 5m\nrecords: [5]", "s.yaml:6:11: 5 is no kind of record. Write lead, deal"),
        ("every: 5m\nrecords: [true]", "s.yaml:6:11: True is no kind of record"),
        ("every: 5m\nrecords: [lead, 1]", "s.yaml:6:17: lead stands here twice"),
        (LEADS + "on: add", "s.yaml:7:5: on must list some of add, update, delete, not a text"),
        (LEADS + "on: [added]", 's.yaml:7:6: on can list add, update, delete, not "added"'),
        (LEADS + "on: [delete]", "s.yaml:7:6: what was deleted is told by events alone. Add `app"),
        (LEADS + "events: [ONX]", "s.yaml:7:9: events are taken from who has the application tok"),
        (LEADS + TOKEN + "events: [onCrmX]", "s.yaml:8:10: events holds what is not like the na"),
        (LEADS + "application_token: s3cret", "s.yaml:7:20: application_token must name a secre"),
        (LEADS + "application_token: {}", "s.yaml:7:20: application_token needs a secret. Add `s"),
        (LEADS + 'application_token: {secret: "s"}', "s.yaml:7:29: secret must name a secret, no"),
        (LEADS + "application_token: {bearer: x}", 's.yaml:7:21: unknown key "bearer" in applica'),
        (LEADS + "application_token: [x]", "s.yaml:7:20: application_token must be an object"),
        (LEADS + "fields: title", "s.yaml:7:9: fields must be a list of 1 to 100 names"),
        (LEADS + "fields: [title, '*']", "s.yaml:7:17: fields holds what is not like the name o"),
        (LEADS + "where: [x]", "s.yaml:7:8: where must be an object"),
        (LEADS + "where: {'~x': 1}", 's.yaml:7:9: "~x" is no condition of a filter. Write a fie'),
        (LEADS + "where: {'>id': 1}", "s.yaml:7:9: the source itself asks by id. Take it out."),
        (LEADS + "where: {updatedTime: x}", "s.yaml:7:9: the source itself asks by updatedTime"),
        (LEADS + "where: {a: {b: 1}}", "s.yaml:7:12: a condition is held against a text, a numb"),
        (LEADS + "where: {a: '{{ x }}'}", "s.yaml:7:12: a condition is held against a text"),
        (LEADS + "where: {a: [[1]]}", "s.yaml:7:12: a condition is held against a text"),
        (LEADS + "start: then", "s.yaml:7:8: start must be now, all, or a moment with its zone."),
        (LEADS + "start: 2026-01-31T00:00:00", "s.yaml:7:8: start must be now, all, or a moment"),
        (LEADS + 'identity: {by: "{{ request.id }}"}', "s.yaml:7:1: a bitrix24 source needs no"),
        (LEADS + "verify: none", 's.yaml:7:1: unknown key "verify" in a source'),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(rest: str, line: str) -> None:
    checked = check(HEAD + rest)
    assert checked.source is None
    assert any(one.startswith(line) for one in lines(checked.findings)), lines(checked.findings)


def test_a_connection_is_needed() -> None:
    text = HEAD.replace("connection: crm\n", "") + LEADS
    assert lines(check(text).findings) == [
        "s.yaml:1:1: the source names no connection. Add `connection: NAME`."
    ]
    wrong = check(HEAD.replace("crm", "crn") + LEADS).findings
    assert lines(wrong)[0].startswith('s.yaml:4:13: no connection has the name "crn"')

"""Source files of the kinds that look for themselves: what they give, and where they are wrong."""

from __future__ import annotations

from typing import Any

import pytest

from beltline.core.expression import Scope
from beltline.definition.files import S3, FilesWay, Folder, Sftp
from beltline.definition.poll import HttpPoll, PollWay, SqlPoll
from beltline.definition.schedule import AtTimes, Every, ScheduleWay
from beltline.definition.source import CheckedSource, Source, read_source
from tests.unit.definition.shelf import lines

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJtYy1ub3QtYS1yZWFsLWtleS1idXQtMzItYg"
HEADS = {
    "schedule": "source: s\nkind: schedule\nprocess: p\n",
    "files": "source: s\nkind: files\nprocess: p\n",
    "poll": "source: s\nkind: poll\nprocess: p\n",
}


def check(kind: str, rest: str) -> CheckedSource:
    return read_source(
        HEADS[kind] + rest, name="s", file="s.yaml", processes=["p"], connections=["shop"]
    )


def way_of(kind: str, rest: str) -> Any:
    source = source_of(kind, rest)
    return source.way


def source_of(kind: str, rest: str) -> Source:
    checked = check(kind, rest)
    assert checked.source is not None, lines(checked.findings)
    assert checked.findings == []
    return checked.source


def test_schedules() -> None:
    every = way_of("schedule", "every: 15m\n")
    assert isinstance(every, ScheduleWay)
    assert every.times == Every(900_000)
    assert every.missed == "once"
    assert every.request.resolve({"meta": {}}, Scope(0, "r", 0)) == {}
    daily = way_of(
        "schedule",
        'cron: "0 9 * * 1-5"\ntimezone: Europe/Moscow\nmissed: all\n'
        'request: {due: "{{ meta.due }}", list: [1]}\n',
    )
    assert isinstance(daily.times, AtTimes)
    assert daily.times.cron.zone == "Europe/Moscow"
    meta = {"meta": {"due": "d"}}
    assert daily.request.resolve(meta, Scope(0, "r", 0)) == {"due": "d", "list": [1]}
    assert way_of("schedule", "every: 1s\nrequest: [1, 2]\n").request.is_constant


def test_files() -> None:
    local = way_of("files", "folder: in/orders\nevery: 30s\n")
    assert isinstance(local, FilesWay)
    assert local == FilesWay(Folder("in/orders"), 30_000)
    assert (local.settle_ms, local.each, local.then, local.connection) == (
        *(10_000, "file", "move"),
        None,
    )
    far = way_of(
        "files",
        f'sftp: {{connection: shop, folder: /out, host_key: "{KEY}"}}\nevery: 1m\n'
        'pattern: "*.csv"\nsettle: 1m\neach: row\nformat: csv\nencoding: windows-1251\n'
        'delimiter: ";"\nthen: keep\n',
    )
    assert far.where == Sftp("shop", "/out", KEY)
    assert (far.settle_ms, far.encoding, far.delimiter) == (60_000, "cp1251", ";")
    bucket = way_of("files", "s3: {connection: shop, bucket: b-1, prefix: /in/}\nevery: 1m\n")
    assert bucket.where == S3("shop", "b-1", "in/")
    assert bucket.settle_ms == 0
    assert way_of("files", "folder: in\nevery: 1m\nsettle: none\n").settle_ms == 0


def test_polls() -> None:
    http = way_of(
        "poll",
        "every: 1m\nhttp:\n  connection: shop\n  path: orders\n"
        '  query: {since: "{{ cursor }}"}\n  items: "{{ answer.rows }}"\n'
        '  id: "{{ item.id }}"\n  cursor: "{{ item.at }}"\n  start: 0\n  next: "{{ answer.n }}"\n',
    )
    assert isinstance(http, PollWay)
    assert isinstance(http.asks, HttpPoll)
    assert (http.asks.asked.cursor_is_of_items, http.asks.places_next) == (True, False)
    last = way_of(
        "poll",
        'every: 1m\nhttp: {url: "https://a.example/x", cursor: "{{ answer.t }}", '
        'query: {p: "{{ next }}"}, next: "{{ answer.n }}"}\n',
    )
    assert (last.asks.asked.cursor_is_of_items, last.asks.places_next) == (False, True)
    sql = way_of(
        "poll",
        'every: 1m\nsql: {connection: shop, query: "select 1 where a > :cursor and b::int = 1", '
        'cursor: "{{ item.a }}", start: ""}\n',
    )
    assert isinstance(sql.asks, SqlPoll)
    assert sql.asks.takes_cursor
    assert sql.connection == "shop"


SFTP = f'sftp: {{connection: shop, host_key: "{KEY}"}}\nevery: 1m\n'


@pytest.mark.parametrize(
    ("kind", "rest", "line"),
    [
        ("schedule", "", "s.yaml:1:1: the schedule does not say when it is due. Add `every: 15m`"),
        ("schedule", 'every: 1m\ncron: "0 9 * * *"', "s.yaml:4:1: a schedule has cron or every"),
        ("schedule", "every: 1m\ntimezone: UTC", "s.yaml:5:1: an interval has no time zone"),
        ("schedule", "every: 5", "s.yaml:4:8: every needs a unit. Write 5s for seconds."),
        ("schedule", "every: 10ms", "s.yaml:4:8: every must be at least 1s"),
        ("schedule", 'cron: "0 9 * * *"', "s.yaml:1:1: a time of day needs its time zone"),
        ("schedule", 'cron: "0 9 * *"\ntimezone: UTC', "s.yaml:4:7: a schedule has five fields"),
        ("schedule", 'cron: "0 9 * * *"\ntimezone: Mars', 's.yaml:5:11: there is no time zone "M'),
        ("schedule", "every: 1m\nmissed: twice", 's.yaml:5:9: missed can be skip, once, all, not'),
        ("schedule", 'every: 1m\nrequest: {a: "{{ request.b }}"}',
         's.yaml:5:10: "request" is not known here. A path starts with meta.'),
        ("schedule", 'every: 1m\nrequest: {a: "{{ meta.b"}', "s.yaml:5:14: the {{ at character 1"),
        ("schedule", 'every: 1m\nidentity: {by: "{{ meta.due }}"}', "s.yaml:5:1: a schedule needs"),
        ("schedule", "every: 1m\nbacklog: 9", "s.yaml:5:1: a schedule has no sender"),
        ("schedule", "every: 1m\nverify: none", 's.yaml:5:1: unknown key "verify" in a source'),
        ("files", "every: 1m", "s.yaml:1:1: the source does not say where its files are"),
        ("files", "folder: in", "s.yaml:1:1: the source does not say how often it looks"),
        ("files", "folder: in\ns3: {}\nevery: 1m", "s.yaml:5:1: files come from one place, not"),
        ("files", 'folder: ""\nevery: 1m', "s.yaml:4:9: folder must not be empty"),
        ("files", "folder: in\nevery: 1m\npattern: in/*.csv", "s.yaml:6:10: pattern is about"),
        ("files", "folder: in\nevery: 1m\nsettle: 5", "s.yaml:6:9: settle needs a unit"),
        ("files", "folder: in\nevery: 1m\neach: line", 's.yaml:6:7: each can be file, row, not "l'),
        ("files", "folder: in\nevery: 1m\nformat: xls", "s.yaml:6:9: format can be csv, json, jso"),
        ("files", "folder: in\nevery: 1m\neach: row\nformat: text",
         "s.yaml:7:9: a file of the format text has no rows"),
        ("files", "folder: in\nevery: 1m\nencoding: klingon", 's.yaml:6:11: "klingon" is no enco'),
        ("files", "folder: in\nevery: 1m\nencoding: base64", 's.yaml:6:11: "base64" is no encodin'),
        ("files", "folder: in\nevery: 1m\neach: row\ndelimiter: ab", "s.yaml:7:12: delimiter must"),
        ("files", 'folder: in\nevery: 1m\ndelimiter: ";"', "s.yaml:6:1: only rows have a delimite"),
        ("files", "folder: in\nevery: 1m\nthen: burn", "s.yaml:6:7: then can be move, delete, kee"),
        ("files", "sftp: shop\nevery: 1m", "s.yaml:4:7: sftp must be an object of keys, not a te"),
        ("files", "sftp: {connection: shop}\nevery: 1m", "s.yaml:4:7: sftp needs the key of the"),
        ("files", SFTP.replace("shop", "shpo"), 's.yaml:4:20: no connection has the name "shpo"'),
        ("files", SFTP.replace("ssh-ed25519 ", "host ssh-ed25519 "), "s.yaml:4:36: host_key must"),
        ("files", SFTP.replace("connection: shop, ", ""), "s.yaml:4:7: sftp needs a connection"),
        ("files", SFTP.replace("host_key", "hostkey"), 's.yaml:4:26: unknown key "hostkey" in sft'),
        ("files", "s3: {connection: shop}\nevery: 1m", "s.yaml:4:5: s3 needs a bucket"),
        ("files", "s3: {connection: shop, bucket: a/b}\nevery: 1m", 's.yaml:4:32: "a/b" cannot na'),
        ("poll", "every: 1m", "s.yaml:1:1: a poll asks one place, by http or by sql. Add `http:"),
        ("poll", "every: 1m\nhttp: {}\nsql: {}", "s.yaml:6:1: a poll asks one place"),
        ("poll", "every: 1m\nhttp: {}", "s.yaml:5:7: http asks the address of a connection, or a"),
        ("poll", "every: 1m\nhttp: {connection: shop, url: x}", "s.yaml:5:7: http asks the addre"),
        ("poll", "every: 1m\nhttp: {url: shop.example}", "s.yaml:5:13: url must be a whole addre"),
        ("poll", 'every: 1m\nhttp: {url: "https://a.example/{{ cursor }}"}', "s.yaml:5:13: url"),
        ("poll", "every: 1m\nhttp: {url: 'https://a.example', path: x}", "s.yaml:5:34: path needs"),
        ("poll", "every: 1m\nhttp: {connection: shop, items: rows}",
         's.yaml:5:33: items must be an expression. Write it like "{{ rows }}".'),
        ("poll", 'every: 1m\nhttp: {connection: shop, items: "{{ item.a }}"}',
         's.yaml:5:33: "item" is not known here. A path starts with answer.'),
        ("poll", 'every: 1m\nhttp: {connection: shop, query: {a: "{{ item }}"}}',
         's.yaml:5:33: "item" is not known here. A path starts with cursor or next.'),
        ("poll", "every: 1m\nhttp: {connection: shop, headers: {Authorization: x}}",
         "s.yaml:5:36: Authorization holds a secret, which does not belong into a file"),
        ("poll", "every: 1m\nhttp: {connection: shop, headers: {A: 1}}", "s.yaml:5:39: a header"),
        ("poll", "every: 1m\nhttp: {connection: shop, start: 1}", "s.yaml:5:26: start is the firs"),
        ("poll", 'every: 1m\nhttp: {connection: shop, cursor: "{{ item.a }}", start: [1]}',
         "s.yaml:5:57: start must be a text or a number, not a list"),
        ("poll", "every: 1m\nhttp: {connection: shop, itmes: x}", 's.yaml:5:26: unknown key "itm'),
        ("poll", "every: 1m\nsql: {query: select 1}", "s.yaml:5:6: sql needs a connection"),
        ("poll", "every: 1m\nsql: {connection: shop}", "s.yaml:5:6: sql needs a query"),
        ("poll", 'every: 1m\nsql: {connection: shop, query: "select {{ x }}"}', "s.yaml:5:32: a "),
        ("poll", 'every: 1m\nsql: {connection: shop, query: "select :id"}',
         "s.yaml:5:32: the query has a parameter :id, and only :cursor is known"),
        ("poll", 'every: 1m\nsql: {connection: shop, query: "select :cursor"}',
         "s.yaml:5:32: the query uses :cursor, and nothing gives it"),
        ("poll", 'every: 1m\nsql: {connection: shop, query: "select 1", id: "{{ answer.a }}"}',
         's.yaml:5:48: "answer" is not known here. A path starts with item.'),
    ],
)  # fmt: skip
def test_a_mistake_has_its_place(kind: str, rest: str, line: str) -> None:
    checked = check(kind, rest)
    assert checked.source is None
    assert any(str(one).startswith(line) for one in checked.findings), lines(checked.findings)

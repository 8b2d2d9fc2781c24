"""The files of mail and queue sources: what they say, and each mistake with its place."""

from __future__ import annotations

import pytest

from beltline.definition.mail import MailFilter, MailWay, ThenDelete, ThenMove, ThenSeen
from beltline.definition.queue import (
    KafkaQueue,
    MqttQueue,
    NatsQueue,
    Queue,
    QueueWay,
    RabbitQueue,
    RedisQueue,
)
from beltline.definition.source import CheckedSource, read_source
from tests.unit.definition.shelf import lines

MAIL = "source: in\nkind: mail\nprocess: p\nconnection: box\n"
QUEUE = "source: in\nkind: queue\nprocess: p\nconnection: broker\n"
RABBIT = QUEUE + "rabbitmq: {queue: q}\n"


def check(text: str) -> CheckedSource:
    return read_source(
        text, name="in", file="s.yaml", processes=["p"], connections=["box", "broker"]
    )


def test_a_mailbox_with_nothing_but_its_connection() -> None:
    checked = check(MAIL)
    assert checked.source is not None, lines(checked.findings)
    assert checked.source.way == MailWay("box")
    assert checked.source.kind == "mail"


def test_a_mailbox_with_everything() -> None:
    checked = check(
        MAIL + "folder: Заявки\nfilter: {unseen: true, from: '@shop.example', subject: Order}\n"
        "every: 5m\nthen: {move: Done}\nrefused: Bad\n"
    )
    assert checked.source is not None, lines(checked.findings)
    assert checked.source.way == MailWay(
        "box",
        "Заявки",
        MailFilter(True, "@shop.example", "Order"),
        300_000,
        ThenMove("Done"),
        "Bad",
    )


@pytest.mark.parametrize(
    ("rest", "then", "unseen"),
    [
        ("then: seen", ThenSeen(), True),
        ("then: delete", ThenDelete(), False),
        ("then: {move: Done}", ThenMove("Done"), False),
    ],
)
def test_mails_that_leave_the_folder_need_not_be_unseen(
    rest: str, then: object, unseen: bool
) -> None:
    way = check(MAIL + rest).source.way  # type: ignore[union-attr]
    assert isinstance(way, MailWay)
    assert (way.then, way.filter.unseen) == (then, unseen)


@pytest.mark.parametrize(
    ("written", "queue"),
    [
        ("nats: {stream: S}", NatsQueue("S")),
        ("nats: {stream: S, subject: 'a.>', durable: d}", NatsQueue("S", "a.>", "d")),
        ("rabbitmq: {queue: q}", RabbitQueue("q")),
        ("redis: {stream: s}", RedisQueue("s")),
        ("redis: {stream: s, group: g, field: body}", RedisQueue("s", "g", "body")),
        ("kafka: {topic: t}", KafkaQueue("t")),
        ("kafka: {topic: t, group: g, sasl: SCRAM-SHA-512}", KafkaQueue("t", "g", "SCRAM-SHA-512")),
        ("mqtt: {topic: a/+/b/#}", MqttQueue("a/+/b/#")),
        ("mqtt: {topic: a, client: c, protocol: '3.1.1'}", MqttQueue("a", "c", "3.1.1")),
    ],
)
def test_what_is_read_of_each_broker(written: str, queue: Queue) -> None:
    checked = check(QUEUE + written)
    assert checked.source is not None, lines(checked.findings)
    assert checked.source.way == QueueWay("broker", queue)
    assert checked.source.kind == "queue"


def test_a_queue_with_everything() -> None:
    checked = check(
        RABBIT + "body: text\nheaders: [X-Kind]\nin_flight: 7\nrefused: {dead_letter: bad}\n"
    )
    assert checked.source is not None, lines(checked.findings)
    assert checked.source.way == QueueWay("broker", RabbitQueue("q"), "text", ("x-kind",), 7, "bad")
    dropped = check(RABBIT + "refused: drop").source
    assert dropped is not None
    assert dropped.way == QueueWay("broker", RabbitQueue("q"))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (MAIL.replace("connection: box\n", ""), "s.yaml:1:1: the source does not say where its m"),
        (MAIL.replace("box", "bix"), 's.yaml:4:13: no connection has the name "bix". Did you mean'),
        (MAIL + "foldr: x", 's.yaml:5:1: unknown key "foldr" in a source. Did you mean "folder"?'),
        (MAIL + "folder: 7", "s.yaml:5:9: folder must be a text, not a number"),
        (MAIL + "folder: Refused", "s.yaml:5:9: refused mails would come in again"),
        (MAIL + "refused: INBOX", "s.yaml:5:10: refused mails would come in again"),
        (MAIL + "every: 5", "s.yaml:5:8: every needs a unit"),
        (MAIL + "then: keep", 's.yaml:5:7: then cannot be "keep". Write seen, delete, or'),
        (MAIL + "then: [seen]", "s.yaml:5:7: then cannot be a list"),
        (MAIL + "then: {}", "s.yaml:5:7: then needs the folder"),
        (MAIL + "then: {moved: x}", 's.yaml:5:8: unknown key "moved" in then. Did you mean "mo'),
        (MAIL + "then: {move: INBOX}", "s.yaml:5:14: mails would come in again"),
        (MAIL + "filter: unseen", "s.yaml:5:9: filter must be an object of keys"),
        (MAIL + "filter: {sender: x}", 's.yaml:5:10: unknown key "sender" in filter'),
        (MAIL + "filter: {unseen: 1}", "s.yaml:5:18: unseen can be true or false, not a number"),
        (MAIL + "filter: {unseen: false}", "s.yaml:5:18: mails that were taken in are told by b"),
        (MAIL + "filter: {from: [a]}", "s.yaml:5:16: from must be a text, not a list"),
        (QUEUE, "s.yaml:1:1: the source names nothing to read from. Write one of nats, rabbitmq"),
        (QUEUE.replace("connection: broker\n", "nats: {stream: S}"), "s.yaml:1:1: the source do"),
        (RABBIT + "redis: {stream: s}", "s.yaml:6:8: a source reads from one broker"),
        (QUEUE + "rabbitmq: q", "s.yaml:5:11: rabbitmq must be an object of keys, not a text"),
        (QUEUE + "rabbitmq: {}", "s.yaml:5:11: rabbitmq needs its queue. Add `queue: NAME`."),
        (QUEUE + "rabbitmq: {que: q}", 's.yaml:5:12: unknown key "que" in rabbitmq'),
        (QUEUE + "nats: {stream: a.b}", "s.yaml:5:16: stream must not hold spaces, dots"),
        (QUEUE + "nats: {stream: a, durable: 'a b'}", "s.yaml:5:28: durable must not hold"),
        (QUEUE + "nats: {stream: a, subject: 'a b'}", "s.yaml:5:28: subject must not hold"),
        (QUEUE + "redis: {group: g}", "s.yaml:5:8: redis needs its stream"),
        (QUEUE + "kafka: {topic: a/b}", 's.yaml:5:16: "a/b" cannot name a topic of Kafka'),
        (QUEUE + "kafka: {topic: a, sasl: plain}", 's.yaml:5:25: sasl cannot be "plain". Write `'),
        (QUEUE + "mqtt: {topic: a/#/b}", 's.yaml:5:15: "a/#/b" is no topic filter'),
        (QUEUE + "mqtt: {topic: a+}", 's.yaml:5:15: "a+" is no topic filter'),
        (QUEUE + "mqtt: {topic: a, protocol: 5}", "s.yaml:5:28: protocol cannot be a number"),
        (RABBIT + "body: xml", "s.yaml:6:7: body can be json or text"),
        (RABBIT + "headers: X", "s.yaml:6:10: headers must be a list of names, not a text"),
        (RABBIT + "headers: ['a b']", 's.yaml:6:11: "a b" cannot name a header'),
        (RABBIT + "in_flight: 0", "s.yaml:6:12: in_flight must be at least 1"),
        (RABBIT + "in_flight: 1001", "s.yaml:6:12: in_flight must be at most 1,000 (queue_in_f"),
        (RABBIT + "refused: retry", 's.yaml:6:10: refused cannot be "retry". Write `refused: dr'),
        (RABBIT + "refused: {dead_letters: x}", 's.yaml:6:11: unknown key "dead_letters" in re'),
        (RABBIT + "refused: {dead_letter: q}", "s.yaml:6:24: refused messages would come in aga"),
    ],
)
def test_a_mistake_has_its_place(text: str, line: str) -> None:
    checked = check(text)
    assert checked.source is None
    found = lines(checked.findings)
    assert any(one.startswith(line) for one in found), found

"""The keys of a queue source: which broker, what is read there, and what becomes of messages that
are refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

import msgspec

from beltline.core.limits import LIMITS
from beltline.core.problem import Place
from beltline.definition.finding import Report
from beltline.definition.shape import (
    check_keys,
    kind_of,
    read_connection_name,
    read_integer,
    read_name,
    read_object,
    read_text,
)

QUEUE_KEYS = (
    "connection",
    "nats",
    "rabbitmq",
    "redis",
    "kafka",
    "mqtt",
    "body",
    "headers",
    "in_flight",
    "refused",
)
IN_FLIGHT = 100
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}\Z")
_HEADERS_MOST = 100
_NATS_NAME = re.compile(r"[^\s.*>/\\]+\Z")
_KAFKA_NAME = re.compile(r"[A-Za-z0-9._-]{1,249}\Z")
Sasl = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
_SASL: tuple[Sasl, ...] = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
MqttProtocol = Literal["5", "3.1.1"]
_PROTOCOLS: tuple[MqttProtocol, ...] = ("5", "3.1.1")


class NatsQueue(msgspec.Struct, frozen=True):
    """A stream of JetStream, or what of it has `subject`; `durable` names the consumer."""

    broker: ClassVar[str] = "nats"
    stream: str
    subject: str | None = None
    durable: str | None = None


class RabbitQueue(msgspec.Struct, frozen=True):
    """A queue of RabbitMQ, classic or quorum."""

    broker: ClassVar[str] = "rabbitmq"
    queue: str


class RedisQueue(msgspec.Struct, frozen=True):
    """A stream of Redis. `field` names the field that holds the body; without it all fields of an
    entry are the request.
    """

    broker: ClassVar[str] = "redis"
    stream: str
    group: str | None = None
    field: str | None = None


class KafkaQueue(msgspec.Struct, frozen=True):
    """A topic of Kafka; `sasl` is how the connection's user proves who they are."""

    broker: ClassVar[str] = "kafka"
    topic: str
    group: str | None = None
    sasl: Sasl = "PLAIN"


class MqttQueue(msgspec.Struct, frozen=True):
    """What is published under a topic filter; `client` is the name under which the broker keeps
    what comes while nobody listens.
    """

    broker: ClassVar[str] = "mqtt"
    topic: str
    client: str | None = None
    protocol: MqttProtocol = "5"


Queue = NatsQueue | RabbitQueue | RedisQueue | KafkaQueue | MqttQueue


class QueueWay(msgspec.Struct, frozen=True):
    """Messages are taken from `queue` by the account `connection`. At most `in_flight` are under
    way at a time; of their headers those named in `headers` are kept beside the usual ones. A
    refused one goes to `dead_letter`; None: it is dropped, with its reason in the log.
    """

    kind: ClassVar[str] = "queue"
    connection: str
    queue: Queue
    body: Literal["json", "text"] = "json"
    headers: tuple[str, ...] = ()
    in_flight: int = IN_FLIGHT
    dead_letter: str | None = None


def read_queue(report: Report, data: dict[str, Any]) -> QueueWay | None:
    """Reads the keys of `QUEUE_KEYS`."""
    connection = None
    if "connection" not in data:
        report.error((), "the source does not say where its broker is", "Add `connection: NAME`.")
    else:
        connection = read_connection_name(report, data["connection"], ("connection",))
    queue = _read_queue(report, data)
    body = data.get("body", "json")
    if body not in ("json", "text"):
        report.error(("body",), "body can be json or text")
    headers = _read_headers(report, data["headers"]) if "headers" in data else ()
    in_flight: int | None = IN_FLIGHT
    if "in_flight" in data:
        in_flight = read_integer(
            report,
            data["in_flight"],
            ("in_flight",),
            "in_flight",
            least=1,
            most=LIMITS.queue_in_flight,
            limit="queue_in_flight",
        )
    dead_letter = _read_refused(report, data["refused"], queue) if "refused" in data else None
    if report.errors or connection is None or queue is None or in_flight is None:
        return None
    return QueueWay(connection, queue, body, headers, in_flight, dead_letter)


# The brokers


def _read_queue(report: Report, data: dict[str, Any]) -> Queue | None:
    given = [broker for broker in _BROKERS if broker in data]
    if len(given) != 1:
        report.error(
            (given[1],) if given else (),
            "a source reads from one broker" if given else "the source names nothing to read from",
            f"Write one of {', '.join(_BROKERS)}, such as `rabbitmq: {{queue: orders}}`.",
        )
        return None
    broker = given[0]
    at: Place = (broker,)
    value = read_object(report, data[broker], at, broker)
    return None if value is None else _BROKERS[broker](report, value, at)


def _read_nats(report: Report, data: dict[str, Any], at: Place) -> NatsQueue | None:
    check_keys(report, data, ("stream", "subject", "durable"), at, "nats")
    stream = _required(report, data, "stream", at, "nats")
    subject = _optional(report, data, "subject", at)
    durable = _optional(report, data, "durable", at)
    for key, name in (("stream", stream), ("durable", durable)):
        if name is not None and not _NATS_NAME.match(name):
            report.error((*at, key), f"{key} must not hold spaces, dots, slashes, * or >")
    if subject is not None and " " in subject:
        report.error((*at, "subject"), "subject must not hold spaces")
    return None if stream is None else NatsQueue(stream, subject, durable)


def _read_rabbitmq(report: Report, data: dict[str, Any], at: Place) -> RabbitQueue | None:
    check_keys(report, data, ("queue",), at, "rabbitmq")
    queue = _required(report, data, "queue", at, "rabbitmq")
    return None if queue is None else RabbitQueue(queue)


def _read_redis(report: Report, data: dict[str, Any], at: Place) -> RedisQueue | None:
    check_keys(report, data, ("stream", "group", "field"), at, "redis")
    stream = _required(report, data, "stream", at, "redis")
    group = _optional(report, data, "group", at)
    field = _optional(report, data, "field", at)
    return None if stream is None else RedisQueue(stream, group, field)


def _read_kafka(report: Report, data: dict[str, Any], at: Place) -> KafkaQueue | None:
    check_keys(report, data, ("topic", "group", "sasl"), at, "kafka")
    topic = _required(report, data, "topic", at, "kafka")
    group = _optional(report, data, "group", at)
    if topic is not None and not _KAFKA_NAME.match(topic):
        report.error((*at, "topic"), f'"{topic[:100]}" cannot name a topic of Kafka')
    sasl = _one_of(report, data, "sasl", at, _SASL)
    return None if topic is None else KafkaQueue(topic, group, sasl)


def _read_mqtt(report: Report, data: dict[str, Any], at: Place) -> MqttQueue | None:
    check_keys(report, data, ("topic", "client", "protocol"), at, "mqtt")
    topic = _required(report, data, "topic", at, "mqtt")
    client = _optional(report, data, "client", at)
    if topic is not None and not _is_topic_filter(topic):
        report.error(
            (*at, "topic"),
            f'"{topic[:100]}" is no topic filter',
            "`+` stands for one level, `#` for all that follow, each between slashes.",
        )
    protocol = _one_of(report, data, "protocol", at, _PROTOCOLS)
    return None if topic is None else MqttQueue(topic, client, protocol)


_BROKERS: Mapping[str, Callable[[Report, dict[str, Any], Place], Queue | None]] = {
    "nats": _read_nats,
    "rabbitmq": _read_rabbitmq,
    "redis": _read_redis,
    "kafka": _read_kafka,
    "mqtt": _read_mqtt,
}


def _is_topic_filter(topic: str) -> bool:
    """Wildcards stand for whole levels, and `#` stands at the end."""
    levels = topic.split("/")
    return all(
        level == "+" or (level == "#" and number == len(levels)) or not set("+#") & set(level)
        for number, level in enumerate(levels, 1)
    )


def _required(report: Report, data: dict[str, Any], key: str, at: Place, broker: str) -> str | None:
    if key not in data:
        report.error(at, f"{broker} needs its {key}", f"Add `{key}: NAME`.")
        return None
    return read_name(report, data[key], (*at, key), key)


def _optional(report: Report, data: dict[str, Any], key: str, at: Place) -> str | None:
    return read_name(report, data[key], (*at, key), key) if key in data else None


def _one_of(
    report: Report, data: dict[str, Any], key: str, at: Place, known: tuple[Any, ...]
) -> Any:
    """One of the known texts, the first of them where the key is absent."""
    value = data.get(key, known[0])
    if value not in known:
        given = f'"{value[:100]}"' if isinstance(value, str) else kind_of(value)
        report.error(
            (*at, key),
            f"{key} cannot be {given}",
            "Write " + ", ".join(f'`{key}: "{one}"`' for one in known) + ".",
        )
        return known[0]
    return value


# Headers, and what is refused


def _read_headers(report: Report, value: Any) -> tuple[str, ...]:
    at: Place = ("headers",)
    if not isinstance(value, list):
        report.error(at, f"headers must be a list of names, not {kind_of(value)}")
        return ()
    if len(value) > _HEADERS_MOST:
        report.error(at, f"headers lists more than {_HEADERS_MOST} names")
        return ()
    names = []
    for index, item in enumerate(value):
        name = read_text(report, item, (*at, index), "a header")
        if name is not None and not _HEADER.match(name):
            report.error((*at, index), f'"{name[:100]}" cannot name a header')
        elif name is not None:
            names.append(name.lower())
    return tuple(names)


def _read_refused(report: Report, value: Any, queue: Queue | None) -> str | None:
    at: Place = ("refused",)
    advice = "Write `refused: drop`, or `refused: {dead_letter: NAME}`."
    if value == "drop":
        return None
    if not isinstance(value, dict):
        given = f'"{value[:100]}"' if isinstance(value, str) else kind_of(value)
        report.error(at, f"refused cannot be {given}", advice)
        return None
    check_keys(report, value, ("dead_letter",), at, "refused")
    if "dead_letter" not in value:
        report.error(at, "refused needs the place for refused messages", advice)
        return None
    name = read_name(report, value["dead_letter"], (*at, "dead_letter"), "dead_letter")
    if name is not None and queue is not None and name == _read_from(queue):
        report.error(
            (*at, "dead_letter"), "refused messages would come in again: name another place"
        )
    return name


def _read_from(queue: Queue) -> str | None:
    match queue:
        case NatsQueue():
            return queue.subject
        case RabbitQueue():
            return queue.queue
        case RedisQueue():
            return queue.stream
        case KafkaQueue() | MqttQueue():
            return queue.topic

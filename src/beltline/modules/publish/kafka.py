"""Produce a message to a topic of Kafka.

The step is completed when all replicas that are in step have the message (`acks=all`). The
idempotency key goes along as the header `idempotency-key`; Kafka itself does not tell repeats.
"""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

from beltline.modules.publish.message import MessageConfig
from beltline.sdk import ClientFailed, Context, Example, Module, Output, Reject, Retry, field

_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")


class KafkaPublishConfig(MessageConfig, kw_only=True):
    """The topic, the key and the message."""

    own_headers: ClassVar[tuple[str, ...]] = ("idempotency-key", "content-type")

    topic: Annotated[str, field("Topic", "The topic; it has to be there.", examples=["orders"])]
    key: Annotated[
        str | None,
        field(
            "Key",
            "Messages of one key go to one partition, and keep their order; without it any does.",
            examples=["{{ request.customer }}"],
        ),
    ] = None
    sasl: Annotated[
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"],
        field("SASL", "How the connection's user proves who they are."),
    ] = "PLAIN"

    def __post_init__(self) -> None:
        super().__post_init__()
        if _TOPIC.fullmatch(self.topic) is None or self.topic in (".", ".."):
            raise ValueError(f"`topic` is {self.topic[:100]!r}, which cannot name a topic of Kafka")


class KafkaPublishOutput(Output):
    """Where the message stands."""

    topic: Annotated[str, field("Topic", "The topic.")]
    partition: Annotated[int, field("Partition", "The partition of the topic.")]
    offset: Annotated[int, field("Offset", "The message's number in the partition.")]


async def publish(
    config: KafkaPublishConfig, context: Context
) -> KafkaPublishOutput | Retry | Reject:
    """Produces, and waits for the acknowledgement."""
    from beltline.clients.kafka import publisher

    body, content_type = config.content
    headers = {**config.headers, "content-type": content_type}
    try:
        async with context.client(publisher(config.sasl)) as kafka:
            produced = await kafka.publish(
                config.topic, body, headers, id=context.key, key=config.key
            )
    except ClientFailed as failed:
        return failed.outcome
    return KafkaPublishOutput(
        topic=produced.topic, partition=produced.partition, offset=produced.offset
    )


module = Module(
    name="publish.kafka",
    version=1,
    summary="Produce a message to a topic of Kafka.",
    description=(
        "The step is completed when all replicas that are in step have the message. What Kafka"
        " has not taken within 20 s is given up and tried again by the step's policy, as are a"
        " topic that is not there and a cluster that is away; a message that is too large, and an"
        " account without the right, end the visit. Within an attempt the client's own repeats"
        " are told by Kafka. The address"
        " of the connection is `kafka://` (port 9092) or `kafkas://` for TLS (9093), of any broker"
        " of the cluster. Needs `pip install beltline[kafka]`."
    ),
    on_repeat=(
        "It is a second message with the same header `idempotency-key`: consumers tell it by that."
    ),
    category="queue",
    icon="send",
    effect="at-least-once",
    connection="kafka",
    config=KafkaPublishConfig,
    output=KafkaPublishOutput,
    handler=publish,
    examples=(
        Example("Hand an order on", {"topic": "orders", "json": {"order": 42}, "key": "anna"}),
        Example("A text, by SCRAM", {"topic": "notes", "text": "Hello", "sasl": "SCRAM-SHA-512"}),
    ),
)

"""Publish a message by MQTT, with QoS 1.

The step is completed when the broker has acknowledged the message. With MQTT 5 the idempotency key
goes along as the user property `idempotency-key`; MQTT 3.1.1 has no room for it.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from beltline.modules.publish.message import MessageConfig
from beltline.sdk import ClientFailed, Context, Example, Module, Output, Reject, Retry, field

_TOPIC_BYTES = 65_535


class MqttPublishConfig(MessageConfig, kw_only=True):
    """The topic and the message."""

    own_headers: ClassVar[tuple[str, ...]] = ("idempotency-key",)

    topic: Annotated[
        str,
        field("Topic", "The topic, without wildcards.", examples=["shop/1/orders"], min_length=1),
    ]
    retain: Annotated[
        bool,
        field("Retain", "Whether the broker keeps it for those who subscribe later."),
    ] = False
    protocol: Annotated[
        Literal["5", "3.1.1"], field("Protocol", "The version of MQTT that is spoken.")
    ] = "5"

    def __post_init__(self) -> None:
        super().__post_init__()
        if set(self.topic) & set("+#\0") or len(self.topic.encode()) > _TOPIC_BYTES:
            raise ValueError("`topic` holds + or #, or is too long: name one topic")
        if self.headers and self.protocol != "5":
            raise ValueError("`headers` need MQTT 5: 3.1.1 has no room for them")


class MqttPublishOutput(Output):
    """What the broker told."""

    received: Annotated[
        bool | None,
        field("Received", "Whether anybody has subscribed to it; null where it is not told."),
    ]


async def publish(
    config: MqttPublishConfig, context: Context
) -> MqttPublishOutput | Retry | Reject:
    """Publishes, and waits for the acknowledgement."""
    from beltline.clients.mqtt import publisher

    body, content_type = config.content
    try:
        async with context.client(publisher(config.protocol)) as mqtt:
            received = await mqtt.publish(
                config.topic,
                body,
                config.headers,
                id=context.key,
                content_type=content_type,
                retain=config.retain,
            )
    except ClientFailed as failed:
        return failed.outcome
    return MqttPublishOutput(received=received)


module = Module(
    name="publish.mqtt",
    version=1,
    summary="Publish a message by MQTT.",
    description=(
        "Messages have QoS 1: the step is completed when the broker has acknowledged the message."
        " What becomes of it there is the broker's: without a subscriber it is dropped, which"
        " MQTT 5 tells as `received: false`. A broker that is away or does not acknowledge within"
        " 20 s is tried again by the step's policy; a refusal that holds for good (not authorized,"
        " topic name, packet too large) ends the visit, as far as the broker tells. The"
        " address of the connection is `mqtt://` (port 1883) or `mqtts://` (8883). Needs"
        " `pip install beltline[mqtt]`."
    ),
    on_repeat=(
        "It is a second message; with MQTT 5 both carry the same user property `idempotency-key`."
    ),
    category="queue",
    icon="send",
    effect="at-least-once",
    connection="mqtt",
    config=MqttPublishConfig,
    output=MqttPublishOutput,
    handler=publish,
    examples=(
        Example("Switch a lamp on", {"topic": "shop/1/lamp", "text": "on", "retain": True}),
        Example(
            "To a broker of the older version",
            {"topic": "shop/1/orders", "json": {"order": 42}, "protocol": "3.1.1"},
        ),
    ),
)

"""Publish a message to an exchange of RabbitMQ.

The step is completed when RabbitMQ has confirmed that a queue keeps the message, which is
persistent. The idempotency key goes along as `message_id`; RabbitMQ itself does not tell repeats.
"""

from __future__ import annotations

from typing import Annotated

from beltline.modules.publish.message import MessageConfig
from beltline.sdk import ClientFailed, Context, Example, Module, Output, Reject, Retry, field

_BYTES = 255  # of a short string of AMQP


class RabbitPublishConfig(MessageConfig, kw_only=True):
    """The exchange, the key and the message."""

    routing_key: Annotated[
        str,
        field(
            "Routing key",
            "By which the exchange finds queues; of the default exchange the queue's name.",
            examples=["orders"],
        ),
    ]
    exchange: Annotated[
        str,
        field("Exchange", "The exchange; empty for the default one.", examples=["shop"]),
    ] = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, value in (("routing_key", self.routing_key), ("exchange", self.exchange)):
            if len(value.encode()) > _BYTES:
                raise ValueError(f"`{name}` has more than {_BYTES} bytes")
        if not self.exchange and not self.routing_key:
            raise ValueError("`routing_key` is empty: name the queue")


class RabbitPublishOutput(Output):
    """The message as it is known to RabbitMQ."""

    message_id: Annotated[str, field("Message id", "By which a consumer tells a repeat.")]


async def publish(
    config: RabbitPublishConfig, context: Context
) -> RabbitPublishOutput | Retry | Reject:
    """Publishes, and waits for the confirmation."""
    from beltline.clients.rabbitmq import PUBLISHER

    body, content_type = config.content
    try:
        async with context.client(PUBLISHER) as rabbit:
            await rabbit.publish(
                config.exchange,
                config.routing_key,
                body,
                config.headers,
                id=context.key,
                content_type=content_type,
            )
    except ClientFailed as failed:
        return failed.outcome
    return RabbitPublishOutput(message_id=context.key)


module = Module(
    name="publish.rabbitmq",
    version=1,
    summary="Publish a message to RabbitMQ.",
    description=(
        "Messages are persistent and mandatory, and the step is completed when RabbitMQ has"
        " confirmed that a queue keeps the message. No exchange or queue of that name, a queue"
        " that is full and rejects, and a broker that is away are tried again by the step's"
        " policy; an account that is refused ends the visit. The idempotency key goes along as"
        " `message_id`."
        " The address of the connection is `amqp://` (port 5672) or `amqps://` (5671), with the"
        " virtual host behind the slash. Needs `pip install beltline[rabbitmq]`."
    ),
    on_repeat=(
        "It is a second message with the same `message_id`: consumers tell it by that, as a queue"
        " source of this hub does."
    ),
    category="queue",
    icon="send",
    effect="at-least-once",
    connection="rabbitmq",
    config=RabbitPublishConfig,
    output=RabbitPublishOutput,
    handler=publish,
    examples=(
        Example("To a queue", {"routing_key": "orders", "json": {"order": 42}}),
        Example(
            "To an exchange",
            {
                "exchange": "shop",
                "routing_key": "orders.new",
                "text": "<order id='42'/>",
                "headers": {"kind": "order"},
            },
        ),
    ),
)

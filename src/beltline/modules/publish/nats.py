"""Publish a message to a stream of NATS (JetStream).

The step is completed when a stream keeps the message. The idempotency key goes along as
`Nats-Msg-Id`: the stream drops a repeat within its duplicate window, and a consumer can tell a
later one by the header.
"""

from __future__ import annotations

import re
from typing import Annotated, ClassVar

from beltline.modules.publish.message import MessageConfig
from beltline.sdk import ClientFailed, Context, Example, Module, Output, Reject, Retry, field

_SUBJECT = re.compile(r"[^\s.*>$\x00-\x1f\x7f][^\s.*>\x00-\x1f\x7f]*(\.[^\s.*>\x00-\x1f\x7f]+)*")


class NatsPublishConfig(MessageConfig, kw_only=True):
    """The subject and the message."""

    own_headers: ClassVar[tuple[str, ...]] = ("content-type", "nats-msg-id", "nats-expected-stream")

    subject: Annotated[
        str,
        field(
            "Subject",
            "The subject to publish under, without wildcards; a stream has to keep it.",
            examples=["orders.new"],
            max_length=1_000,
        ),
    ]
    stream: Annotated[
        str | None,
        field("Stream", "The stream that must keep it: another one refuses.", examples=["ORDERS"]),
    ] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if _SUBJECT.fullmatch(self.subject) is None or self.subject.startswith("_INBOX."):
            raise ValueError(f"`subject` is {self.subject[:100]!r}: write words joined by dots")


class NatsPublishOutput(Output):
    """Where the message stands."""

    stream: Annotated[str, field("Stream", "The stream that keeps it.")]
    sequence: Annotated[int, field("Sequence", "Its number there.")]
    repeat: Annotated[bool, field("Repeat", "Whether the stream had it before and kept one.")]


async def publish(
    config: NatsPublishConfig, context: Context
) -> NatsPublishOutput | Retry | Reject:
    """Publishes, and waits for the stream's answer."""
    from beltline.clients.nats import PUBLISHER

    body, content_type = config.content
    headers = {**config.headers, "Content-Type": content_type}
    try:
        async with context.client(PUBLISHER) as nats:
            stored = await nats.publish(
                config.subject, body, headers, id=context.key, stream=config.stream
            )
    except ClientFailed as failed:
        return failed.outcome
    return NatsPublishOutput(
        stream=stored.stream, sequence=stored.sequence, repeat=stored.is_repeat
    )


module = Module(
    name="publish.nats",
    version=1,
    summary="Publish a message to a stream of NATS.",
    description=(
        "The step is completed when a stream of JetStream keeps the message; a subject that no"
        " stream keeps, a full stream and a broker that is away are tried again by the step's"
        " policy. The idempotency key goes along as `Nats-Msg-Id`. A message"
        " larger than the server's `max_payload` or the stream's `max_msg_size`, another stream"
        " than the one named, and a subject that the account may not publish under end the visit."
        " The address of the connection is `nats://` (port 4222) or `tls://`; user and secret, or"
        " a secret alone as token. Needs `pip install beltline[nats]`."
    ),
    on_repeat=(
        "Within the stream's duplicate window (2 minutes unless the stream says otherwise) it is"
        " dropped there and told as `repeat`; after it the stream keeps a second message, under"
        " the same `Nats-Msg-Id`."
    ),
    category="queue",
    icon="send",
    effect="at-least-once",
    connection="nats",
    config=NatsPublishConfig,
    output=NatsPublishOutput,
    handler=publish,
    examples=(
        Example(
            "Hand an order on",
            {"subject": "orders.new", "json": {"order": 42}, "headers": {"kind": "order"}},
        ),
        Example("Into one stream, as text", {"subject": "notes", "stream": "N", "text": "Hello"}),
    ),
)

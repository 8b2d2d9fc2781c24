"""Send a webhook that is signed by Standard Webhooks (https://www.standardwebhooks.com).

The message's id is the idempotency key, so a repeated attempt is told by the receiver; the body is
the same at each attempt. Every secret of the connection signs, so that one can be exchanged while
the receiver knows only the other.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from typing import Annotated, Any

from beltline.sdk import (
    Config,
    Connection,
    Context,
    Example,
    HttpFailed,
    HttpResponse,
    Module,
    Output,
    Reject,
    Retry,
    field,
)

_PREFIX = "whsec_"
_KEY_BYTES = range(24, 65)  # what the specification asks for
_SECRETS_MOST = 5
_TIMEOUT_S = 20.0  # the specification asks for 15 to 30 s
_GONE = 410
_EXCERPT_CHARACTERS = 200


class WebhookSendConfig(Config):
    """What happened, and to what."""

    type: Annotated[
        str,
        field(
            "Type",
            "What happened: words joined by dots.",
            examples=["order.paid"],
            pattern=r"^[a-zA-Z0-9_]+(\.[a-zA-Z0-9_]+)*$",
            max_length=200,
        ),
    ]
    data: Annotated[
        Any, field("Data", "What it happened to, any JSON.", examples=["{{ request }}"])
    ] = None
    timestamp: Annotated[
        str,
        field(
            "Timestamp",
            "When it happened, by ISO 8601; empty leaves it out.",
            examples=["{{ meta.time }}"],
        ),
    ] = ""


class WebhookSendOutput(Output):
    """The answer of the receiver."""

    id: Annotated[str, field("Id", "The message's id, the same at a repeat.")]
    status: Annotated[int, field("Status", "The status of the answer.")]


async def send(config: WebhookSendConfig, context: Context) -> WebhookSendOutput | Retry | Reject:
    """Signs and sends; see the module's description for what becomes of the answer."""
    try:
        connection = _connection(context)
        body = _body(config)
        headers = _headers(context.key, int(time.time()), body, _keys(connection))
    except ValueError as wrong:
        return Reject(str(wrong))
    try:
        answer = await context.http.request(
            "POST",
            connection.address,
            headers=headers,
            body=body,
            timeout_s=_TIMEOUT_S,
            connection=connection,
        )
    except HttpFailed as error:
        return Reject(str(error)) if error.permanent else Retry(str(error))
    if 200 <= answer.status < 300:
        return WebhookSendOutput(id=context.key, status=answer.status)
    return _refused(answer)


def _connection(context: Context) -> Connection:
    connection = context.connection
    if connection is None:
        raise ValueError("the step needs `connection:`, the name of one of the kind webhook")
    if not connection.address or connection.secret is None:
        raise ValueError(
            f"the connection {connection.name!r} needs `address`, where webhooks go, and `secret`"
        )
    return connection


def _keys(connection: Connection) -> list[bytes]:
    """The keys that sign, one for each line of the secret. Raises `ValueError`, which does not
    repeat them.
    """
    secret = "" if connection.secret is None else connection.secret.reveal()
    lines = [line.strip() for line in secret.splitlines() if line.strip()]
    keys = [_key(line) for line in lines]
    if not keys or len(keys) > _SECRETS_MOST or not all(len(key) in _KEY_BYTES for key in keys):
        raise ValueError(
            f"the secret of the connection {connection.name!r} must be {_PREFIX} and 24 to 64 bytes"
            f" as base64, in each of its lines, {_SECRETS_MOST} at most"
        )
    return keys


def _key(line: str) -> bytes:
    try:
        return base64.b64decode(line.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _body(config: WebhookSendConfig) -> bytes:
    content: dict[str, Any] = {"type": config.type}
    if config.timestamp:
        content["timestamp"] = config.timestamp
    content["data"] = config.data
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode()


def _headers(id: str, at: int, body: bytes, keys: list[bytes]) -> dict[str, str]:
    signed = f"{id}.{at}.".encode() + body
    digests = [hmac.digest(key, signed, hashlib.sha256) for key in keys]
    return {
        "Content-Type": "application/json",
        "webhook-id": id,
        "webhook-timestamp": str(at),
        "webhook-signature": " ".join(f"v1,{base64.b64encode(one).decode()}" for one in digests),
    }


def _refused(answer: HttpResponse) -> Retry | Reject:
    text = answer.body[: 4 * _EXCERPT_CHARACTERS].decode(errors="replace").strip()
    said = f": {text[:_EXCERPT_CHARACTERS]}" if text else ""
    if answer.status == _GONE:
        return Reject(f"the receiver wants no more webhooks (410){said}")
    if 300 <= answer.status < 400:
        return Reject(f"the receiver has moved ({answer.status}): change the connection's address")
    reason = f"the receiver answered with the status {answer.status}{said}"
    return Retry(reason, after_s=answer.retry_after_s())


module = Module(
    name="webhook-send",
    version=1,
    summary="Send a webhook, signed by Standard Webhooks.",
    description=(
        "The body is `{type, timestamp, data}`. The connection has the address, and as its secret"
        " `whsec_` and a key in base64; a secret of two lines is two keys, and both sign, so that"
        " one can be exchanged without losing a message. A status of 2xx within 20 s means"
        " delivered. 410 (the receiver wants no more) and 3xx (it has moved; redirects are not"
        " followed) end the visit; any other answer, and none, is tried again by the step's"
        " policy, not before `Retry-After`."
    ),
    on_repeat=(
        "It has the same `webhook-id` and the same body, with a new time and signature: receivers"
        " tell it by the id."
    ),
    category="http",
    icon="webhook",
    effect="at-least-once",
    connection="webhook",
    config=WebhookSendConfig,
    output=WebhookSendOutput,
    handler=send,
    examples=(
        Example(
            "Tell that an order was paid",
            {
                "type": "order.paid",
                "timestamp": "2026-03-01T12:00:00Z",
                "data": {"order": 42, "sum": 1000},
            },
        ),
    ),
)

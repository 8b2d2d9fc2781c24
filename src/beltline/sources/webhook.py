"""A webhook source at work: what was received -> the request that is to be stored.

The order is fixed: the sender is verified over the raw bytes, and only then is anything of them
read. What comes out of a body never reaches `meta`.
"""

from __future__ import annotations

from beltline.core.limits import Limits
from beltline.definition.source import Source
from beltline.definition.webhook import VerifyStandardWebhooks, WebhookWay
from beltline.engine.records import NewRequest
from beltline.sources.bodies import read_body
from beltline.sources.headers import kept_headers, only_value
from beltline.sources.refusal import RequestRefused
from beltline.sources.request import Offered, new_request
from beltline.sources.verification import Received, Resolve, own_headers, verifier_of

# Standard Webhooks gives each message an id that repeats carry again, so a source of that kind
# tells repeats by itself; senders try for up to some days.
_MESSAGE_WINDOW_MS = 3 * 86_400_000


class Webhook:
    """A source with what is worked out once: its check, its own headers."""

    __slots__ = ("_own_headers", "_tells_repeats", "_verify", "source")

    def __init__(self, source: Source, way: WebhookWay, resolve_secret: Resolve) -> None:
        self.source = source
        self._verify = verifier_of(way.verify, resolve_secret)
        self._own_headers = own_headers(way.verify)
        self._tells_repeats = isinstance(way.verify, VerifyStandardWebhooks)

    def read(self, received: Received, key: bytes, *, held: bool, limits: Limits) -> NewRequest:
        """The request as it is to be stored under `key`; `held` puts it into the buffer.

        Raises `RequestRefused` (400, 401, 415, 422, 431) and `SecretMissing`.
        """
        self._verify(received)
        content_type = only_value(received.headers, b"content-type") or b""
        encoding = only_value(received.headers, b"content-encoding")
        if encoding and encoding.lower() != b"identity":
            raise RequestRefused(
                415,
                "unsupported-content",
                "Compressed bodies are not read. Send the body as it is.",
            )
        value, body = read_body(
            content_type.decode("latin-1"), received.body, depth=limits.request_depth
        )
        headers = kept_headers(received.headers, self._own_headers, limits.request_header_bytes)
        offered = Offered(
            value,
            body,
            received.at,
            key,
            {"headers": headers},
            self._message_id(received, limits) if self._tells_repeats else None,
        )
        return new_request(self.source, offered, held=held, limits=limits)

    def _message_id(self, received: Received, limits: Limits) -> tuple[str, int]:
        message = only_value(received.headers, b"webhook-id") or b""
        if len(message) > limits.identity_bytes:
            raise RequestRefused(
                422,
                "no-identity",
                f"The header webhook-id takes more than {limits.identity_bytes:,} bytes"
                " (limit identity_bytes).",
            )
        return message.decode("latin-1"), _MESSAGE_WINDOW_MS

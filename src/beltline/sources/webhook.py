"""A webhook source at work: what was received -> the request that is to be stored.

The order is fixed: the sender is verified over the raw bytes, and only then is anything of them
read. What comes out of a body never reaches `meta`.
"""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

from beltline.core.explanation import moment
from beltline.core.limits import Limits
from beltline.definition.source import Source, VerifyStandardWebhooks
from beltline.engine.ids import id_of
from beltline.engine.records import NewRequest
from beltline.sources.bodies import read_body
from beltline.sources.headers import kept_headers, only_value
from beltline.sources.identity import identity_of
from beltline.sources.json_body import canonical
from beltline.sources.refusal import RequestRefused
from beltline.sources.verification import Received, Resolve, own_headers, verifier_of

# Standard Webhooks gives each message an id that repeats carry again, so a source of that kind
# tells repeats by itself; senders try for up to some days.
_MESSAGE_WINDOW_MS = 3 * 86_400_000


class Webhook:
    """A source with what is worked out once: its check, its own headers."""

    __slots__ = ("_own_headers", "_tells_repeats", "_verify", "source")

    def __init__(self, source: Source, resolve_secret: Resolve) -> None:
        self.source = source
        self._verify = verifier_of(source.verify, resolve_secret)
        self._own_headers = own_headers(source.verify)
        self._tells_repeats = isinstance(source.verify, VerifyStandardWebhooks)

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
        meta = {
            "id": id_of(key),
            "source": self.source.name,
            "time": moment(received.at),
            "headers": kept_headers(
                received.headers, self._own_headers, limits.request_header_bytes
            ),
        }
        identity, window_ms = self._identity(received, value, meta, limits)
        return NewRequest(
            key=key,
            source=self.source.name,
            process=self.source.process,
            accepted_at=received.at,
            body=body,
            meta=orjson.dumps(meta),
            body_hash=b"" if identity is None else _hash(value),
            identity=identity,
            identity_until=received.at + window_ms,
            held=held,
        )

    def _identity(
        self, received: Received, value: Any, meta: dict[str, Any], limits: Limits
    ) -> tuple[str | None, int]:
        """What tells a repeat, and for how long (ms); None where the source tells none."""
        declared = self.source.identity
        if declared is not None:
            identity = identity_of(
                declared.by, value, meta, received.at, bytes_most=limits.identity_bytes
            )
            return identity, declared.window_ms
        if self._tells_repeats:
            message = only_value(received.headers, b"webhook-id") or b""
            if len(message) > limits.identity_bytes:
                raise RequestRefused(
                    422,
                    "no-identity",
                    f"The header webhook-id takes more than {limits.identity_bytes:,} bytes"
                    " (limit identity_bytes).",
                )
            return message.decode("latin-1"), _MESSAGE_WINDOW_MS
        return None, 0


def _hash(value: Any) -> bytes:
    return hashlib.blake2b(canonical(value), digest_size=16).digest()

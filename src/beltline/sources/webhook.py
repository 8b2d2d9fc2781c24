"""A webhook source at work: what was received -> what is offered to be stored.

    verify (raw bytes) -> unpack -> read -> types of a form -> what is offered

The order is fixed: the sender is verified over the raw bytes, and only then is anything of them
read. What comes out of a body never reaches `meta`.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
import orjson

from beltline.core.limits import Limits
from beltline.definition.answer import SlackChallenge
from beltline.definition.source import Source
from beltline.definition.verify import VerifyBitrix24, VerifyStandardWebhooks
from beltline.definition.webhook import WebhookWay
from beltline.engine.attachments import Attachment
from beltline.sources.bitrix24_form import without_tokens
from beltline.sources.bodies import FORM, JSON, MULTIPART, kind_of_body, read_body
from beltline.sources.compression import uncompressed
from beltline.sources.form_values import typed_by
from beltline.sources.headers import Headers, kept_headers, only_value, shown_headers
from beltline.sources.notes import Came
from beltline.sources.refusal import RequestRefused
from beltline.sources.request import Offered
from beltline.sources.verification import (
    Received,
    Resolve,
    challenge_of,
    own_headers,
    verifier_of,
)

# Standard Webhooks gives each message an id that repeats carry again, so a source of that kind
# tells repeats by itself; senders try for up to some days.
_MESSAGE_WINDOW_MS = 3 * 86_400_000
_ABOUT_BODY = frozenset((b"content-type", b"content-encoding", b"prefer"))


class Taken(msgspec.Struct, frozen=True):
    """What was read: the request, the files that must be kept before it is stored, and the
    sender's `Prefer` (empty where it has none).
    """

    offered: Offered
    files: list[Attachment]
    prefer: bytes


class Challenged(Exception):
    """What came is no request but a question, verified, whether the address is ours: `answer` is
    to be sent back.
    """

    def __init__(self, answer: str) -> None:
        super().__init__("a challenge")
        self.answer = answer


class Webhook:
    """A source with what is worked out once: its check, its own headers.

    `authenticate` is what a 401 asks for; `is_dressed` says that browsers or schemes of HTTP want
    more of an answer than its status and body, `answers_itself` that it has an answer of its own.
    """

    __slots__ = (
        "_has_tokens",
        "_own_headers",
        "_tells_repeats",
        "_verify",
        "answers_itself",
        "authenticate",
        "is_dressed",
        "source",
        "way",
    )

    def __init__(self, source: Source, way: WebhookWay, resolve_secret: Resolve) -> None:
        self.source = source
        self.way = way
        self.authenticate = challenge_of(way.verify)
        self._verify = verifier_of(way.verify, resolve_secret)
        self._own_headers = own_headers(way.verify)
        self._tells_repeats = isinstance(way.verify, VerifyStandardWebhooks)
        self._has_tokens = isinstance(way.verify, VerifyBitrix24)
        self.answers_itself = way.answer is not None or way.form is not None
        self.is_dressed = bool(way.cors is not None or way.form is not None or self.authenticate)

    def verify(self, received: Received) -> None:
        """Raises `RequestRefused` (400, 401) and `SecretMissing` where the sender is not known."""
        self._verify(received)

    def body_most(self, headers: Headers, limits: Limits) -> tuple[int, str]:
        """How many bytes the body may have, and the limit or key that says so. Only multipart,
        which carries files, may be larger than other bodies.
        """
        most = self.way.body_bytes
        if most is None:
            return limits.request_body_bytes, "request_body_bytes"
        if most > limits.request_body_bytes:
            content_type = only_value(headers, b"content-type") or b""
            if kind_of_body(content_type.decode("latin-1")) != MULTIPART:
                return limits.request_body_bytes, "request_body_bytes"
        return most, "body.most of the source"

    def read(self, received: Received, key: bytes, limits: Limits) -> Taken:
        """What is to be stored under `key`. It may run in any thread.

        Raises `RequestRefused` (400, 401, 413, 415, 422, 431), `SecretMissing` and `Challenged`.
        """
        self._verify(received)
        return self.unpack(received, key, limits)

    def unpack(self, received: Received, key: bytes, limits: Limits) -> Taken:
        """The same for what was verified before, or is vouched for by a person."""
        sent_type, encoding, prefer = _about_body(received.headers)
        content_type, raw = sent_type.decode("latin-1"), received.body
        if encoding:
            most, limit = self.body_most(received.headers, limits)
            raw = uncompressed(raw, encoding, most=most, limit=limit)
        value, body, files = read_body(content_type, raw, depth=limits.request_depth)
        if self.way.challenge is not None:
            self._answer_challenge(value)
        if self._has_tokens or (self.source.schema is not None and _is_form(content_type)):
            value, body = self._settled(value, content_type)
        if len(body) > limits.request_body_bytes and content_type != JSON:
            raise _too_large(limits)
        headers = kept_headers(received.headers, self._own_headers, limits.request_header_bytes)
        offered = Offered(
            value,
            body,
            received.at,
            key,
            {"headers": headers},
            self._message_id(received, limits) if self._tells_repeats else None,
        )
        return Taken(offered, files, prefer)

    def came(self, received: Received, limits: Limits, *, is_read: bool = True) -> Came:
        """What came, as it may be shown and kept: without what proves the sender."""
        most = limits.request_header_bytes
        headers, names = shown_headers(received.headers, self._own_headers, most)
        meta = {"headers": headers, "headers_not_kept": names}
        if not is_read:
            return Came(meta)
        size, content_type, encoding = len(received.body), "", ""
        with suppress(RequestRefused):
            sent_type, sent_encoding, _ = _about_body(received.headers)
            content_type, encoding = sent_type.decode("latin-1"), sent_encoding.decode("latin-1")
        if not self._has_tokens:
            return Came(meta, size, content_type, encoding, received.body)
        value = self.reread(received, limits)
        body = None if value is None else self._settled(value, content_type)[1]
        return Came(meta, size, JSON, "", body)

    def reread(self, received: Received, limits: Limits) -> Any:
        """What a refused body says, to be shown to who sent it; None where it cannot be read."""
        content_type, encoding, _ = _about_body(received.headers)
        if encoding:
            return None
        try:
            sent = content_type.decode("latin-1")
            return read_body(sent, received.body, depth=limits.request_depth)[0]
        except RequestRefused:
            return None

    def _settled(self, value: Any, content_type: str) -> tuple[Any, bytes]:
        """The value as it is kept: without tokens, and a form's texts with the schema's types."""
        if self._has_tokens:
            value = without_tokens(value)
        if self.source.schema is not None and _is_form(content_type):
            value = typed_by(self.source.schema, value)
        return value, orjson.dumps(value)

    def _answer_challenge(self, value: Any) -> None:
        if (
            isinstance(self.way.challenge, SlackChallenge)
            and isinstance(value, dict)
            and value.get("type") == "url_verification"
            and isinstance(value.get("challenge"), str)
        ):
            raise Challenged(value["challenge"])

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


def _about_body(headers: Headers) -> tuple[bytes, bytes, bytes]:
    """Content-Type, Content-Encoding and Prefer, empty where absent, in one walk: it is on the way
    of every request. Raises `RequestRefused` (400) where one of the first two stands twice.
    """
    content_type: bytes | None = None
    encoding: bytes | None = None
    prefer = b""
    for name, value in headers:
        if name not in _ABOUT_BODY:
            continue
        if name == b"content-type":
            if content_type is not None:
                only_value(headers, name)
            content_type = value
        elif name == b"content-encoding":
            if encoding is not None:
                only_value(headers, name)
            encoding = value
        elif name == b"prefer":
            prefer = b"%b,%b" % (prefer, value) if prefer else value
    return content_type or b"", encoding or b"", prefer


def _is_form(content_type: str) -> bool:
    return kind_of_body(content_type) in (FORM, MULTIPART)


def _too_large(limits: Limits) -> RequestRefused:
    return RequestRefused(
        413,
        "too-large",
        f"The fields take more than {limits.request_body_bytes:,} bytes beside the files"
        " (limit request_body_bytes). Send less.",
    )

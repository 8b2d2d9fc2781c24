"""The bytes of a mail -> what a process can use of it. Whatever else is wrong with them, a mail is
read as far as it can be: senders write mails by hand, and have done so for forty years.

Texts in unknown charsets are read with a mark for each sign that is lost; headers with bare bytes
are taken for UTF-8. Only what has more parts than any mail needs is refused, and what the parser
gives up on.
"""

from __future__ import annotations

import codecs
import email
import hashlib
from collections.abc import Iterator
from datetime import UTC
from email.header import decode_header
from email.message import Message
from email.utils import getaddresses, parsedate_to_datetime
from typing import Any

import msgspec

from beltline.core.limits import Limits
from beltline.engine.attachments import Attachment, attachment
from beltline.sources.refusal import RequestRefused

# The headers that are kept beside those with a field of their own.
_KEPT = (
    "auto-submitted",
    "delivered-to",
    "importance",
    "in-reply-to",
    "list-id",
    "precedence",
    "references",
    "reply-to",
    "sender",
)
_HEADER_MOST = 2_000
_ADDRESSES_MOST = 1_000
# Names of charsets under which Python has something that is none, or that is slow on long texts.
_NO_CHARSETS = frozenset(("idna", "punycode", "raw_unicode_escape", "undefined", "unicode_escape"))


class Mail(msgspec.Struct, frozen=True):
    """What a mail says. `fields` are those of the request but for its attachments; `digest` is the
    same for another copy of the same mail.
    """

    fields: dict[str, Any]
    attachments: list[Attachment]
    message_id: str
    digest: str


def read_mail(raw: bytes, limits: Limits) -> Mail:
    """Reads a mail. Raises `RequestRefused`."""
    try:
        message = email.message_from_bytes(raw)
        parts = list(_leaves(message, limits.mail_parts))
        fields, attachments = _fields(message), []
        texts: dict[str, list[str]] = {"text/plain": [], "text/html": []}
        for part in parts:
            kind = part.get_content_type()
            if kind in texts and not _is_file(part):
                texts[kind].append(_text(part))
            else:
                attachments.append(_attachment(part, limits))
        fields["text"] = "\n".join(texts["text/plain"])
        fields["html"] = "\n".join(texts["text/html"])
    except RequestRefused:
        raise
    except Exception as wrong:
        raise RequestRefused(
            400, "unreadable-body", f"The mail cannot be read: {type(wrong).__name__}: {wrong}"
        ) from wrong
    return Mail(fields, attachments, fields["message_id"], _digest(fields, attachments))


def _leaves(message: Message, most: int) -> Iterator[Message]:
    """The parts that hold something; a mail within the mail is one of them. Those of a list stand
    on a stack of our own: nesting is the sender's to choose.
    """
    waiting: list[Message] = [message]
    count = 0
    while waiting:
        part = waiting.pop()
        count += 1
        if count > most:
            raise RequestRefused(
                422, "too-large", f"The mail has more than {most:,} parts (limit mail_parts)."
            )
        payload = part.get_payload()
        if part.get_content_maintype() == "multipart" and isinstance(payload, list):
            waiting.extend(one for one in reversed(payload) if isinstance(one, Message))
        else:
            yield part


# Headers


def _fields(message: Message) -> dict[str, Any]:
    headers = _Headers(message)
    senders = _addresses(headers, "from")
    return {
        "from": senders[0] if senders else {"name": "", "address": ""},
        "to": _addresses(headers, "to"),
        "cc": _addresses(headers, "cc"),
        "subject": _decoded(headers.first("subject")),
        "date": _date(headers.first("date")),
        "message_id": headers.first("message-id").strip(),
        "headers": {
            name: _decoded(headers.first(name))[:_HEADER_MOST]
            for name in _KEPT
            if headers.all(name)
        },
    }


class _Headers:
    """The headers of a mail; bare bytes in them (lone surrogates here) are taken for UTF-8."""

    def __init__(self, message: Message) -> None:
        self._texts: dict[str, list[str]] = {}
        for name, value in message.raw_items():
            self._texts.setdefault(name.lower(), []).append(_plain(str(value)))

    def all(self, name: str) -> list[str]:
        return self._texts.get(name, [])

    def first(self, name: str) -> str:
        return next(iter(self.all(name)), "")


def _addresses(headers: _Headers, name: str) -> list[dict[str, str]]:
    lines = [" ".join(text.split()) for text in headers.all(name)]
    found = getaddresses(lines)[:_ADDRESSES_MOST]
    return [
        {"name": _decoded(name), "address": address} for name, address in found if name or address
    ]


def _date(text: str) -> str | None:
    """When it was written, by its own word; None where that is no date."""
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).isoformat()


def _decoded(text: str) -> str:
    """A header as a person reads it: without encoded words and line breaks."""
    plain = _plain(text)
    if "=?" not in plain:
        return " ".join(plain.split())
    try:
        parts = decode_header(plain)
    except (ValueError, LookupError):
        return " ".join(plain.split())
    texts = [part if isinstance(part, str) else _in(part, charset) for part, charset in parts]
    return " ".join("".join(texts).split()) or plain


def _plain(text: str) -> str:
    """The text without lone surrogates, which stand for bare bytes."""
    return (
        text
        if text.isascii()
        else text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    )


# Parts


def _is_file(part: Message) -> bool:
    return part.get_content_disposition() == "attachment" or part.get_filename() is not None


def _text(part: Message) -> str:
    data = part.get_payload(decode=True)
    return _in(data if isinstance(data, bytes) else b"", part.get_content_charset())


def _in(data: bytes, charset: str | None) -> str:
    """The text in that charset; where nobody knows it, as UTF-8, else as the Western one."""
    name = charset or "utf-8"
    try:
        if codecs.lookup(name).name.replace("-", "_") not in _NO_CHARSETS:
            return _whole(data.decode(name, "replace"))
    except (LookupError, ValueError):
        pass
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("windows-1252", "replace")


def _whole(text: str) -> str:
    """Some charsets can write halves of signs, which no JSON holds."""
    return text.encode("utf-8", "replace").decode()


def _attachment(part: Message, limits: Limits) -> Attachment:
    name = _decoded(part.get_filename() or "")
    return attachment(_data(part), name, part.get_content_type(), name_bytes=limits.file_name_bytes)


def _data(part: Message) -> bytes:
    payload = part.get_payload()
    if isinstance(payload, list):  # a mail within the mail
        return b"\n".join(one.as_bytes() for one in payload if isinstance(one, Message))
    data = part.get_payload(decode=True)
    return data if isinstance(data, bytes) else b""


def _digest(fields: dict[str, Any], attachments: list[Attachment]) -> str:
    """Of what the mail says, and not of the way that it came."""
    said = [fields[name] for name in ("from", "subject", "date", "text", "html")]
    files = [[one.name, one.type, one.id] for one in attachments]
    return hashlib.blake2b(msgspec.json.encode([said, files]), digest_size=16).hexdigest()

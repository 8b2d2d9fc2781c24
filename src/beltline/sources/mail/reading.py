"""The bytes of a mail -> the request that it is: what it says, and its files as attachments."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from beltline.clients.letter import TooManyParts, Unreadable, read_letter
from beltline.core.limits import Limits
from beltline.engine.attachments import Attachment, attachment
from beltline.sources.refusal import RequestRefused


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
        letter = read_letter(raw, limits.mail_parts)
    except TooManyParts as many:
        raise RequestRefused(422, "too-large", str(many)) from many
    except Unreadable as wrong:
        raise RequestRefused(400, "unreadable-body", str(wrong)) from wrong
    fields = letter.fields
    attachments = [
        attachment(one.content, one.name, one.type, name_bytes=limits.file_name_bytes)
        for one in letter.files
    ]
    return Mail(fields, attachments, fields["message_id"], _digest(fields, attachments))


def _digest(fields: dict[str, Any], attachments: list[Attachment]) -> str:
    """Of what the mail says, and not of the way that it came."""
    said = [fields[name] for name in ("from", "subject", "date", "text", "html")]
    files = [[one.name, one.type, one.id] for one in attachments]
    return hashlib.blake2b(msgspec.json.encode([said, files]), digest_size=16).hexdigest()

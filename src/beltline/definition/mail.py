"""The keys of a mail source: which folder of which mailbox, which mails of it, and what is done
with a mail that was taken in.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from beltline.core.limits import LIMITS
from beltline.core.problem import Place
from beltline.definition.finding import Report
from beltline.definition.shape import (
    check_keys,
    kind_of,
    read_connection_name,
    read_duration_ms,
    read_name,
    read_object,
)

MAIL_KEYS = ("connection", "folder", "filter", "every", "then", "refused")
INBOX = "INBOX"
REFUSED = "Refused"
_EVERY_MS = 60_000
_FILTER_KEYS = ("unseen", "from", "subject")


class ThenSeen(msgspec.Struct, frozen=True):
    """A mail that was taken in is marked as seen."""


class ThenMove(msgspec.Struct, frozen=True):
    """It is moved to this folder."""

    folder: str


class ThenDelete(msgspec.Struct, frozen=True):
    """It is deleted."""


Then = ThenSeen | ThenMove | ThenDelete


class MailFilter(msgspec.Struct, frozen=True):
    """Which mails: only unseen ones, and those whose sender or subject holds a text (None: any)."""

    unseen: bool = True
    sender: str | None = None
    subject: str | None = None


class MailWay(msgspec.Struct, frozen=True):
    """Mails are fetched from `folder` by the account `connection`: at once where the server tells
    of them, at the latest every `every_ms`. Those that cannot be read go to the folder `refused`.
    """

    kind: ClassVar[str] = "mail"
    connection: str
    folder: str = INBOX
    filter: MailFilter = MailFilter()
    every_ms: int = _EVERY_MS
    then: Then = ThenSeen()
    refused: str = REFUSED


def read_mail(report: Report, data: dict[str, Any]) -> MailWay | None:
    """Reads the keys of `MAIL_KEYS`."""
    connection = None
    if "connection" not in data:
        report.error((), "the source does not say where its mailbox is", "Add `connection: NAME`.")
    else:
        connection = read_connection_name(report, data["connection"], ("connection",))
    folder = _folder(report, data, "folder", (), INBOX)
    refused = _folder(report, data, "refused", (), REFUSED)
    then = _read_then(report, data["then"]) if "then" in data else ThenSeen()
    chosen = _read_filter(report, data.get("filter", {}), then)
    every_ms: int | None = _EVERY_MS
    if "every" in data:
        every_ms = read_duration_ms(
            report, data["every"], ("every",), "every", most_ms=LIMITS.wait_ms, limit="wait_ms"
        )
    if isinstance(then, ThenMove) and then.folder == folder:
        report.error(("then", "move"), "mails would come in again: move them to another folder")
    if refused == folder and folder is not None:
        report.error(
            ("refused",) if "refused" in data else ("folder",),
            "refused mails would come in again: name another folder for them",
        )
    if report.errors or connection is None or folder is None or refused is None:
        return None
    if every_ms is None or then is None or chosen is None:
        return None
    return MailWay(connection, folder, chosen, every_ms, then, refused)


def _folder(report: Report, data: dict[str, Any], key: str, at: Place, default: str) -> str | None:
    return read_name(report, data[key], (*at, key), key) if key in data else default


def _read_then(report: Report, value: Any) -> Then | None:
    at: Place = ("then",)
    if value == "seen":
        return ThenSeen()
    if value == "delete":
        return ThenDelete()
    advice = "Write seen, delete, or {move: FOLDER}."
    if not isinstance(value, dict):
        given = f'"{value[:100]}"' if isinstance(value, str) else kind_of(value)
        report.error(at, f"then cannot be {given}", advice)
        return None
    check_keys(report, value, ("move",), at, "then")
    if "move" not in value:
        report.error(at, "then needs the folder to move mails to", advice)
        return None
    folder = read_name(report, value["move"], (*at, "move"), "move")
    return None if folder is None else ThenMove(folder)


def _read_filter(report: Report, value: Any, then: Then | None) -> MailFilter | None:
    at: Place = ("filter",)
    data = read_object(report, value, at, "filter")
    if data is None:
        return None
    check_keys(report, data, _FILTER_KEYS, at, "filter")
    marks = isinstance(then, ThenSeen)
    unseen = data.get("unseen", marks)
    if not isinstance(unseen, bool):
        report.error((*at, "unseen"), f"unseen can be true or false, not {kind_of(unseen)}")
        return None
    if marks and not unseen:
        report.error(
            (*at, "unseen"),
            "mails that were taken in are told by being seen, so only unseen ones can be fetched",
            "Leave `unseen` out, or write `then: {move: FOLDER}`.",
        )
    sender, subject = (
        read_name(report, data[key], (*at, key), key) if key in data else None
        for key in ("from", "subject")
    )
    return MailFilter(unseen, sender, subject)

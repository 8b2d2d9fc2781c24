"""Find mails in a mailbox (IMAP) and read them: the newest first, and nothing there is changed.

A step that looks logs in, reads and leaves. What comes by itself is a source's matter: one of the
kind `mail` brings each new mail as a request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from beltline.sdk import (
    Bounds,
    ClientFailed,
    Config,
    Context,
    Example,
    Module,
    NoFile,
    Output,
    Reject,
    Retry,
    field,
)

if TYPE_CHECKING:
    from beltline.clients.account import Server
    from beltline.clients.imap import Mailbox
    from beltline.clients.letter import Letter

_TIMEOUT_S = 20.0  # of one answer of the server


class MailReadConfig(Config):
    """Where to look, and for what. What is left out fits any mail."""

    folder: Annotated[str, field("Folder", "The folder.", min_length=1, max_length=200)] = "INBOX"
    sender: Annotated[
        str,
        field("From", "A text in the header From.", examples=["{{ request.email }}"]),
    ] = ""
    to: Annotated[str, field("To", "A text in the header To.")] = ""
    subject: Annotated[str, field("Subject", "A text in the subject.")] = ""
    text: Annotated[str, field("Text", "A text anywhere in the mail.")] = ""
    message_id: Annotated[
        str,
        field("Message-ID", "The one mail with this Message-ID.", examples=["<42@example.org>"]),
    ] = ""
    since: Annotated[
        str,
        field(
            "Since",
            "Mails that came at this day or later, by the server's own clock.",
            examples=["2026-11-25"],
            pattern=r"^(\d{4}-\d\d-\d\d(T.*)?)?$",
        ),
    ] = ""
    unseen: Annotated[bool, field("Unseen", "Only mails that nobody has opened.")] = False
    limit: Annotated[int, field("Limit", "How many mails are read at most.", ge=1, le=100)] = 10
    files: Annotated[
        bool, field("Files", "Whether attachments are kept here, as files of the document.")
    ] = False

    def __post_init__(self) -> None:
        for name in ("folder", "sender", "to", "subject", "text", "message_id"):
            if not getattr(self, name).isprintable():
                raise ValueError(f"`{name}` holds a line break, or another sign that is no letter")
        if self.since:
            date.fromisoformat(self.since[:10])


class LeftOut(Output):
    """A mail that was found and cannot be given."""

    uid: Annotated[int, field("UID", "Its number in the folder.")]
    reason: Annotated[str, field("Reason", "Why.")]


class MailReadOutput(Output):
    """What was found."""

    mails: Annotated[
        list[dict[str, Any]],
        field(
            "Mails",
            "The mails, the newest first: uid, from, to, cc, subject, date, message_id, headers,"
            " text, html and attachments.",
        ),
    ]
    count: Annotated[int, field("Count", "How many they are.")]
    found: Annotated[int, field("Found", "How many there are that fit, given or not.")]
    more: Annotated[bool, field("More", "Whether there are older ones that fit.")]
    left_out: Annotated[
        list[LeftOut], field("Left out", "Mails that are too large, or cannot be read.")
    ]


class _Looked(msgspec.Struct):
    """What a look gives, before files are kept."""

    found: int
    taken: int
    letters: list[tuple[int, Letter]]
    left_out: list[LeftOut]


async def read(config: MailReadConfig, context: Context) -> MailReadOutput | Retry | Reject:
    """Looks, and keeps the files of what was found."""
    from beltline.clients.account import server_of
    from beltline.clients.imap import SCHEMES

    if context.connection is None:
        return Reject("the step needs `connection:`, the name of one of the kind imap")
    try:
        server = server_of(context.connection, SCHEMES)
        # Where the step's time is over, the thread ends by itself: it holds nothing of others.
        looked = await asyncio.to_thread(partial(_look, server, config, context.bounds))
        mails = [await _given(uid, one, config, context) for uid, one in looked.letters]
    except ClientFailed as failed:
        return failed.outcome
    except NoFile as wrong:
        return Reject(str(wrong))
    return MailReadOutput(
        mails=mails,
        count=len(mails),
        found=looked.found,
        more=looked.taken < looked.found,
        left_out=looked.left_out,
    )


async def _given(
    uid: int, letter: Letter, config: MailReadConfig, context: Context
) -> dict[str, Any]:
    attachments: list[dict[str, Any]] = []
    for file in letter.files:
        shown: dict[str, Any] = {
            "name": file.name,
            "type": file.type,
            "bytes": len(file.content),
        }
        if config.files:
            ref = await context.files.keep(file.content, file.name, file.type)
            shown = msgspec.to_builtins(ref)
        attachments.append(shown)
    return {"uid": uid, **letter.fields, "attachments": attachments}


def _look(server: Server, config: MailReadConfig, bounds: Bounds) -> _Looked:
    """Runs in a thread. Raises `ClientFailed`."""
    from imaplib import IMAP4

    from imap_tools.errors import (
        ImapToolsError,
        MailboxFolderSelectError,
        MailboxLoginError,
    )

    from beltline.clients.account import words
    from beltline.clients.imap import looking

    try:
        with looking(server, config.folder, _TIMEOUT_S) as box:
            return _read(box, config, bounds)
    except MailboxLoginError as refused:
        raise ClientFailed(f"the account is not let in: {words(refused)}", permanent=True) from None
    except MailboxFolderSelectError as refused:
        raise ClientFailed(
            f"the folder {config.folder} cannot be opened: {words(refused)}", permanent=True
        ) from refused
    except (ImapToolsError, IMAP4.error, OSError) as wrong:
        raise ClientFailed(f"the mailbox cannot be read: {words(wrong)}") from wrong


def _read(box: Mailbox, config: MailReadConfig, bounds: Bounds) -> _Looked:
    """The newest mails, as far as they fit into a result together."""
    from beltline.clients.imap import Chosen

    chosen = Chosen(
        config.unseen,
        sender=config.sender or None,
        recipient=config.to or None,
        subject=config.subject or None,
        text=config.text or None,
        since=date.fromisoformat(config.since[:10]) if config.since else None,
        message_id=config.message_id or None,
    )
    uids = box.find(chosen)[::-1]
    looked = _Looked(found=len(uids), taken=0, letters=[], left_out=[])
    room = bounds.result_bytes // 2  # the texts; files, and what stands around, have the rest
    for uid, one in _letters(box, uids[: config.limit], bounds):
        if isinstance(one, LeftOut):
            looked.left_out.append(one)
        elif one is not None:
            room -= len(msgspec.json.encode(one.fields))
            if room < 0 and looked.letters:
                break
            if room < 0:
                reason = "its texts are larger than a result may be (limit result_bytes)"
                looked.left_out.append(LeftOut(uid=uid, reason=reason))
                looked.taken += 1
                break
            looked.letters.append((uid, one))
        looked.taken += 1
    return looked


def _letters(
    box: Mailbox, uids: list[str], bounds: Bounds
) -> Iterator[tuple[int, Letter | LeftOut | None]]:
    """Each mail, why it is left out, or None where it is gone meanwhile."""
    from beltline.clients.letter import Unreadable, read_letter

    for uid in uids:
        size, number = box.size(uid), int(uid)
        if size is not None and size > bounds.module_file_bytes:
            reason = f"it has {size} bytes (limit module_file_bytes)"
            yield number, LeftOut(uid=number, reason=reason)
            continue
        raw = None if size is None else box.fetch(uid)
        try:
            yield number, None if raw is None else read_letter(raw, bounds.mail_parts)
        except Unreadable as wrong:
            yield number, LeftOut(uid=number, reason=str(wrong))


module = Module(
    name="mail.read",
    version=1,
    summary="Find mails in a mailbox and read them.",
    description=(
        "The server is asked (IMAP SEARCH), and the newest mails that fit are read, with their"
        " texts as a source of the kind `mail` gives them. The folder is opened for reading only:"
        " no mail becomes seen. A mail larger than the bound `module_file_bytes`, with more parts"
        " than `mail_parts`, or that cannot be read stands in `left_out` with its reason; what does"
        " not fit into a result together (`result_bytes`) is left to be asked for, and `more` says"
        " so. An account that is not let in and a folder that is not there end the visit; a server"
        " that is away is tried again. The address of the connection is `imaps://` (port 993) or"
        " `imap://` (143, goes over to TLS). Needs `pip install beltline[mail]`."
    ),
    on_repeat="It looks again; what is there then may differ.",
    category="channel",
    icon="mail-search",
    effect="idempotent",
    connection="imap",
    config=MailReadConfig,
    output=MailReadOutput,
    handler=read,
    examples=(
        Example(
            "What a customer has written",
            {"sender": "anna@example.org", "since": "2026-11-01", "limit": 5},
        ),
        Example(
            "The invoice that came, with its file",
            {"folder": "Invoices", "subject": "Invoice 42", "limit": 1, "files": True},
        ),
    ),
)

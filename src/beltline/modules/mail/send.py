"""Send a mail by SMTP.

The mail goes to all of its recipients or to none: where the server refuses one of them, nothing is
sent. The `Message-ID` is made of the idempotency key, so that a repeated attempt sends the same
mail again and not another one, and a receiver can tell it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.errors import MessageError
from email.headerregistry import Address, HeaderRegistry
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Annotated, Any

from beltline.sdk import (
    ClientFailed,
    Config,
    Context,
    Example,
    FileRef,
    Module,
    NoFile,
    Output,
    Reject,
    Retry,
    field,
)

_RECIPIENTS_MOST = 100
_HEADERS_MOST = 50
_HEADERS = HeaderRegistry()
_OWN = frozenset(
    {"from", "to", "cc", "bcc", "reply-to", "sender", "subject", "date", "message-id"}
    | {"mime-version", "content-type", "content-transfer-encoding", "in-reply-to", "references"}
)


class SendMailConfig(Config):
    """The mail."""

    sender: Annotated[
        str,
        field(
            "From",
            "Who sends it: an address, or a name with an address.",
            examples=["Shop <shop@example.org>"],
        ),
    ]
    to: Annotated[
        str | list[str],
        field("To", "An address, or a list; one in each text.", examples=["anna@example.org"]),
    ]
    subject: Annotated[str, field("Subject", "The subject.", max_length=1_000)]
    text: Annotated[str | None, field("Text", "The body as plain text.")] = None
    html: Annotated[
        str | None,
        field("HTML", "The body as HTML; with text beside it, programs choose between the two."),
    ] = None
    cc: Annotated[str | list[str], field("Cc", "Further addresses, seen by all.")] = ""
    bcc: Annotated[str | list[str], field("Bcc", "Further addresses, seen by nobody.")] = ""
    reply_to: Annotated[str, field("Reply to", "Where answers go, if not to the sender.")] = ""
    in_reply_to: Annotated[
        str,
        field(
            "In reply to",
            "The Message-ID of the mail that this one answers.",
            examples=["<42@example.org>"],
        ),
    ] = ""
    attachments: Annotated[
        tuple[FileRef, ...],
        field("Attachments", "Files of the document.", examples=[["{{ request.scan }}"]]),
    ] = ()
    headers: Annotated[
        Mapping[str, str],
        field("Headers", "Further headers.", examples=[{"Auto-Submitted": "auto-generated"}]),
    ] = {}

    def __post_init__(self) -> None:
        if self.text is None and self.html is None:
            raise ValueError("give `text` or `html`")
        if len(self.headers) > _HEADERS_MOST:
            raise ValueError(f"`headers` holds more than {_HEADERS_MOST}")
        for name in self.headers:
            if name.lower() in _OWN:
                raise ValueError(f"the header {name!r} has a parameter of its own")


class SendMailOutput(Output):
    """What the server took."""

    message_id: Annotated[str, field("Message-ID", "The mail's own, the same at a repeat.")]
    recipients: Annotated[list[str], field("Recipients", "The addresses that it goes to.")]
    answer: Annotated[str, field("Answer", "What the server said, often its number of the mail.")]


async def send(config: SendMailConfig, context: Context) -> SendMailOutput | Retry | Reject:
    """Writes the mail, and gives it to the server."""
    from beltline.clients.smtp import SENDER

    try:
        [sender] = _addresses(config.sender, "sender")
        mail = _mail(config, sender, context.key)
        recipients = _recipients(config)
        await _attach(mail, config.attachments, context)
    except (ValueError, MessageError, NoFile) as wrong:
        return Reject(f"the mail cannot be written: {wrong}")
    try:
        async with context.client(SENDER) as server:
            answer = await server.send(sender.addr_spec, recipients, mail.as_bytes())
    except ClientFailed as failed:
        return failed.outcome
    return SendMailOutput(
        message_id=str(mail["Message-ID"]), recipients=recipients, answer=answer[:500]
    )


def _mail(config: SendMailConfig, sender: Address, key: str) -> EmailMessage:
    mail = EmailMessage(policy=SMTP)
    mail["From"] = sender
    for name, given in (("To", config.to), ("Cc", config.cc), ("Reply-To", config.reply_to)):
        if found := _addresses(given, name.lower()):
            mail[name] = found
    mail["Subject"] = config.subject
    mail["Date"] = format_datetime(datetime.now(UTC))
    mail["Message-ID"] = f"<{key}@{sender.domain}>"
    if config.in_reply_to:
        mail["In-Reply-To"] = mail["References"] = config.in_reply_to
    for name, value in config.headers.items():
        mail[name] = value
    if config.text is not None:
        mail.set_content(config.text)
        if config.html is not None:
            mail.add_alternative(config.html, subtype="html")
    elif config.html is not None:
        mail.set_content(config.html, subtype="html")
    return mail


async def _attach(mail: EmailMessage, refs: Sequence[FileRef], context: Context) -> None:
    """Adds files to the mail. Raises `NoFile` where one is not here, or they are too large."""
    left = most = context.bounds.module_file_bytes
    for ref in refs:
        content = await (await context.files.open(ref)).read()
        left -= len(content)
        if left < 0:
            raise NoFile(f"the attachments have more than {most} bytes (limit module_file_bytes)")
        kind, _, detail = ref.type.partition("/")
        if not detail or kind in ("text", "message", "multipart"):  # it goes as it is, unread
            kind, detail = "application", "octet-stream"
        name = ref.name or ref.blob.partition(":")[2][:16]
        mail.add_attachment(content, maintype=kind, subtype=detail, filename=name)


def _recipients(config: SendMailConfig) -> list[str]:
    """Every address once. Raises `ValueError` where there are none or too many."""
    found = [
        one.addr_spec
        for name, given in (("to", config.to), ("cc", config.cc), ("bcc", config.bcc))
        for one in _addresses(given, name)
    ]
    if not _addresses(config.to, "to"):
        raise ValueError("`to` names nobody")
    once = list(dict.fromkeys(found))
    if len(once) > _RECIPIENTS_MOST:
        raise ValueError(f"it has {len(once)} recipients, and at most {_RECIPIENTS_MOST} are sent")
    return once


def _addresses(given: str | Sequence[str], name: str) -> list[Address]:
    """The addresses of a parameter, one in each text: what a stranger wrote into a form cannot name
    further ones. A domain of other letters is written as DNS has it; a name before the @ with such
    letters is refused, since few servers take it. Raises `ValueError`.
    """
    texts = [given] if isinstance(given, str) else given
    return [_address(one, name) for one in texts if one.strip()]


def _address(text: str, name: str) -> Address:
    header: Any = _HEADERS("To", text)  # its class is made for the name
    if header.defects or len(header.addresses) != 1 or not text.isprintable():
        raise ValueError(f"`{name}` holds {text[:100]!r}, which is not one address")
    one = header.addresses[0]
    try:
        domain = one.domain if one.domain.isascii() else one.domain.encode("idna").decode()
        return Address(one.display_name, username=one.username, domain=domain)
    except (ValueError, MessageError):
        raise ValueError(f"`{name}` holds {text[:100]!r}, which is not one address") from None


module = Module(
    name="mail.send",
    version=1,
    summary="Send a mail.",
    description=(
        "The address of the connection is `smtp://` (port 587, goes over to TLS by STARTTLS) or"
        " `smtps://` (465, TLS from the beginning); without TLS nothing is sent. With `user` and"
        " `secret` it logs in. The step is completed when the server has taken the mail for all"
        " recipients, 100 at most; whether it arrives is told by bounces, to the sender's address."
        " Where the server refuses one recipient, nobody gets the mail: refusals with 5xx end the"
        " visit, those with 4xx (greylisting, a full mailbox) are tried again, not before 5"
        " minutes, as is a server that does not answer within 20 s. A mail larger than the server"
        " takes ends the visit. Attachments are files of the document, as `mail` sources and"
        " uploads give them; all of them count within the bound `module_file_bytes`. The"
        " `Message-ID` is made of the idempotency key. Needs `pip install beltline[smtp]`."
    ),
    on_repeat=(
        "The mail is sent a second time with the same `Message-ID`, by which mailboxes that look"
        " for repeats tell it."
    ),
    category="channel",
    icon="mail",
    effect="at-least-once",
    connection="smtp",
    config=SendMailConfig,
    output=SendMailOutput,
    handler=send,
    examples=(
        Example(
            "Confirm an order",
            {
                "sender": "Shop <shop@example.org>",
                "to": "Anna <anna@example.org>",
                "subject": "Your order 42",
                "text": "Thank you!",
                "html": "<p>Thank you!</p>",
            },
        ),
        Example(
            "Tell several people",
            {
                "sender": "hub@example.org",
                "to": ["anna@example.org", "boris@example.org"],
                "bcc": "archive@example.org",
                "subject": "A lead waits",
                "text": "Nobody has called it back.",
                "headers": {"Auto-Submitted": "auto-generated"},
            },
        ),
    ),
)

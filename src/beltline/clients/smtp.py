"""SMTP: how a mail server is connected to, and how a mail is handed to it for all or for none.

MAIL ──> RCPT, each ──> all taken? ── yes ──> DATA ──> its answer: the mail is the server's
└── no ──> RSET: nobody gets it, and the step is told who was not
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from typing import cast

from aiosmtplib import SMTP
from aiosmtplib.errors import (
    SMTPAuthenticationError,
    SMTPException,
    SMTPResponseException,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)

from beltline.clients.account import CONNECT_S, Misconfigured, server_of, unreachable, words
from beltline.sdk import Client, ClientFailed, Connection, ConnectionKind, Http

# SMTP without TLS is not spoken: `smtp://` begins in the clear and goes over to TLS (STARTTLS)
# before the password and the mail are sent.
SCHEMES = {"smtps": (465, True), "smtp": (587, False)}
# Below a step's usual timeout, so that what the server did not answer is told.
ANSWER_S = 20.0
# Servers that greylist, or have too much to do, take the mail some minutes later, not at once.
LATER_S = 300.0
_CLOSING = 421


class SmtpLine:
    """A connection to a mail server; it serves one mail at a time."""

    def __init__(self, client: SMTP) -> None:
        self._client = client
        self._transport = cast(asyncio.Transport, client.transport)
        self._is_doubtful = False

    def is_open(self) -> bool:
        """Whether the line holds."""
        return self._client.is_connected and not self._is_doubtful

    async def close(self) -> None:
        """Leaves."""
        try:
            if self._client.is_connected:
                await self._client.quit(timeout=2)
        except (SMTPException, OSError):
            pass  # it is left in any case
        finally:
            self._client.close()
            self._transport.abort()  # a TLS line would wait for the other side's farewell

    def describe(self) -> str:
        """What is at the other end."""
        most = self._most_bytes()
        return "a mail server that takes mails" + (f" of up to {most} bytes" if most else "")

    async def send(self, sender: str, recipients: Sequence[str], mail: bytes) -> str:
        """Gives a mail to the server, for all of the recipients or for none. Returns what the
        server said. Raises `ClientFailed`.
        """
        try:
            await self._client.ehlo()
            most = self._most_bytes()
            if most and len(mail) > most:
                raise ClientFailed(
                    f"the mail has {len(mail)} bytes, and the server takes {most}", permanent=True
                )
            await self._client.mail(sender)
            refused = await self._refused(recipients)
            if refused is not None:
                await self._client.rset()
                raise refused
            return (await self._client.data(mail)).message
        except SMTPTimeoutError as late:
            self._is_doubtful = True
            raise ClientFailed(f"the mail server did not answer within {ANSWER_S:g} s") from late
        except SMTPServerDisconnected as lost:
            self._is_doubtful = True
            raise ClientFailed(f"the mail server hung up: {words(lost)}") from lost
        except SMTPResponseException as answer:
            self._is_doubtful = True  # the envelope is in the way of the next mail
            raise _failed("the mail", answer) from answer
        except (SMTPException, OSError) as wrong:
            self._is_doubtful = True
            raise ClientFailed(f"the mail could not be sent: {words(wrong)}") from wrong

    def _most_bytes(self) -> int:
        told = self._client.esmtp_extensions.get("size", "")
        return int(told) if told.isdecimal() else 0

    async def _refused(self, recipients: Sequence[str]) -> ClientFailed | None:
        """Names the recipients that the server does not take; for good, where that holds for any
        of them.
        """
        failed: list[tuple[str, SMTPResponseException]] = []
        for one in recipients:
            try:
                await self._client.rcpt(one)
            except SMTPResponseException as answer:
                if answer.code == _CLOSING:
                    raise
                failed.append((one, answer))
        if not failed:
            return None
        for_good = [one for one in failed if _is_permanent(one[1])]
        told = "; ".join(_failed(one, answer).args[0] for one, answer in (for_good or failed))
        return ClientFailed(told, permanent=bool(for_good), after_s=None if for_good else LATER_S)


def _failed(what: str, answer: SMTPResponseException) -> ClientFailed:
    permanent = _is_permanent(answer)
    return ClientFailed(
        f"the server refuses {what}: {answer.code} {words(Exception(answer.message))}",
        permanent=permanent,
        after_s=None if permanent else LATER_S,
    )


def _is_permanent(answer: SMTPResponseException) -> bool:
    return answer.code >= 500


async def open_smtp(connection: Connection) -> SmtpLine:
    """Connects by TLS, and logs in where the connection names a user. Raises `ClientFailed`."""
    server = server_of(connection, SCHEMES)
    if bool(server.user) != bool(server.secret):
        raise Misconfigured(
            f"the connection {connection.name} needs both `user` and `secret`, or neither"
        )
    client = SMTP(
        hostname=server.host,
        port=server.port,
        use_tls=server.tls,
        start_tls=not server.tls,
        tls_context=ssl.create_default_context(),
        timeout=CONNECT_S,
    )
    try:
        await client.connect()
        client.timeout = ANSWER_S
        if server.user:
            await client.login(server.user, server.secret)
    except SMTPAuthenticationError as refused:
        client.close()
        raise _failed(f"the account of the connection {connection.name}", refused) from refused
    except SMTPResponseException as refused:
        client.close()
        raise _failed("to be talked to", refused) from refused
    except (SMTPException, OSError) as wrong:
        client.close()
        raise unreachable(connection, wrong) from wrong
    return SmtpLine(client)


async def _check(connection: Connection, _http: Http) -> str:
    line = await open_smtp(connection)
    try:
        logged_in = " and lets the account in" if connection.options.get("user") else ""
        return f"{line.describe()}{logged_in}"
    finally:
        await line.close()


SENDER = Client(
    name="smtp-sender",
    open=open_smtp,
    close=SmtpLine.close,
    is_open=SmtpLine.is_open,
    is_shared=False,
    idle_s=30.0,  # mail servers end lines that are silent, after some minutes
)
kind = ConnectionKind(name="smtp", check=_check)

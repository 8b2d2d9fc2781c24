"""Mailboxes of the tests: what others do with them by IMAP, and sources that look into them."""

from __future__ import annotations

import imaplib
import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from beltline.core.limits import PRODUCTION, Limits
from beltline.definition.mail import MailWay
from beltline.sources.mail.feed import MailFeed
from tests.integration.feeding import WatchedDoor, connection
from tests.servers.daemon import LOOPBACK
from tests.servers.dovecot import PASSWORD, Dovecot
from tests.unit.api.stage import Stage

NUMBERS = itertools.count(1)


def mail(number: int, *, id: bool = True, body: str = "hello") -> bytes:
    """A plain mail."""
    message_id = f"Message-ID: <mail{number}@site.example>\r\n" if id else ""
    return (
        f"From: Anna <anna@site.example>\r\nTo: hub@site.example\r\nSubject: Mail {number}\r\n"
        f"Date: Mon, 24 Nov 2025 12:00:00 +0300\r\n{message_id}\r\n{body} {number}\r\n"
    ).encode()


class Postbox:
    """A mailbox, as a person's program has it."""

    def __init__(self, server: Dovecot, name: str) -> None:
        self.server = server
        self.name = name

    @contextmanager
    def opened(self, folder: str = "INBOX") -> Iterator[imaplib.IMAP4]:
        """The mailbox as a person's program opens it."""
        box = imaplib.IMAP4_SSL(LOOPBACK, self.server.port, ssl_context=self.server.trust())
        box.login(self.name, PASSWORD)
        try:
            assert box.select(folder)[0] == "OK"
            yield box
        finally:
            box.logout()

    def put(self, *mails: bytes, folder: str = "INBOX") -> None:
        """Puts mails there, unseen."""
        with self.opened() as box:
            for raw in mails:
                status, said = box.append(folder, "", "", raw)
                assert status == "OK", said

    def flags(self, folder: str = "INBOX") -> list[str]:
        """The flags of each mail, without those of the server itself."""
        try:
            with self.opened(folder) as box:
                if box.search(None, "ALL")[1] == [b""]:
                    return []
                _, lines = box.fetch("1:*", "(FLAGS)")
        except AssertionError:
            return []  # there is no such folder
        found = [re.search(rb"FLAGS \((.*?)\)", line) for line in lines if isinstance(line, bytes)]
        told = [one[1].decode().split() for one in found if one is not None]
        return [" ".join(sorted(set(flags) - {r"\Recent"})) for flags in told]


class WatchedBox(Postbox):
    """A mailbox of its own, a source that looks into it, and its door."""

    def __init__(self, stage: Stage, server: Dovecot, more: str = "") -> None:
        super().__init__(server, f"box{next(NUMBERS)}")
        self.stage = stage
        if "every:" not in more:
            more += "every: 1s\n"
        stage.add_source(f"source: {self.name}\nkind: mail\nprocess: take\nconnection: c\n{more}")
        self.door = WatchedDoor(stage, self.name)

    def feed(
        self, *, limits: Limits = PRODUCTION, address: str = "", pause: Any = None
    ) -> MailFeed:
        way = self.door.source.way
        assert isinstance(way, MailWay)
        account = connection("imap", address or self.server.address, self.name, PASSWORD)
        feed = MailFeed(
            self.door,
            way,
            lambda: account,
            self.stage.hub.blobs,
            limits,
            trust=self.server.trust,
        )
        if pause is not None:
            feed._pause = pause
        return feed

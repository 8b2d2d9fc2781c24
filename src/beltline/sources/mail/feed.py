"""A mail source at work: mails are found, become requests, and are marked after the commit.

    my turn? ──> connect ──> look ──> find ──> for each: fetch, read, offer ... commit ... mark
                    ^         │                            └─> refused: to the folder for that
                    │         v
                    └─ end <─ wait for news, `every` at most; is it still my turn?

A crash between the commit and the mark brings the mail again, and its identity tells that it is
here already: its Message-ID with a digest of what it says (some senders give every mail one id), or
else its UID in this validity of the folder.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import structlog

from beltline.clients.account import Connect, server_of
from beltline.core.limits import Limits
from beltline.definition.mail import MailWay, ThenDelete, ThenMove, ThenSeen
from beltline.engine.attachments import Attachment, BlobStore
from beltline.sources.door import Door, FeedTrouble, Offering
from beltline.sources.json_body import canonical
from beltline.sources.mail.mailbox import SCHEMES, Mailbox, MailboxRefused, Trust, open_mailbox
from beltline.sources.mail.reading import Mail, read_mail
from beltline.sources.offering import Pause, offer_until_taken
from beltline.sources.refusal import RequestRefused
from beltline.sources.turn import Turn

_IDLE_MOST_S = 25 * 60.0  # servers end it after half an hour

_log = structlog.get_logger(__name__)
_T = TypeVar("_T")


class MailFeed:
    """A source that looks into a mailbox (`door.Feed`). `blobs` keeps the files of its mails."""

    def __init__(
        self,
        door: Door,
        way: MailWay,
        connect: Connect,
        blobs: BlobStore,
        limits: Limits,
        *,
        trust: Trust = ssl.create_default_context,
        pause: Pause = asyncio.sleep,
    ) -> None:
        self._door = door
        self._way = way
        self._connect = connect
        self._blobs = blobs
        self._limits = limits
        self._trust = trust
        self._pause = pause
        self._turn = Turn(door, way.every_ms, pause)
        self._set_aside_failed: set[str] = set()

    async def run(self) -> None:
        """Looks while it is this node's turn. Raises whatever breaks the connection."""
        while True:
            await self._turn.begin()
            server = server_of(self._connect(), SCHEMES)
            box = await _in_thread(open_mailbox, server, self._way.folder, self._trust)
            try:
                await self._look_while_mine(box)
            finally:
                await _close(box)

    async def _look_while_mine(self, box: Mailbox) -> None:
        self._set_aside_failed.clear()
        if isinstance(self._way.then, ThenMove):
            await _in_thread(box.ensure, self._way.then.folder)
        while await self._turn.goes_on():
            await self._look(box)
            self._door.looked()
            if box.tells:
                await self._wait_for_news(box, self._turn.left_s())
            else:
                await self._pause(self._turn.left_s())

    async def _wait_for_news(self, box: Mailbox, most_s: float) -> None:
        """Until the server tells of something. What it tells in the very moment in which this
        begins may be overlooked, and is found at the next look.
        """
        number = await _in_thread(box.begin_to_listen)
        loop = asyncio.get_running_loop()
        news = asyncio.Event()
        loop.add_reader(number, news.set)
        try:
            async with asyncio.timeout(min(most_s, _IDLE_MOST_S)):
                await news.wait()
        except TimeoutError:
            pass
        finally:
            loop.remove_reader(number)
        await _in_thread(box.end_to_listen)

    # One look, one mail

    async def _look(self, box: Mailbox) -> None:
        for uid in await _in_thread(box.find, self._way.filter):
            if uid not in self._set_aside_failed:
                await self._take(box, uid)

    async def _take(self, box: Mailbox, uid: str) -> None:
        try:
            mail = await self._fetched(box, uid)
            if mail is None:
                return  # somebody else has taken it away
            offering = await self._offering(box, uid, mail)
        except RequestRefused as unfit:
            self._door.note(unfit, meta=_about(box, uid))
            await self._refuse(box, uid, unfit)
            return
        [answer] = await offer_until_taken(self._door, [offering], pause=self._pause)
        if isinstance(answer, RequestRefused):
            await self._refuse(box, uid, answer)
        else:
            await self._mark(box, uid)

    async def _fetched(self, box: Mailbox, uid: str) -> Mail | None:
        size = await _in_thread(box.size, uid)
        if size is None:
            return None
        if size > self._limits.mail_bytes:
            raise RequestRefused(
                413,
                "too-large",
                f"The mail takes {size:,} bytes, more than {self._limits.mail_bytes:,}"
                " (limit mail_bytes).",
            )
        raw = await _in_thread(box.fetch, uid)
        return None if raw is None else await _in_thread(read_mail, raw, self._limits)

    async def _offering(self, box: Mailbox, uid: str, mail: Mail) -> Offering:
        files = mail.attachments
        value = {**mail.fields, "attachments": [one.reference() for one in files]}
        size = len(canonical(value))
        if size > self._limits.request_body_bytes:
            raise RequestRefused(
                413,
                "too-large",
                f"The texts of the mail take {size:,} bytes, more than"
                f" {self._limits.request_body_bytes:,} (limit request_body_bytes).",
            )
        await self._keep(files)
        identity = _identity(box, uid, mail, self._limits.identity_bytes)
        return Offering(value, _about(box, uid), identity)

    async def _keep(self, files: list[Attachment]) -> None:
        try:
            await self._blobs.keep({file.id: file.content for file in files})
        except OSError as wrong:
            raise FeedTrouble(f"the files of a mail cannot be kept now: {wrong}") from wrong

    async def _mark(self, box: Mailbox, uid: str) -> None:
        match self._way.then:
            case ThenSeen():
                await _in_thread(box.mark_seen, uid)
            case ThenMove(folder):
                await _in_thread(box.move, uid, folder)
            case ThenDelete():
                await _in_thread(box.delete, uid)

    async def _refuse(self, box: Mailbox, uid: str, refused: RequestRefused) -> None:
        """Takes it out of the way of the others. Where that cannot be done it stays, and this
        connection does not look at it again.
        """
        reason = f"{refused.kind}: {refused.detail}"
        self._door.refused(reason)
        told = {"source": self._door.source.name, "uid": uid, "reason": reason}
        try:
            await _in_thread(box.ensure, self._way.refused)
            await _in_thread(box.move, uid, self._way.refused)
        except MailboxRefused as why:
            self._set_aside_failed.add(uid)
            _log.error("a mail is refused and cannot be set aside", why=str(why), **told)
        else:
            _log.warning("a mail is refused", went_to=self._way.refused, **told)


def _about(box: Mailbox, uid: str) -> dict[str, Any]:
    return {"mail": {"folder": box.folder, "uid": int(uid), "validity": box.validity}}


def _identity(box: Mailbox, uid: str, mail: Mail, bytes_most: int) -> str:
    if not mail.message_id:
        return f"uid {box.folder} {box.validity} {uid}"
    digest = f" {mail.digest}"
    room = bytes_most - len(digest)
    return mail.message_id.encode()[:room].decode("utf-8", "ignore") + digest


async def _in_thread(ask: Callable[..., _T], *parts: Any) -> _T:
    return await asyncio.to_thread(partial(ask, *parts))


async def _close(box: Mailbox) -> None:
    try:
        await _in_thread(box.close)
    except Exception as trouble:  # noqa: BLE001 - what ended the connection is what is told
        _log.debug("a mailbox did not close cleanly", reason=str(trouble))

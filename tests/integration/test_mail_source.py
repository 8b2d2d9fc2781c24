"""Mail sources against a real IMAP server."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from beltline.clients.imap import Mailbox
from beltline.core.limits import PRODUCTION
from beltline.engine.ports import StoreAway
from tests.integration.feeding import Killed, bodies, fed, finished, prepare, runs, until
from tests.integration.mailboxes import Postbox, WatchedBox, mail
from tests.servers.dovecot import Dovecot
from tests.unit.api.stage import Stage, running_stage

pytestmark = pytest.mark.slow

SEEN = r"\Seen"


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with running_stage(tmp_path) as stage:
        await prepare(stage)
        yield stage


async def flags_are(box: Postbox, wanted: list[str], folder: str = "INBOX") -> None:
    """Waits until the mails of a folder have these flags."""

    async def are() -> bool:
        return await asyncio.to_thread(box.flags, folder) == wanted

    await until(are)


async def test_a_mail_becomes_a_finished_request_and_is_seen(
    stage: Stage, mail_server: Dovecot
) -> None:
    box = WatchedBox(stage, mail_server)
    box.put(mail(1), mail(2))
    async with fed(box.feed()) as running:
        await finished(stage, box.name, 2)
        await flags_are(box, [SEEN, SEEN])
        assert running.errors == []
    first, second = await bodies(stage, box.name)
    assert first == {
        "from": {"name": "Anna", "address": "anna@site.example"},
        "to": [{"name": "", "address": "hub@site.example"}],
        "cc": [],
        "subject": "Mail 1",
        "date": "2025-11-24T12:00:00+03:00",
        "message_id": "<mail1@site.example>",
        "headers": {},
        "text": "hello 1\r\n",
        "html": "",
        "attachments": [],
    }
    assert second["subject"] == "Mail 2"


async def test_the_server_tells_of_a_new_mail(
    stage: Stage, mail_server: Dovecot, monkeypatch: pytest.MonkeyPatch
) -> None:
    listening = asyncio.Event()
    loop = asyncio.get_running_loop()
    begin = Mailbox.begin_to_listen

    def begin_and_tell(self: Mailbox) -> int:
        number = begin(self)
        loop.call_soon_threadsafe(listening.set)
        return number

    monkeypatch.setattr(Mailbox, "begin_to_listen", begin_and_tell)
    box = WatchedBox(stage, mail_server, "every: 10m\n")
    async with fed(box.feed()):
        await listening.wait()
        await asyncio.to_thread(box.put, mail(1))
        await finished(stage, box.name, 1)


async def test_what_cannot_be_told_is_found_by_looking(
    stage: Stage, mail_server: Dovecot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Mailbox, "tells", False)
    box = WatchedBox(stage, mail_server)
    async with fed(box.feed()):
        await asyncio.to_thread(box.put, mail(1))
        await finished(stage, box.name, 1)


async def test_tls_begins_later_where_the_address_says_so(
    stage: Stage, mail_server: Dovecot
) -> None:
    box = WatchedBox(stage, mail_server)
    box.put(mail(1))
    async with fed(box.feed(address=mail_server.plain_address)):
        await finished(stage, box.name, 1)


async def test_a_server_that_nobody_vouches_for_is_not_logged_in_to(
    stage: Stage, mail_server: Dovecot
) -> None:
    for address in (mail_server.address, mail_server.plain_address):
        box = WatchedBox(stage, mail_server)
        box.put(mail(1))
        feed = box.feed(address=address)
        feed._trust = ssl.create_default_context
        async with fed(feed, once=True) as running:
            await running.ended()
        assert isinstance(running.errors[0], ssl.SSLCertVerificationError)
        assert await runs(stage, box.name) == []


async def test_a_mail_is_moved(stage: Stage, mail_server: Dovecot) -> None:
    box = WatchedBox(stage, mail_server, "then: {move: Готово}\n")
    box.put(mail(1))
    async with fed(box.feed()):
        await finished(stage, box.name, 1)
        await flags_are(box, [])
    assert box.flags("&BBMEPgRCBD4EMgQ+-") == [""]


async def test_a_mail_is_deleted_and_what_a_person_marked_stays(
    stage: Stage, mail_server: Dovecot
) -> None:
    box = WatchedBox(stage, mail_server, "then: delete\n")
    box.put(mail(1), mail(2))
    with box.opened() as person:
        person.store("1", "+FLAGS", r"\Deleted")
    async with fed(box.feed()):
        await finished(stage, box.name, 1)
        await flags_are(box, [r"\Deleted"])
    assert [one["subject"] for one in await bodies(stage, box.name)] == ["Mail 2"]


async def test_only_mails_of_the_filter_are_taken(stage: Stage, mail_server: Dovecot) -> None:
    box = WatchedBox(stage, mail_server, "filter: {from: anna@, subject: Заказ}\n")
    ordered = mail(1).replace(b"Mail 1", "Заказ 1".encode())
    encoded = mail(2).replace(b"Mail 2", b"=?utf-8?B?0JfQsNC60LDQtyAy?=")
    box.put(mail(3), encoded, ordered.replace(b"anna@", b"bob@"))
    async with fed(box.feed()):
        await finished(stage, box.name, 1)
        await flags_are(box, ["", SEEN, ""])
    assert [one["subject"] for one in await bodies(stage, box.name)] == ["Заказ 2"]


async def test_a_kill_between_commit_and_mark_starts_nothing_twice(
    stage: Stage, mail_server: Dovecot
) -> None:
    box = WatchedBox(stage, mail_server)
    box.put(mail(1), mail(2, id=False))

    async def die() -> None:
        raise Killed

    box.door.after = die
    for _ in range(2):
        async with fed(box.feed(), once=True) as running:
            await running.ended()
        assert isinstance(running.errors[0], Killed)
    box.door.after = None
    assert box.flags() == ["", ""]
    async with fed(box.feed()):
        await finished(stage, box.name, 2)
        await flags_are(box, [SEEN, SEEN])
    await finished(stage, box.name, 2)


async def test_mails_wait_while_the_store_is_away(stage: Stage, mail_server: Dovecot) -> None:
    box = WatchedBox(stage, mail_server)
    box.put(mail(1))
    waited: list[float] = []
    back = asyncio.Event()

    async def refuse() -> None:
        if not back.is_set():
            raise StoreAway("gone")

    async def pause(seconds: float) -> None:
        waited.append(seconds)
        await back.wait()

    async def tried() -> bool:
        return bool(waited)

    box.door.before = refuse
    async with fed(box.feed(pause=pause)) as running:
        await until(tried)
        assert await asyncio.to_thread(box.flags) == [""]
        back.set()
        await finished(stage, box.name, 1)
        await flags_are(box, [SEEN])
        assert running.errors == []


async def test_what_cannot_be_taken_is_set_aside_and_holds_nothing_up(
    stage: Stage, mail_server: Dovecot
) -> None:
    small = msgspec.structs.replace(PRODUCTION, mail_bytes=20_000, mail_parts=20)
    box = WatchedBox(stage, mail_server, 'identity: {by: "{{ request.message_id }}"}\n')
    huge = mail(1, body="x" * 30_000)
    parts = b"".join(b"--b\r\n\r\nx\r\n" for _ in range(30))
    many = mail(2).replace(b"Subject", b"Content-Type: multipart/mixed; boundary=b\r\nSubject", 1)
    without_id = mail(3, id=False)  # its source tells repeats by it
    box.put(huge, many + parts + b"--b--\r\n", without_id, mail(4))
    async with fed(box.feed(limits=small)) as running:
        await finished(stage, box.name, 1)
        await flags_are(box, [SEEN])
        await flags_are(box, ["", "", ""], "Refused")
        assert running.errors == []
    assert box.door.state.refused == 3


async def test_what_cannot_be_set_aside_stays_and_holds_nothing_up(
    stage: Stage, mail_server: Dovecot, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = msgspec.structs.replace(PRODUCTION, mail_bytes=20_000)
    # A folder's name that the server does not take.
    box = WatchedBox(stage, mail_server, "refused: a//b\n")
    box.put(mail(1, body="x" * 30_000), mail(2))
    async with fed(box.feed(limits=small)) as running:
        await finished(stage, box.name, 1)
        await flags_are(box, ["", SEEN])
        assert running.errors == []


async def test_one_id_for_different_mails_swallows_none(stage: Stage, mail_server: Dovecot) -> None:
    box = WatchedBox(stage, mail_server)
    same = b"<form@site.example>"
    first, second = (mail(n).replace(b"<mail%d@site.example>" % n, same) for n in (1, 2))
    box.put(first, second, first.replace(b"From", b"Received: from here\r\nFrom", 1))
    async with fed(box.feed()):
        await flags_are(box, [SEEN, SEEN, SEEN])
    await finished(stage, box.name, 2)


async def test_a_folder_that_was_made_anew_is_read_anew(stage: Stage, mail_server: Dovecot) -> None:
    """UIDs count from one again then: a mail without an id is not taken for an earlier one."""
    box = WatchedBox(stage, mail_server)
    box.put(mail(1, id=False))
    async with fed(box.feed()):
        await finished(stage, box.name, 1)
        await flags_are(box, [SEEN])
    with box.opened() as person:
        before = person.response("UIDVALIDITY")[1]
    shutil.rmtree(mail_server.mail_folder(box.name))
    await asyncio.sleep(1.1)  # the server counts validities in seconds
    box.put(mail(2, id=False))
    with box.opened() as person:
        assert person.response("UIDVALIDITY")[1] != before
    async with fed(box.feed()):
        await finished(stage, box.name, 2)


async def test_files_are_kept_and_named(stage: Stage, mail_server: Dovecot) -> None:
    box = WatchedBox(stage, mail_server)
    raw = (
        b"From: a@b.example\r\nSubject: files\r\nMIME-Version: 1.0\r\nMessage-ID: <f@b>\r\n"
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n"
        b"see\r\n--b\r\nContent-Type: application/pdf; name=a.pdf\r\n"
        b"Content-Disposition: attachment\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        b"JVBERg==\r\n--b--\r\n"
    )
    box.put(raw)
    async with fed(box.feed()):
        await finished(stage, box.name, 1)
    [request] = await bodies(stage, box.name)
    [file] = request["attachments"]
    assert {**file, "blob": ""} == {
        "blob": "",
        "name": "a.pdf",
        "type": "application/pdf",
        "bytes": 4,
    }
    found: Any = await stage.hub.blobs.read(file["blob"])
    assert b"".join([piece async for piece in found[1]]) == b"%PDF"


async def test_a_restart_of_the_server_loses_nothing(stage: Stage, mail_server: Dovecot) -> None:
    box = WatchedBox(stage, mail_server)
    box.put(mail(1))
    async with fed(box.feed()):
        await finished(stage, box.name, 1)
        await asyncio.to_thread(mail_server.restart)
        await asyncio.to_thread(box.put, mail(2))
        await finished(stage, box.name, 2)
        await flags_are(box, [SEEN, SEEN])

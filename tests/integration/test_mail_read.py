"""Mails that a step looks for, at a real IMAP server."""

from __future__ import annotations

from email.message import EmailMessage
from typing import Any

import pytest

from beltline.clients.account import server_of
from beltline.clients.imap import SCHEMES, looking
from beltline.sdk import Connection, Reject, Retry
from beltline.sdk.testing import BOUNDS
from tests.integration.feeding import connection
from tests.integration.mailboxes import NUMBERS, Postbox, mail
from tests.integration.module_calls import Calls
from tests.servers.daemon import LOOPBACK
from tests.servers.dovecot import PASSWORD, Dovecot

pytestmark = pytest.mark.slow


class Box:
    """A mailbox of the test's own, read by the module."""

    def __init__(self, call: Calls, server: Dovecot) -> None:
        self.call = call
        self.server = server
        self.postbox = Postbox(server, f"read{next(NUMBERS)}")

    def account(self, password: str = PASSWORD) -> Connection:
        return connection("imap", self.server.address, self.postbox.name, password)

    async def read(self, **config: Any) -> Any:
        return await self.call("mail.read", self.account(), **config)

    async def subjects(self, **config: Any) -> list[str]:
        return [one["subject"] for one in (await self.read(**config))["mails"]]


@pytest.fixture
def box(call: Calls, mail_server: Dovecot, monkeypatch: pytest.MonkeyPatch) -> Box:
    monkeypatch.setenv("SSL_CERT_FILE", str(mail_server.certificate))
    return Box(call, mail_server)


def with_file(content: bytes) -> bytes:
    letter = EmailMessage()
    letter["From"], letter["To"] = "Борис <boris@other.example>", "hub@site.example"
    letter["Subject"], letter["Message-ID"] = "Счёт 7", "<7@other.example>"
    letter.set_content("See below")
    letter.add_attachment(content, maintype="application", subtype="pdf", filename="счёт.pdf")
    return letter.as_bytes()


async def test_the_newest_are_read_first_and_stay_unseen(box: Box) -> None:
    box.postbox.put(*(mail(n) for n in range(4)))
    found = await box.read(limit=2)
    assert [one["subject"] for one in found["mails"]] == ["Mail 3", "Mail 2"]
    assert (found["count"], found["found"], found["more"], found["left_out"]) == (2, 4, True, [])
    newest = found["mails"][0]
    assert newest["from"] == {"name": "Anna", "address": "anna@site.example"}
    assert (newest["text"], newest["message_id"]) == ("hello 3\r\n", "<mail3@site.example>")
    assert newest["uid"] > found["mails"][1]["uid"]
    whole = await box.read()
    assert (whole["count"], whole["more"]) == (4, False)
    with looking(server_of(box.account(), SCHEMES), "INBOX") as opened:
        opened.mark_seen(str(newest["uid"]))  # which the server does not do
    assert all("\\Seen" not in flags for flags in box.postbox.flags())


async def test_what_is_looked_for(box: Box) -> None:
    box.postbox.put(mail(1), mail(2, body='odd "quoted" word'), with_file(b"x"))
    assert await box.subjects(subject="Mail 1") == ["Mail 1"]
    assert await box.subjects(sender="boris@") == ["Счёт 7"]
    assert await box.subjects(text='"quoted"') == ["Mail 2"]
    assert await box.subjects(subject="Счёт") == ["Счёт 7"]
    assert await box.subjects(message_id="<7@other.example>") == ["Счёт 7"]
    assert await box.subjects(to="nobody@") == []
    assert await box.subjects(since="2999-01-01") == []
    assert len(await box.subjects(since="2020-01-01T00:00:00Z", unseen=True)) == 3
    # What a stranger wrote is a text, and no other question.
    assert await box.subjects(subject='x" OR SUBJECT "Mail 1') == []


async def test_files_are_kept_where_they_are_wanted(box: Box) -> None:
    box.postbox.put(with_file(b"%PDF"))
    [named] = (await box.read())["mails"][0]["attachments"]
    assert named == {"name": "счёт.pdf", "type": "application/pdf", "bytes": 4}
    [kept] = (await box.read(files=True))["mails"][0]["attachments"]
    assert (kept["name"], kept["bytes"]) == ("счёт.pdf", 4)
    assert box.call.files.contents[kept["blob"]] == b"%PDF"


async def test_what_is_too_large_is_left_out_and_told(box: Box) -> None:
    box.postbox.put(mail(1), with_file(b"x" * BOUNDS.module_file_bytes))
    found = await box.read()
    assert [one["subject"] for one in found["mails"]] == ["Mail 1"]
    [left] = found["left_out"]
    assert "limit module_file_bytes" in left["reason"]
    assert (found["found"], found["more"]) == (2, False)


async def test_a_result_is_bounded_and_says_that_there_is_more(box: Box) -> None:
    half = BOUNDS.result_bytes // 4
    box.postbox.put(mail(1, body="x" * 3 * half), *(mail(n, body="x" * half) for n in (2, 3)))
    found = await box.read()
    assert [one["subject"] for one in found["mails"]] == ["Mail 3"]
    assert (found["more"], found["left_out"]) == (True, [])
    alone = await box.read(subject="Mail 1")
    assert (alone["mails"], alone["more"]) == ([], False)
    assert "limit result_bytes" in alone["left_out"][0]["reason"]


async def test_what_stays_ends_the_visit_and_what_passes_does_not(box: Box) -> None:
    wrong = await box.call("mail.read", box.account("wr0ng"))
    assert isinstance(wrong, Reject)
    assert ("not let in" in wrong.reason, "wr0ng" in wrong.reason) == (True, False)
    none = await box.read(folder="Nowhere")
    assert isinstance(none, Reject)
    assert "the folder Nowhere cannot be opened" in none.reason
    away = connection("imap", f"imaps://{LOOPBACK}:9", "a", "b")
    assert isinstance(await box.call("mail.read", away), Retry)
    other = await box.call("mail.read", connection("imap", "https://mail.example", "a", "b"))
    assert isinstance(other, Reject)
    with pytest.raises(Exception, match="line break"):
        await box.read(subject="a\r\nb")
    with pytest.raises(Exception, match="month"):
        await box.read(since="2026-13-01")

"""Sending mail: to a real server, and from there into a mailbox; what it refuses, and when."""

from __future__ import annotations

import asyncio
import email
import email.policy
import socket
import socketserver
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from typing import Any

import pytest

from beltline.sdk import Connection, Reject, Retry
from beltline.sdk.context import idempotency_key
from tests.integration.feeding import connection, until
from tests.integration.mailboxes import Postbox
from tests.integration.module_calls import Calls
from tests.servers.daemon import LOOPBACK
from tests.servers.dovecot import PASSWORD, Dovecot
from tests.servers.postfix import DOMAIN, Postfix, postfix
from tests.servers.wanted import wanted

pytestmark = pytest.mark.slow

KEY = idempotency_key("run-1", "step-1", 1)
MAIL: dict[str, Any] = {
    "sender": f"Магазин <shop@{DOMAIN}>",
    "subject": "Ваш заказ 42",
    "text": "Спасибо!\n.\nдо встречи",
}


class Policy(socketserver.ThreadingTCPServer):
    """What the server asks before it takes a recipient; `answers` are given one after another."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((LOOPBACK, 0), Asked)
        self.answers: list[str] = []
        self.port = int(self.server_address[1])


class Asked(socketserver.StreamRequestHandler):
    """One line of questions; an empty line ends each."""

    def handle(self) -> None:
        policy: Any = self.server
        for line in self.rfile:
            if line == b"\n":
                answer = policy.answers.pop(0) if policy.answers else "DUNNO"
                self.wfile.write(f"action={answer}\n\n".encode())


@pytest.fixture
def policy() -> Iterator[Policy]:
    with Policy() as policy:
        serving = threading.Thread(target=policy.serve_forever, daemon=True)
        serving.start()
        yield policy
        policy.shutdown()
        serving.join()


@pytest.fixture
async def server(
    mail_server: Dovecot, policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Postfix]:
    monkeypatch.setenv("SSL_CERT_FILE", str(mail_server.certificate))
    running = wanted(postfix(mail_server, policy.port))
    opened = await asyncio.to_thread(running.__enter__)
    yield opened
    await asyncio.to_thread(running.__exit__, None, None, None)


def account(address: str, user: str = "hub", secret: str = PASSWORD) -> Connection:
    return connection("smtp", address, user, secret)


async def received(server: Dovecot, user: str, count: int = 1) -> list[EmailMessage]:
    """The mails of a mailbox, when that many are there."""
    found: list[EmailMessage] = []

    async def are_there() -> bool:
        nonlocal found
        found = await asyncio.to_thread(_mails, Postbox(server, user))
        return len(found) >= count

    await until(are_there)
    assert len(found) == count
    return found


def _mails(box: Postbox) -> list[EmailMessage]:
    with box.opened() as opened:
        _, [numbers] = opened.search(None, "ALL")
        found = []
        for number in numbers.split():
            _, parts = opened.fetch(number.decode(), "(RFC822)")
            part: Any = parts[0]
            found.append(email.message_from_bytes(part[1], policy=email.policy.default))
        return found


async def test_a_mail_arrives_whole(server: Postfix, mail_server: Dovecot, call: Calls) -> None:
    sent = await call(
        "mail.send",
        account(server.address),
        **MAIL,
        to=[f"Анна <anna1@{DOMAIN}>", f"boris1@{DOMAIN}"],
        bcc=f"vera1@{DOMAIN}",
        html="<p>Спасибо!</p>",
        reply_to=f"sales@{DOMAIN}",
        in_reply_to="<41@site.example>",
        headers={"Auto-Submitted": "auto-generated"},
    )
    assert sent["message_id"] == f"<{KEY}@{DOMAIN}>"
    assert sent["recipients"] == [f"{name}1@{DOMAIN}" for name in ("anna", "boris", "vera")]
    assert "queued as" in sent["answer"]
    for user in ("anna1", "boris1", "vera1"):
        [mail] = await received(mail_server, user)
        assert str(mail["From"]) == MAIL["sender"]
        assert str(mail["To"]) == f"Анна <anna1@{DOMAIN}>, boris1@{DOMAIN}"
        assert str(mail["Subject"]) == MAIL["subject"]
        assert str(mail["Message-ID"]) == sent["message_id"]
        assert (mail["Bcc"], str(mail["Reply-To"])) == (None, f"sales@{DOMAIN}")
        assert mail["In-Reply-To"] == mail["References"] == "<41@site.example>"
        assert mail["Auto-Submitted"] == "auto-generated"
        text: Any = mail.get_body(("plain",))
        html: Any = mail.get_body(("html",))
        assert text.get_content().splitlines() == MAIL["text"].splitlines()
        assert html.get_content().strip() == "<p>Спасибо!</p>"


async def test_files_of_the_document_go_along(
    server: Postfix, mail_server: Dovecot, call: Calls
) -> None:
    scan = call.files.put(bytes(range(256)) * 20, "скан.png", "image/png")
    note = call.files.put("да".encode(), "note.txt", "text/plain")
    files = [{"blob": one.blob, "name": one.name, "type": one.type} for one in (scan, note)]
    there = account(server.address)
    await call("mail.send", there, **MAIL, to=f"anna8@{DOMAIN}", attachments=files)
    [mail] = await received(mail_server, "anna8")
    parts: list[Any] = list(mail.iter_attachments())
    assert [(one.get_filename(), one.get_content_type()) for one in parts] == [
        ("скан.png", "image/png"),
        ("note.txt", "application/octet-stream"),
    ]
    assert [one.get_content() for one in parts] == [bytes(range(256)) * 20, "да".encode()]
    lost = [{"blob": "sha256:" + "0" * 64}]
    gone = await call("mail.send", there, **MAIL, to=f"anna8@{DOMAIN}", attachments=lost)
    assert isinstance(gone, Reject)
    assert "there is no file sha256:000" in gone.reason
    large = [files[0], {"blob": call.files.put(b"x" * 64_000).blob}]
    over = await call("mail.send", there, **MAIL, to=f"anna8@{DOMAIN}", attachments=large)
    assert isinstance(over, Reject)
    assert "limit module_file_bytes" in over.reason


async def test_a_repeat_is_the_same_mail_again(
    server: Postfix, mail_server: Dovecot, call: Calls
) -> None:
    there = account(server.tls_address)
    for _ in range(2):
        await call("mail.send", there, **MAIL, to=f"anna2@{DOMAIN}")
    assert len(call.opened()) == 1  # and by one line
    first, second = await received(mail_server, "anna2", 2)
    assert first["Message-ID"] == second["Message-ID"] == f"<{KEY}@{DOMAIN}>"


async def test_many_mails_share_some_lines(
    server: Postfix, mail_server: Dovecot, call: Calls
) -> None:
    there = account(server.address)
    answers = await asyncio.gather(
        *(call("mail.send", there, run=f"run-{n}", **MAIL, to=f"anna3@{DOMAIN}") for n in range(40))
    )
    assert [one for one in answers if not isinstance(one, dict)] == []
    assert 1 < len(call.opened()) <= 8
    await received(mail_server, "anna3", 40)


async def test_a_mail_goes_to_all_or_to_nobody(
    server: Postfix, mail_server: Dovecot, call: Calls
) -> None:
    there = account(server.address)
    gone = await call("mail.send", there, **MAIL, to=[f"anna4@{DOMAIN}", f"nobody@{DOMAIN}"])
    assert isinstance(gone, Reject)
    assert f"nobody@{DOMAIN}: 550 5.1.1" in gone.reason
    full = await call("mail.send", there, **MAIL, to=[f"anna4@{DOMAIN}", f"full@{DOMAIN}"])
    assert isinstance(full, Retry)
    assert (full.after_s, "452 4.2.2" in full.reason) == (300.0, True)
    both = await call("mail.send", there, **MAIL, to=[f"full@{DOMAIN}", f"nobody@{DOMAIN}"])
    assert isinstance(both, Reject)
    assert isinstance(await call("mail.send", there, **MAIL, to=f"anna4@{DOMAIN}"), dict)
    await received(mail_server, "anna4")


async def test_a_server_that_greylists_is_asked_again_later(
    server: Postfix, mail_server: Dovecot, policy: Policy, call: Calls
) -> None:
    there = account(server.address)
    policy.answers.append("450 4.7.1 Greylisted, please come again")
    first = await call("mail.send", there, **MAIL, to=f"anna5@{DOMAIN}")
    assert isinstance(first, Retry)
    assert (first.after_s, "Greylisted" in first.reason) == (300.0, True)
    assert isinstance(await call("mail.send", there, **MAIL, to=f"anna5@{DOMAIN}"), dict)
    await received(mail_server, "anna5")


async def test_what_a_server_refuses_for_good(server: Postfix, call: Calls) -> None:
    there = account(server.address)
    wrong = await call("mail.send", account(server.address, secret="x"), **MAIL, to=f"a@{DOMAIN}")
    assert isinstance(wrong, Reject)
    assert "refuses the account of the connection smtp: 535" in wrong.reason
    large = await call("mail.send", there, **{**MAIL, "text": "x" * 60_000}, to=f"a@{DOMAIN}")
    assert isinstance(large, Reject)
    assert "and the server takes 50000" in large.reason
    relay = connection("relay", server.address)
    closed = await call("mail.send", relay, **MAIL, to="anna@elsewhere.example")
    assert isinstance(closed, Reject)
    assert "554 5.7.1" in closed.reason


async def test_a_certificate_that_nobody_vouches_for_is_not_talked_to(
    server: Postfix, call: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    for address in (server.address, server.tls_address):
        answer = await call("mail.send", connection(address, address), **MAIL, to=f"a@{DOMAIN}")
        assert isinstance(answer, Retry)
        assert "certificate" in answer.reason.lower()


async def test_a_server_that_was_restarted_is_talked_to_by_a_new_line(
    server: Postfix, mail_server: Dovecot, call: Calls
) -> None:
    there = account(server.address)
    await call("mail.send", there, **MAIL, to=f"anna6@{DOMAIN}")
    await asyncio.to_thread(server.restart)
    again = await call("mail.send", there, run="run-2", **MAIL, to=f"anna6@{DOMAIN}")
    assert isinstance(again, dict)
    await received(mail_server, "anna6", 2)


# Servers that do not answer


@contextmanager
def silent() -> Iterator[int]:
    """A port that takes connections, and says nothing."""
    with socket.create_server((LOOPBACK, 0)) as listening:
        yield int(listening.getsockname()[1])


async def test_a_server_that_says_nothing_is_given_up(
    call: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("beltline.clients.smtp.CONNECT_S", 0.3)
    with silent() as port:
        there = account(f"smtp://{LOOPBACK}:{port}")
        answer = await call("mail.send", there, **MAIL, to=f"anna@{DOMAIN}")
    assert isinstance(answer, Retry)
    assert f"no connection to smtp://{LOOPBACK}:{port}: " in answer.reason


async def test_a_mail_that_the_server_was_slow_to_take_is_sent_again(
    server: Postfix, policy: Policy, call: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("beltline.clients.smtp.ANSWER_S", 0.5)
    policy.answers.append("sleep 3")
    there = account(server.address)
    answer = await call("mail.send", there, **MAIL, to=f"anna7@{DOMAIN}")
    assert answer == Retry("the mail server did not answer within 0.5 s")

"""Tests of connections at real servers: what is found, and that a wrong account is told."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvicorn

from beltline.catalog.connection_tests import Examination, check_connection
from beltline.egress.client import OutgoingClient
from beltline.sdk import Connection, Secret
from bitrix24_portal.app import create_app
from bitrix24_portal.portal import Portal
from bitrix24_portal.settings import PortalSettings
from tests.integration.feeding import connection
from tests.integration.publishing import At
from tests.servers.daemon import LOOPBACK
from tests.servers.dovecot import PASSWORD, Dovecot
from tests.servers.postfix import postfix
from tests.servers.wanted import wanted

pytestmark = pytest.mark.slow

CLOSED = 9  # a port of loopback where nobody listens


async def checked(account: Connection) -> Examination:
    async with OutgoingClient() as http:
        return await check_connection(account, http)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("nats", "with JetStream, which has"),
        ("rabbitmq", "RabbitMQ "),
        ("redis", "Redis "),
        ("mqtt", "a broker of MQTT 5 lets the account in"),
    ],
)
async def test_brokers(at: At, name: str, found: str) -> None:
    _, account, _ = at(name)
    answer = await checked(account)
    assert (answer.ok, found in answer.found) == (True, True)
    scheme = account.address.partition(":")[0]
    away = await checked(connection(name, f"{scheme}://{LOOPBACK}:{CLOSED}"))
    assert (away.ok, "no connection to" in away.found) == (False, True)


@pytest.mark.parametrize("name", ["rabbitmq", "redis"])
async def test_a_wrong_password_is_told(at: At, name: str) -> None:
    broker, _, _ = at(name)
    answer = await checked(connection(name, broker.address, "hub", "wr0ng"))
    assert (answer.ok, "refused the account" in answer.found) == (False, True)


async def test_a_mailbox(mail_server: Dovecot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(mail_server.certificate))
    good = connection("imap", mail_server.address, "tested", PASSWORD)
    assert await checked(good) == Examination(True, "a mailbox that has 0 mails in INBOX")
    wrong = await checked(connection("imap", mail_server.plain_address, "tested", "wr0ng"))
    assert (wrong.ok, "AUTHENTICATIONFAILED" in wrong.found) == (False, True)
    assert "wr0ng" not in wrong.found


async def test_a_mail_server(mail_server: Dovecot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(mail_server.certificate))
    running = wanted(postfix(mail_server, CLOSED))
    server = await asyncio.to_thread(running.__enter__)
    try:
        assert await checked(connection("smtp", server.address, "hub", PASSWORD)) == Examination(
            True, "a mail server that takes mails of up to 50000 bytes and lets the account in"
        )
        wrong = await checked(connection("smtp", server.tls_address, "hub", "wr0ng"))
        assert (wrong.ok, "refuses the account" in wrong.found) == (False, True)
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)


@pytest.fixture
async def portal(tmp_path: Path) -> AsyncIterator[str]:
    portal = Portal(PortalSettings(data=tmp_path / "portal.db", secret="code", rate_per_s=0.0))
    listening = socket.create_server((LOOPBACK, 0))
    server = uvicorn.Server(uvicorn.Config(create_app(portal), log_level="error"))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    yield f"http://{LOOPBACK}:{listening.getsockname()[1]}/rest/1/"
    server.should_exit = True
    await serving
    listening.close()


def at_portal(kind: str, address: str, secret: str) -> Connection:
    options = {"private_addresses": "allow"}
    return Connection(name="c", kind=kind, address=address, secret=Secret(secret), options=options)


async def test_a_portal_of_bitrix24(portal: str) -> None:
    answer = await checked(at_portal("bitrix24", portal, "code"))
    assert (answer.ok, "crm" in answer.found) == (True, True)
    wrong = await checked(at_portal("bitrix24", portal, "wr0ng"))
    assert not wrong.ok
    assert "wr0ng" not in wrong.found


async def test_an_address(portal: str) -> None:
    there = portal.replace("/rest/1/", "/nowhere")
    assert await checked(at_portal("http", there, "x")) == Examination(
        True, "the address answers with the status 404"
    )
    closed = await checked(at_portal("http", f"http://{LOOPBACK}:{CLOSED}", "x"))
    assert (closed.ok, "no connection" in closed.found) == (False, True)

"""A whole hub, from the files of its home: a mail, a message and a file become finished runs."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import nats
import pytest

from beltline.composition import Running, running_hub
from beltline.engine.inspection import inspect
from beltline.engine.records import RunFilter
from beltline.publishing import publish_files
from beltline.settings import open_home
from tests.integration.feeding import until
from tests.integration.mailboxes import Postbox, mail
from tests.integration.queue_lines import Brokers
from tests.servers.dovecot import PASSWORD, Dovecot
from tests.servers.processes import NoServer

pytestmark = pytest.mark.slow

SOURCES = ["drop", "inbox", "orders"]
FILES = {
    "processes/lead.yaml": (
        'process: lead\nsteps:\n  - {id: noted, module: set, with: {x: "{{ meta.source }}"}}\n'
    ),
    "connections/box.yaml": (
        'connection: box\nkind: imap\naddress: MAIL\nuser: inbox\nsecret: "${BOX_SECRET}"\n'
    ),
    "connections/broker.yaml": "connection: broker\nkind: nats\naddress: NATS\n",
    "sources/inbox.yaml": (
        "source: inbox\nkind: mail\nprocess: lead\nconnection: box\nthen: {move: Done}\n"
    ),
    "sources/orders.yaml": (
        "source: orders\nkind: queue\nprocess: lead\nconnection: broker\n"
        "nats: {stream: HOME, subject: home.orders}\n"
    ),
    "sources/drop.yaml": (
        "source: drop\nkind: files\nprocess: lead\nfolder: drop\nevery: 1s\nsettle: none\n"
    ),
}


async def test_a_mail_a_message_and_a_file_become_finished_runs(
    tmp_path: Path, brokers: Brokers, mail_server: Dovecot, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        broker = brokers.get("nats")
    except NoServer as missing:
        pytest.skip(str(missing))
    monkeypatch.setenv("BOX_SECRET", PASSWORD)
    monkeypatch.setenv("SSL_CERT_FILE", str(mail_server.certificate))
    assert ssl.create_default_context().cert_store_stats()["x509"] == 1
    for name, text in FILES.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        written = text.replace("MAIL", mail_server.address).replace("NATS", broker.address)
        file.write_text(written, encoding="utf-8")
    async with await nats.connect(broker.address) as client:
        stream = client.jetstream()
        await stream.add_stream(name="HOME", subjects=["home.>"])
        await stream.publish("home.orders", b'{"order": 7}')
    (tmp_path / "drop").mkdir()
    (tmp_path / "drop" / "order.json").write_text('{"order": 8}', encoding="utf-8")
    postbox = Postbox(mail_server, "inbox")
    await asyncio.to_thread(postbox.put, mail(1))
    home = open_home(tmp_path)
    async with running_hub(home, durable=False) as hub:
        assert await publish_files(home, hub.processes) == []
        async with hub.looking():
            await until(lambda: _are_done(hub))
            await until(lambda: _is_moved(postbox))
            for source in SOURCES:
                state = hub.hub.feeds.state(source)
                assert state is not None
                assert (state.brought, state.is_failing) == (1, False)
            await _tell(hub)


async def _is_moved(postbox: Postbox) -> bool:
    return await asyncio.to_thread(postbox.flags, "Done") == [""]


async def _are_done(hub: Running) -> bool:
    done = await hub.store.runs(RunFilter(status="completed"), 10)
    return sorted(one.source for one in done) == SOURCES


async def _tell(hub: Running) -> None:
    """For who reads what came of it (`pytest -rP`)."""
    for record in await hub.store.runs(RunFilter(), 10):
        view = (await inspect(hub.store, hub.processes, record.key)).view()
        print(f"{record.source}: {view.status}, {view.document}")  # noqa: T201

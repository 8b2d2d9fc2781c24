"""A bot over real lines: files as large as they may be, and updates through a whole hub."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import aiohttp
import msgspec
import pytest

from beltline.egress.client import OutgoingClient
from beltline.modules.telegram.message import SendConfig
from beltline.modules.telegram.send import SendOutput, send
from beltline.sdk import FileRef
from beltline.sdk.testing import BOUNDS, Files, given
from tests.integration.feeding import until
from tests.servers.ports import free_ports
from tests.servers.telegram import TOKEN, BotApi, bot_api
from tests.servers.telegram_http import bot

pytestmark = pytest.mark.slow

MIB = 1_048_576
HEADER = "X-Telegram-Bot-Api-Secret-Token"


async def test_a_file_larger_than_a_document_arrives_whole() -> None:
    api = BotApi()
    content = os.urandom(12 * MIB)
    bounds = msgspec.structs.replace(BOUNDS, module_file_bytes=32 * MIB)
    files = Files(bounds)
    ref = files.put(content, "large.bin")
    async with bot_api(api) as address, OutgoingClient() as http:
        context = given(files=files, connection=bot(address=address), bounds=bounds)
        context.http = http
        answer = await send(SendConfig(chat=7, files=(FileRef(blob=ref.blob),)), context)
    assert isinstance(answer, SendOutput), answer
    assert api.sent[0].files["file0"].content == content


PROCESS = """\
process: answer
steps:
  - id: reply
    module: telegram.send
    connection: bot
    with: {chat: "{{ request.message.chat.id }}", text: "You wrote {t}",
           values: {t: "{{ request.message.text }}"}, reply_to: "{{ request.message.message_id }}"}
"""


def write_home(home: Path, address: str, webhook: str) -> None:
    for folder in ("processes", "sources", "connections"):
        (home / folder).mkdir(parents=True)
    (home / "beltline.toml").write_text("", encoding="utf-8")
    (home / "processes/answer.yaml").write_text(PROCESS, encoding="utf-8")
    source = "source: talk\nkind: telegram\nprocess: answer\nconnection: bot\nupdates: [message]\n"
    (home / "sources/talk.yaml").write_text(source + webhook, encoding="utf-8")
    (home / "connections/bot.yaml").write_text(
        f"connection: bot\nkind: telegram\naddress: {address}\nprivate_addresses: allow\n"
        'secret: "${BOT_TOKEN}"\n',
        encoding="utf-8",
    )


class Hub:
    """A hub as a process of its own; its output is kept."""

    def __init__(self, home: Path, port: int) -> None:
        self.home = home
        self.port = port
        self.output = home / "output.txt"

    async def start(self) -> None:
        with self.output.open("ab") as output:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "beltline", "serve"),
                *("--home", str(self.home), "--port", str(self.port)),
                env={**os.environ, "BOT_TOKEN": TOKEN, "BOT_SECRET": "s3cret"},
                stdout=output,
                stderr=output,
            )

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()


async def test_a_bot_answers_what_it_fetches_also_after_a_kill(tmp_path: Path) -> None:
    api = BotApi()
    async with bot_api(api) as address:
        write_home(tmp_path / "home", address, "")
        hub = Hub(tmp_path / "home", free_ports(1)[0])
        await hub.start()
        try:
            for n in range(3):
                api.happen(message_id=n, text=f"<{n}>", chat={"id": 7})
            await until(lambda: _has_sent(api, 3))
            await hub.kill()
            for n in range(3, 6):
                api.happen(message_id=n, text=f"<{n}>", chat={"id": 7})
            await hub.start()
            await until(lambda: _has_sent(api, 6))
        finally:
            await hub.kill()
    texts = [one.params["text"] for one in api.sent]
    assert sorted(set(texts)) == [f"You wrote <{n}>" for n in range(6)]
    # What was under way at the kill may have been sent twice, as the module's page says.
    assert all(texts.count(f"You wrote <{n}>") == 1 for n in range(3, 6))
    assert TOKEN not in hub.output.read_text(encoding="utf-8")


async def test_a_bot_answers_what_is_sent_to_it(tmp_path: Path) -> None:
    api = BotApi()
    port = free_ports(1)[0]
    url = f"http://127.0.0.1:{port}/in/talk"
    async with bot_api(api) as address, aiohttp.ClientSession() as outside:
        webhook = f'webhook: {{url: "{url}", secret: "${{BOT_SECRET}}"}}\n'
        write_home(tmp_path / "home", address, webhook)
        hub = Hub(tmp_path / "home", port)
        await hub.start()
        try:
            await until(lambda: _is_set(api, url))
            update = {"update_id": 9, "message": {"message_id": 3, "text": "Hi", "chat": {"id": 7}}}
            for secret, status in (("wrong", 401), ("s3cret", 200), ("s3cret", 200)):
                headers = {HEADER: secret}
                async with outside.post(api.webhook["url"], json=update, headers=headers) as answer:
                    assert answer.status == status
            await until(lambda: _has_sent(api, 1))
        finally:
            await hub.kill()
    assert [one.params["text"] for one in api.sent] == ["You wrote Hi"]
    assert api.webhook["secret_token"] == "s3cret"
    told = hub.output.read_text(encoding="utf-8")
    assert TOKEN not in told
    assert "s3cret" not in told


def test_the_doctor_tells_which_secrets_are_missing(tmp_path: Path) -> None:
    webhook = 'webhook: {url: "https://hub.example/in/talk", secret: "${BOT_SECRET}"}\n'
    write_home(tmp_path / "home", "https://bots.example", webhook)
    told = subprocess.run(
        [sys.executable, "-m", "beltline", "doctor", "--home", str(tmp_path / "home")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert told.returncode == 1
    lines = told.stdout.splitlines()
    for what, secret in (("connection bot:", "BOT_TOKEN"), ("source talk:", "BOT_SECRET")):
        assert any(one.startswith(what) and secret in one for one in lines)
    assert lines[-1] == "2 to mend"


async def _has_sent(api: BotApi, count: int) -> bool:
    return len({one.params["text"] for one in api.sent}) >= count


async def _is_set(api: BotApi, url: str) -> bool:
    return bool(api.webhook.get("url") == url)

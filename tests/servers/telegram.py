"""A Bot API server of the tests' own, written from Telegram's public documentation of it.

It holds one bot: what it sends into chats, the updates that wait, and its webhook. The rules are
those of the documentation: getUpdates and a webhook exclude each other, one asks for updates at a
time, an offset has those before it forgotten, texts have their lengths, and 429 says how long to
wait.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

import msgspec
from aiohttp import web

TOKEN = "4242:AAbot-t0ken_of_the_tests"
BOT = {"id": 4242, "is_bot": True, "first_name": "Tested", "username": "tested_bot"}
BLOCKED = 403403  # a person who has blocked the bot
MIGRATED, SUPERGROUP = -700, -1_000_700  # a group, and what it has become
_TEXT_CHARACTERS, _CAPTION_CHARACTERS = 4_096, 1_024
_FILES = {one: f"send{one.capitalize()}" for one in ("document", "photo", "video", "audio")}
_LEFT_ALONE = ("chat_member", "message_reaction", "message_reaction_count")


class Refusal(Exception):
    """An error as the server answers it; `parameters` are what helps to handle it."""

    def __init__(self, code: int, description: str, **parameters: Any) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.parameters = parameters


class Uploaded(msgspec.Struct, frozen=True):
    """A file as it arrived in a form."""

    name: str
    type: str
    content: bytes


class Message(msgspec.Struct, frozen=True):
    """A message that was sent: the method, its parameters, and its files by their fields."""

    id: int
    method: str
    params: dict[str, Any]
    files: dict[str, Uploaded]


class Answer(msgspec.Struct, frozen=True):
    """The status, and the JSON."""

    status: int
    content: dict[str, Any]


class BotApi:
    """The server. `now_s` gives the time, `rate` how many messages a chat takes in a second (0: any
    number); `before` is called with each method and may raise, as `after` may when it was carried
    out: a fault of the line.
    """

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.webhook: dict[str, Any] = {}
        self.waiting: list[dict[str, Any]] = []
        self.last_error: tuple[int, str] | None = None
        self.now_s = 1_790_000_000.0
        self.rate = 0
        self.before: Callable[[str], None] = lambda method: None
        self.after: Callable[[str], None] = lambda method: None
        self._in_second: dict[tuple[Any, int], int] = {}
        self._next_update = 1_000
        self._allowed: list[str] = []
        self._news = asyncio.Event()
        self._asking: asyncio.Future[list[dict[str, Any]]] | None = None

    def happen(self, kind: str = "message", id: int | None = None, **about: Any) -> int:
        """Something happens to the bot; gives the update's id."""
        number = self._next_update if id is None else id
        self._next_update = number + 1
        if kind in self._allowed or (not self._allowed and kind not in _LEFT_ALONE):
            self.waiting.append({"update_id": number, kind: about})
            self._news.set()
        return number

    async def answer(self, path: str, content_type: str, body: bytes) -> Answer:
        """One call: `/bot{token}/{method}`. Raises what `before` and `after` raise."""
        token, _, method = path.removeprefix("/bot").partition("/")
        self.before(method)
        params, files = _read(content_type, body)
        self.calls.append((method, params))
        try:
            result = await self._result(token, method, params, files)
        except Refusal as why:
            content = {"ok": False, "error_code": why.code, "description": why.description}
            if why.parameters:
                content["parameters"] = why.parameters
            return Answer(why.code, content)
        self.after(method)
        return Answer(200, {"ok": True, "result": result})

    async def _result(
        self, token: str, method: str, params: dict[str, Any], files: dict[str, Uploaded]
    ) -> Any:
        if token != TOKEN:
            raise Refusal(401, "Unauthorized")
        if method == "getMe":
            return BOT
        if method == "getWebhookInfo":
            return self._webhook_info()
        if method == "setWebhook":
            self.webhook = params
            self._allowed = params.get("allowed_updates", self._allowed)
            return True
        if method == "getUpdates":
            return await self._updates(params)
        if method == "answerCallbackQuery":
            return True
        if method in ("sendMessage", "sendMediaGroup", *_FILES.values()):
            return self._send(method, params, files)
        raise Refusal(404, "Not Found")

    # Messages

    def _send(self, method: str, params: dict[str, Any], files: dict[str, Uploaded]) -> Any:
        chat = params["chat_id"]
        if chat == BLOCKED:
            raise Refusal(403, "Forbidden: bot was blocked by the user")
        if chat == MIGRATED:
            raise Refusal(
                400,
                "Bad Request: group chat was upgraded to a supergroup chat",
                migrate_to_chat_id=SUPERGROUP,
            )
        self._check_texts(method, params)
        self._check_files(method, params, files)
        second = (chat, int(self.now_s))
        self._in_second[second] = self._in_second.get(second, 0) + 1
        if self.rate and self._in_second[second] > self.rate:
            raise Refusal(429, "Too Many Requests: retry after 7", retry_after=7)
        count = len(params["media"]) if method == "sendMediaGroup" else 1
        shown = []
        for _ in range(count):
            id = len(self.sent) + 1
            self.sent.append(Message(id, method, params, files))
            where = {"id": chat if isinstance(chat, int) else -1_001, "type": "private"}
            shown.append({"message_id": id, "chat": where, "date": int(self.now_s)})
        return shown if method == "sendMediaGroup" else shown[0]

    def _check_texts(self, method: str, params: dict[str, Any]) -> None:
        text = params.get("text", "")
        if method == "sendMessage" and not text:
            raise Refusal(400, "Bad Request: message text is empty")
        captions = [params, *params.get("media", ())]
        too_long = any(len(one.get("caption", "")) > _CAPTION_CHARACTERS for one in captions)
        if len(text) > _TEXT_CHARACTERS or too_long:
            raise Refusal(400, "Bad Request: message is too long")
        if params.get("parse_mode") == "HTML" and text.count("<") != text.count(">"):
            raise Refusal(400, "Bad Request: can't parse entities: unclosed start tag")

    def _check_files(self, method: str, params: dict[str, Any], files: dict[str, Uploaded]) -> None:
        named = [params.get(kind, "") for kind, sends in _FILES.items() if sends == method]
        named += [one["media"] for one in params.get("media", ())]
        if method == "sendMediaGroup" and not 2 <= len(named) <= 10:
            raise Refusal(400, "Bad Request: there must be 2-10 media in an album")
        if any(one.removeprefix("attach://") not in files for one in named):
            raise Refusal(400, "Bad Request: there is no such file in the request")

    # Updates

    def _webhook_info(self) -> dict[str, Any]:
        info: dict[str, Any] = {
            "url": self.webhook.get("url", ""),
            "pending_update_count": len(self.waiting),
        }
        if self.last_error is not None:
            info["last_error_date"], info["last_error_message"] = self.last_error
        return info

    async def _updates(self, params: dict[str, Any]) -> list[dict[str, Any]]:
        if self.webhook:
            raise Refusal(409, "Conflict: can't use getUpdates method while webhook is active")
        if self._asking is not None:
            self._asking.cancel()
        self._asking = asyncio.ensure_future(self._wait(params))
        try:
            return await self._asking
        except asyncio.CancelledError:
            raise Refusal(409, "Conflict: terminated by other getUpdates request") from None
        finally:
            self._asking = None

    async def _wait(self, params: dict[str, Any]) -> list[dict[str, Any]]:
        self._allowed = params.get("allowed_updates", self._allowed)
        offset = params.get("offset")
        if offset is not None:
            self.waiting = [one for one in self.waiting if one["update_id"] >= offset]
        if not self.waiting and params.get("timeout"):
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), params["timeout"])
            except TimeoutError:
                return []
        return self.waiting[: params.get("limit", 100)]


def _read(content_type: str, body: bytes) -> tuple[dict[str, Any], dict[str, Uploaded]]:
    """The parameters of a call, and the files of a form; of a form they are texts of JSON where
    they are no plain texts.
    """
    if not content_type.startswith("multipart/form-data"):
        return (json.loads(body) if body else {}), {}
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    form = BytesParser(policy=HTTP).parsebytes(head + body)
    params: dict[str, Any] = {}
    files: dict[str, Uploaded] = {}
    for part in form.iter_parts():
        name = str(part.get_param("name", header="content-disposition"))
        raw = part.get_payload(decode=True)
        assert isinstance(raw, bytes)
        filename = part.get_filename()
        if filename is not None:
            files[name] = Uploaded(filename, part.get_content_type(), raw)
        elif name in ("caption", "parse_mode", *_FILES) or raw.startswith(b"@"):
            params[name] = raw.decode()
        else:
            params[name] = json.loads(raw)
    return params, files


@asynccontextmanager
async def bot_api(api: BotApi) -> AsyncIterator[str]:
    """Serves it on loopback until the block ends; gives its address."""

    async def answer(request: web.Request) -> web.StreamResponse:
        told = await api.answer(
            request.path, request.headers.get("Content-Type", ""), await request.read()
        )
        return web.json_response(told.content, status=told.status)

    app = web.Application(client_max_size=2**26)
    app.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()

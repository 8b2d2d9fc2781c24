"""The outgoing client, straight into a Bot API server of the tests: without a line in between."""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import urlsplit

from beltline.sdk import Connection, HttpFailed, HttpResponse, Secret
from tests.servers.telegram import TOKEN, BotApi


class BotHttp:
    """`sdk.Http` before a server. What breaks there (`ConnectionError`) is no answer."""

    def __init__(self, api: BotApi) -> None:
        self.api = api
        self.timeouts_s: list[float] = []

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_s: float = 30.0,
        connection: Connection | None = None,
    ) -> HttpResponse:
        """One call."""
        self.timeouts_s.append(timeout_s)
        content_type = dict(headers or {}).get("Content-Type", "")
        try:
            told = await self.api.answer(urlsplit(url).path, content_type, body or b"")
        except ConnectionError:
            raise HttpFailed("the connection broke") from None
        return HttpResponse(told.status, {}, json.dumps(told.content).encode())


def bot(token: str = TOKEN, address: str = "") -> Connection:
    """The account of the bot."""
    options = {"private_addresses": "allow"}
    return Connection("bot", "telegram", address, Secret(token), options)

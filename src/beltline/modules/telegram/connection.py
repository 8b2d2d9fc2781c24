"""The test of a connection to a bot of Telegram: whose token it is, and where its updates go."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from beltline.sdk import ClientFailed, Connection, ConnectionKind, Http
from beltline.sdk.telegram import KIND, TelegramRefused, ask_telegram, json_body


async def check(connection: Connection, http: Http) -> str:
    """Asks who the bot is. Raises `ClientFailed`."""
    try:
        bot = await ask_telegram(http, connection, "getMe", json_body({}))
        webhook = await ask_telegram(http, connection, "getWebhookInfo", json_body({}))
    except TelegramRefused as refused:
        raise ClientFailed(refused.reason, permanent=refused.permanent) from refused
    name = bot.get("username") if isinstance(bot, dict) else None
    if not name:
        raise ClientFailed("the answer of getMe has no name of a bot")
    return f"the bot @{name}; {_updates(webhook if isinstance(webhook, dict) else {})}"


def _updates(webhook: dict[str, Any]) -> str:
    """Where updates go. Of the address only its host: some have secrets in the path."""
    url = str(webhook.get("url") or "")
    waiting = webhook.get("pending_update_count", 0)
    if not url:
        return f"its updates wait to be fetched ({waiting} of them)"
    return f"its updates go to {urlsplit(url).netloc} ({waiting} wait)"


kind = ConnectionKind(name=KIND, check=check)

"""The keys of a source of the kind `telegram`: which bot, which of its updates, and how they come.

connection, updates    the bot, and the kinds of updates that are requests
webhook                the address that Telegram sends them to; without it they are fetched
"""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import urlsplit

import msgspec

from beltline.core.problem import Place
from beltline.definition.finding import Report
from beltline.definition.secret import SecretRef, read_secret
from beltline.definition.shape import (
    check_keys,
    kind_of,
    read_connection_name,
    read_object,
    read_text,
)

TELEGRAM_KEYS = ("connection", "updates", "webhook")
_WEBHOOK_KEYS = ("url", "secret")
UPDATES = (
    *("message", "edited_message", "channel_post", "edited_channel_post"),
    *("business_connection", "business_message", "edited_business_message"),
    *("deleted_business_messages", "message_reaction", "message_reaction_count"),
    *("inline_query", "chosen_inline_result", "callback_query", "shipping_query"),
    *("pre_checkout_query", "purchased_paid_media", "poll", "poll_answer", "my_chat_member"),
    *("chat_member", "chat_join_request", "chat_boost", "removed_chat_boost"),
)


class TelegramWebhook(msgspec.Struct, frozen=True):
    """Telegram sends updates to `url`, where the source stands for the world, and proves itself by
    the secret.
    """

    url: str
    secret: SecretRef


class TelegramWay(msgspec.Struct, frozen=True):
    """Each update of a bot is a request. `updates`: the kinds that are (none: those that Telegram
    gives without being asked for more). `webhook` None: they are fetched, and nobody may send any.
    """

    kind: ClassVar[str] = "telegram"
    connection: str
    updates: tuple[str, ...] = ()
    webhook: TelegramWebhook | None = None


def read_telegram(report: Report, data: dict[str, Any]) -> TelegramWay | None:
    """Reads the keys of `TELEGRAM_KEYS`."""
    errors = report.errors
    connection = None
    if "connection" not in data:
        report.error((), "the source names no connection", "Add `connection: NAME`.")
    else:
        connection = read_connection_name(report, data["connection"], ("connection",))
    updates = _read_updates(report, data["updates"]) if "updates" in data else ()
    webhook = _read_webhook(report, data["webhook"]) if "webhook" in data else None
    if "identity" in data:
        report.error(
            ("identity",),
            "a telegram source needs no identity: an update is told by its update_id",
            "Take it out.",
            of_key=True,
        )
    return None if report.errors > errors else TelegramWay(connection or "", updates, webhook)


def _read_updates(report: Report, value: Any) -> tuple[str, ...]:
    at: Place = ("updates",)
    if not isinstance(value, list) or not value:
        report.error(at, "updates must list kinds of updates", "Write [message, callback_query].")
        return ()
    for index, one in enumerate(value):
        if not isinstance(one, str) or one not in UPDATES:
            said = f'"{one[:100]}"' if isinstance(one, str) else kind_of(one)
            near = report.did_you_mean(one, UPDATES) if isinstance(one, str) else ""
            report.error(
                (*at, index),
                f"{said} is no kind of update",
                near or f"Kinds: {', '.join(UPDATES)}.",
            )
        elif one in value[:index]:
            report.error((*at, index), f"{one} stands here twice")
    return tuple(one for one in value if isinstance(one, str))


def _read_webhook(report: Report, value: Any) -> TelegramWebhook | None:
    at: Place = ("webhook",)
    data = read_object(report, value, at, "webhook")
    if data is None:
        return None
    check_keys(report, data, _WEBHOOK_KEYS, at, "webhook")
    url = secret = None
    if "url" not in data:
        report.error(
            at, "webhook needs the address that Telegram sends to",
            "Add `url: https://HUB/in/SOURCE`, as the hub is reached from outside.",
        )  # fmt: skip
    else:
        url = _read_url(report, data["url"], (*at, "url"))
    if "secret" not in data:
        report.error(at, "webhook needs a secret", 'Add `secret: "${NAME}"`.')
    else:
        secret = read_secret(report, data["secret"], (*at, "secret"), "secret")
    return None if url is None or secret is None else TelegramWebhook(url, secret)


def _read_url(report: Report, value: Any, at: Place) -> str | None:
    url = read_text(report, value, at, "url")
    if url is None:
        return None
    try:
        parts = urlsplit(url)
        is_whole = parts.scheme in ("https", "http") and bool(parts.hostname) and bool(parts.path)
    except ValueError:
        is_whole = False
    if is_whole and "@" not in url and url.isprintable() and " " not in url:
        return url
    report.error(
        at,
        "url must be a whole address without a name or a password",
        "Write it like https://hub.example/in/bot.",
    )
    return None

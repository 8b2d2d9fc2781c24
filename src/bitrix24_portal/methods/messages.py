"""`im.notify*` and `im.message.add`: what programs tell people. Stored, and shown on the page."""

from __future__ import annotations

from bitrix24_portal.context import Answer, Context
from bitrix24_portal.errors import RestError
from bitrix24_portal.registry import Handler, Method, Params, params
from bitrix24_portal.tables import USERS

MAX_TEXT_CHARS = 20_000
_USER_IDS = {user.id for user in USERS}


def _store(context: Context, kind: str, recipient: str, text: str, tag: object = None) -> Answer:
    stripped = text.strip()
    if not stripped:
        raise RestError("MESSAGE_EMPTY", "Message can't be empty")
    if len(stripped) > MAX_TEXT_CHARS:
        raise RestError("MESSAGE_TOO_LONG", f"Message is longer than {MAX_TEXT_CHARS} characters")
    if tag:  # a notification replaces those with the same tag
        context.storage.run(
            'DELETE FROM "message" WHERE "RECIPIENT" = ? AND "TAG" = ?', (recipient, str(tag))
        )
    return Answer(
        context.storage.insert(
            "message",
            {
                "KIND": kind,
                "RECIPIENT": recipient,
                "AUTHOR_ID": context.user_id,
                "TEXT": stripped,
                "TAG": str(tag) if tag else None,
                "CREATED": context.moment,
            },
        )
    )


def _notify_as(kind: str) -> Handler:
    def notify(context: Context, given: Params) -> Answer:
        if given["USER_ID"] not in _USER_IDS:
            raise RestError("USER_ID_EMPTY", "User ID can't be empty or unknown")
        asked = str(given.get("TYPE", kind)).upper()
        shown = asked if asked in {"USER", "SYSTEM"} else kind
        return _store(context, shown, str(given["USER_ID"]), given["MESSAGE"], given.get("TAG"))

    return notify


def _message(context: Context, given: Params) -> Answer:
    return _store(context, "CHAT", given["DIALOG_ID"], given["MESSAGE"])


_TEXTS = "MESSAGE:string* MESSAGE_OUT:string TAG:string SUB_TAG:string ATTACH:any CLIENT_ID:string"
METHODS = (
    Method("im.notify", _notify_as("USER"), params(f"USER_ID:integer* TYPE:string {_TEXTS}")),
    Method("im.notify.personal.add", _notify_as("USER"), params(f"USER_ID:integer* {_TEXTS}")),
    Method("im.notify.system.add", _notify_as("SYSTEM"), params(f"USER_ID:integer* {_TEXTS}")),
    Method(
        "im.message.add",
        _message,
        params(
            "DIALOG_ID:string* MESSAGE:string* ATTACH:any KEYBOARD:any MENU:any SYSTEM:string "
            "URL_PREVIEW:string REPLY_ID:integer"
        ),
    ),
)

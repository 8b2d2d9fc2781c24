"""One call of the Telegram Bot API, and whose turn it is to mend it when it is refused.

The address is `{connection's address}/bot{token}/{method}`: the token is the connection's secret,
and stands nowhere else, so that no message and no log has it. What goes wrong is sorted by who can
mend it: too many calls, faults of the service and a lost connection pass by themselves; a bot that
is blocked, or a parameter that is wrong, stays, and is told in Telegram's own words.

It stands in the sdk since both the modules and the source of the kind `telegram` call it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from beltline.sdk.connection import Connection
from beltline.sdk.context import Http, HttpFailed, HttpResponse

KIND = "telegram"  # of the connection
ADDRESS = "https://api.telegram.org"  # where a connection has no other
METHOD = r"^[A-Za-z]{1,64}$"
_TOKEN = re.compile(r"[0-9]{1,20}:[A-Za-z0-9_-]{1,200}")
_DESCRIPTION_CHARACTERS = 500
_TIMEOUT_S = 20.0  # below a step's usual timeout, so that what was not answered is told


class TelegramRefused(Exception):
    """A call gave no result, for the reason that the text tells. Where it is `permanent`, the same
    call will be refused again; else it may be tried again, not before `after_s` seconds where
    Telegram said so. `code` is the error's number (0: there was no answer).
    """

    def __init__(
        self, reason: str, *, permanent: bool, after_s: float | None = None, code: int = 0
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.permanent = permanent
        self.after_s = after_s
        self.code = code


class Body(msgspec.Struct, frozen=True):
    """What a method is given, as it is sent."""

    content: bytes
    type: str = "application/json"


def json_body(params: Mapping[str, Any]) -> Body:
    """Parameters without files. Raises `TelegramRefused` for a number that JSON has not."""
    try:
        return Body(json.dumps(dict(params), ensure_ascii=False, allow_nan=False).encode())
    except ValueError:
        raise _rejected("the parameters hold a number that JSON has not") from None


async def ask_telegram(
    http: Http, connection: Connection, method: str, body: Body, *, timeout_s: float = _TIMEOUT_S
) -> Any:
    """The result of one method. Raises `TelegramRefused`."""
    if re.match(METHOD, method) is None:
        raise _rejected(f"{method[:60]!r} is not the name of a method")
    try:
        response = await http.request(
            "POST",
            _url(connection, method),
            headers={"Content-Type": body.type, "Accept": "application/json"},
            body=body.content,
            timeout_s=timeout_s,
            connection=connection,
        )
    except HttpFailed as error:
        raise TelegramRefused(f"{method}: {error}", permanent=error.permanent) from None
    return _result(method, response)


def _url(connection: Connection, method: str) -> str:
    token = "" if connection.secret is None else connection.secret.reveal().strip()
    if _TOKEN.fullmatch(token) is None:
        raise _rejected(
            f"the connection {connection.name!r} needs as its `secret` the bot's token, such as"
            " 123456:ABC-DEF, as @BotFather gives it"
        )
    return f"{(connection.address or ADDRESS).rstrip('/')}/bot{token}/{method}"


def _result(method: str, response: HttpResponse) -> Any:
    answer = _decoded(response)
    if answer.get("ok") is True and "result" in answer:
        return answer["result"]
    told = answer.get("error_code")
    code = told if isinstance(told, int) else response.status
    words = str(answer.get("description", "")).strip()[:_DESCRIPTION_CHARACTERS]
    reason = f"{method}: {words or 'no reason was given'} (status {code})"
    given = answer.get("parameters")
    about = given if isinstance(given, dict) else {}
    if code == 429:
        raise TelegramRefused(
            reason, permanent=False, after_s=_retry_after_s(about, response), code=code
        )
    if not answer or code >= 500:  # a page of something in between, or a fault of the service
        raise TelegramRefused(reason, permanent=False, after_s=response.retry_after_s(), code=code)
    if code == 409:  # somebody else asks for the same bot's updates
        raise TelegramRefused(reason, permanent=False, code=code)
    if code in (401, 404):  # of an unknown token, depending on its form; 404 of a method, too
        reason += "; is the token of the connection still the bot's? @BotFather tells it"
    if type(about.get("migrate_to_chat_id")) is int:
        reason += f"; the group has become {about['migrate_to_chat_id']}: write this as the chat"
    raise TelegramRefused(reason, permanent=True, code=code)


def _decoded(response: HttpResponse) -> dict[str, Any]:
    """The answer's object, or an empty one where it is none."""
    try:
        answer = response.json()
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _retry_after_s(about: dict[str, Any], response: HttpResponse) -> float:
    asked = about.get("retry_after")
    if isinstance(asked, int | float) and not isinstance(asked, bool):
        return max(1.0, float(asked))
    return response.retry_after_s() or 1.0


def _rejected(reason: str) -> TelegramRefused:
    return TelegramRefused(reason, permanent=True)

"""One call of the Bitrix24 REST API, and what its refusals mean for a step.

The address is the connection's, `https://{portal}/rest/{user}/`, then the webhook's code, which is
the connection's secret, then the method. What goes wrong is sorted by who can mend it: the limits
of the portal, its faults and a lost connection are tried again; a refused credential or parameter
ends the visit with the portal's own words.

Handlers are wrapped in `portal_handler`, so that they read as the plain sequence of their calls.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Annotated, Any, TypeVar
from urllib.parse import quote

from beltline.sdk import Context, HttpFailed, HttpResponse, Reject, Retry, field

C = TypeVar("C")
R = TypeVar("R")

KIND = "bitrix24"
ORIGINATOR = "beltline"
METHOD = r"^[A-Za-z][A-Za-z0-9]*(\.[A-Za-z0-9_]+)*$"
# A method that used up its time is blocked until old one-minute buckets leave the portal's window
# of ten: where the portal does not say when, the first can leave after a minute.
OPERATING_WAIT_S = 60.0
_PORTAL_FAULTS = frozenset(
    {"QUERY_LIMIT_EXCEEDED", "INTERNAL_SERVER_ERROR", "ERROR_UNEXPECTED_ANSWER", "OVERLOAD_LIMIT"}
)
_TIMEOUT_S = 30.0
_DESCRIPTION_CHARACTERS = 500

# Ids are text in the portal's answers and numbers in what people write.
Id = Annotated[
    int | str,
    field("Id", "The id of an entry of the CRM.", examples=["{{ get-bitrix-deal.value }}"]),
]


class PortalFailed(Exception):
    """A call gave no result; `outcome` is what the step answers instead."""

    def __init__(self, outcome: Retry | Reject) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


def portal_handler(
    handler: Callable[[C, Context], Awaitable[R]],
) -> Callable[[C, Context], Awaitable[R | Retry | Reject]]:
    """A handler whose calls may fail: the failure's outcome becomes the answer."""

    @wraps(handler)
    async def answer(config: C, context: Context) -> R | Retry | Reject:
        try:
            return await handler(config, context)
        except PortalFailed as failed:
            return failed.outcome

    return answer


async def call(context: Context, method: str, params: Mapping[str, Any]) -> Any:
    """The `result` of one REST method. Raises `PortalFailed`."""
    answer = await call_whole(context, method, params)
    return answer.get("result")


async def call_whole(context: Context, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """The whole answer of one REST method: result, total, next, time. Raises `PortalFailed`."""
    url = _url(context, method)
    try:
        body = json.dumps(dict(params), ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        raise _rejected(f"{method}: the parameters hold a number that JSON has not") from None
    try:
        response = await context.http.request(
            "POST",
            url,
            headers={"Content-Type": "application/json", "Accept": "application/json"},
            body=body,
            timeout_s=_TIMEOUT_S,
            connection=context.connection,
        )
    except HttpFailed as error:
        reason = f"{method}: {error}"
        raise PortalFailed(Reject(reason) if error.permanent else Retry(reason)) from None
    return _checked(method, response)


def entity_id(value: str | int, name: str) -> int:
    """An id as the number that the REST methods take. Raises `PortalFailed`."""
    text = str(value).strip()
    if not (text.isascii() and text.isdigit()) or int(text[:18]) == 0:
        raise _rejected(f"`{name}` is {text[:40]!r}, and an id is a whole number above 0")
    return int(text)


def multifield(kind: str, value: str | None) -> dict[str, list[dict[str, str]]]:
    """`PHONE` or `EMAIL` as the older methods take it; nothing for no value."""
    return {kind: [{"VALUE": value, "VALUE_TYPE": "WORK"}]} if value else {}


def _url(context: Context, method: str) -> str:
    connection = context.connection
    if connection is None:
        raise _rejected(f"the step needs `connection:`, the name of one of the kind {KIND}")
    if not connection.address or connection.secret is None:
        raise _rejected(
            f"the connection {connection.name!r} needs `address` (https://PORTAL/rest/USER/)"
            " and `secret` (the code of the incoming webhook)"
        )
    code = connection.secret.reveal().strip().strip("/")
    if not code or "/" in code:
        raise _rejected(
            f"the secret of the connection {connection.name!r} is the webhook's code alone, without"
            " the address before it"
        )
    if re.fullmatch(METHOD, method) is None:
        raise _rejected(f"{method[:60]!r} is not the name of a REST method")
    return f"{connection.address.rstrip('/')}/{quote(code, safe='')}/{method}.json"


def command_failed(method: str, error: Any, whole: Mapping[str, Any]) -> Retry | Reject:
    """What the error of one command in a batch means, sorted as that of a call by itself. A command
    has no status: that the portal itself failed stands in the code.
    """
    told = error if isinstance(error, Mapping) else {"error": error}
    code = str(told.get("error") or "")
    words = str(told.get("error_description", "")).strip()[:_DESCRIPTION_CHARACTERS]
    said = " ".join(part for part in (code, words) if part) or "no reason was given"
    reason = f"{method}: {said} (in a batch)"
    if code == "OPERATION_TIME_LIMIT":
        return Retry(reason, after_s=_reset_in_s(whole) or OPERATING_WAIT_S)
    if code in _PORTAL_FAULTS:
        return Retry(reason)
    return Reject(reason)


def _checked(method: str, response: HttpResponse) -> dict[str, Any]:
    answer = _decoded(response)
    error = answer.get("error")
    if error is None and response.status == 200 and "result" in answer:
        return answer
    code = str(error or "")
    words = str(answer.get("error_description", "")).strip()[:_DESCRIPTION_CHARACTERS]
    said = " ".join(part for part in (code, words) if part) or "no reason was given"
    reason = f"{method}: {said} (status {response.status})"
    if code == "OPERATION_TIME_LIMIT":
        raise PortalFailed(Retry(reason, after_s=_operating_wait_s(answer, response)))
    if code == "QUERY_LIMIT_EXCEEDED" or response.status >= 500 or response.status == 429:
        raise PortalFailed(Retry(reason, after_s=response.retry_after_s()))
    if not answer and response.status == 200:
        # A page of the web server instead of an answer: the portal is being mended.
        raise PortalFailed(Retry(f"{method}: the answer is not JSON (status 200)"))
    raise _rejected(reason)


def _decoded(response: HttpResponse) -> dict[str, Any]:
    """The answer's object, or an empty one where it is none."""
    try:
        answer = response.json()
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _operating_wait_s(answer: dict[str, Any], response: HttpResponse) -> float:
    """How long a method stays blocked, by the portal's own clock where it tells it."""
    return _reset_in_s(answer) or response.retry_after_s() or OPERATING_WAIT_S


def _reset_in_s(answer: Mapping[str, Any]) -> float | None:
    time = answer.get("time")
    if isinstance(time, dict):
        reset, now = time.get("operating_reset_at"), time.get("finish", time.get("start"))
        if isinstance(reset, int | float) and isinstance(now, int | float):
            return max(1.0, float(reset - now))
    return None


def _rejected(reason: str) -> PortalFailed:
    return PortalFailed(Reject(reason))

"""One call of the Bitrix24 REST API, and whose turn it is to mend it when it is refused.

The address is the connection's, `https://{portal}/rest/{user}/`, then the webhook's code, which is
the connection's secret, then the method. What goes wrong is sorted by who can mend it: the limits
of the portal, its faults and a lost connection pass by themselves; a refused credential or
parameter stays, and is told in the portal's own words.

It stands in the sdk since both the modules and the source of the kind `bitrix24` call portals.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from beltline.sdk.connection import Connection
from beltline.sdk.context import Http, HttpFailed, HttpResponse

KIND = "bitrix24"  # of the connection
METHOD = r"^[A-Za-z][A-Za-z0-9]*(\.[A-Za-z0-9_]+)*$"
# A method that used up its time is blocked until old one-minute buckets leave the portal's window
# of ten: where the portal does not say when, the first can leave after a minute.
OPERATING_WAIT_S = 60.0
_TIMEOUT_S = 30.0
DESCRIPTION_CHARACTERS = 500


class PortalRefused(Exception):
    """A call gave no result, for the reason that the text tells. Where it is `permanent`, the same
    call will be refused again; else it may be tried again, not before `after_s` seconds where the
    portal said so.
    """

    def __init__(self, reason: str, *, permanent: bool, after_s: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.permanent = permanent
        self.after_s = after_s


async def ask_portal(
    http: Http, connection: Connection, method: str, params: Mapping[str, Any]
) -> dict[str, Any]:
    """The whole answer of one REST method: result, total, next, time. Raises `PortalRefused`."""
    url = _url(connection, method)
    try:
        body = json.dumps(dict(params), ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        raise _rejected(f"{method}: the parameters hold a number that JSON has not") from None
    try:
        response = await http.request(
            "POST",
            url,
            headers={"Content-Type": "application/json", "Accept": "application/json"},
            body=body,
            timeout_s=_TIMEOUT_S,
            connection=connection,
        )
    except HttpFailed as error:
        raise PortalRefused(f"{method}: {error}", permanent=error.permanent) from None
    return _checked(method, response)


def _url(connection: Connection, method: str) -> str:
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


def _checked(method: str, response: HttpResponse) -> dict[str, Any]:
    answer = _decoded(response)
    error = answer.get("error")
    if error is None and response.status == 200 and "result" in answer:
        return answer
    code = str(error or "")
    words = str(answer.get("error_description", "")).strip()[:DESCRIPTION_CHARACTERS]
    said = " ".join(part for part in (code, words) if part) or "no reason was given"
    reason = f"{method}: {said} (status {response.status})"
    if code == "OPERATION_TIME_LIMIT":
        raise _for_now(reason, _operating_wait_s(answer, response))
    if code == "QUERY_LIMIT_EXCEEDED" or response.status >= 500 or response.status == 429:
        raise _for_now(reason, response.retry_after_s())
    if not answer and response.status == 200:
        # A page of the web server instead of an answer: the portal is being mended.
        raise _for_now(f"{method}: the answer is not JSON (status 200)")
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
    return reset_in_s(answer) or response.retry_after_s() or OPERATING_WAIT_S


def reset_in_s(answer: Mapping[str, Any]) -> float | None:
    """In how many seconds the method is let through again, by an answer; None: it does not say."""
    time = answer.get("time")
    if isinstance(time, dict):
        reset, now = time.get("operating_reset_at"), time.get("finish", time.get("start"))
        if isinstance(reset, int | float) and isinstance(now, int | float):
            return max(1.0, float(reset - now))
    return None


def _for_now(reason: str, after_s: float | None = None) -> PortalRefused:
    return PortalRefused(reason, permanent=False, after_s=after_s)


def _rejected(reason: str) -> PortalRefused:
    return PortalRefused(reason, permanent=True)

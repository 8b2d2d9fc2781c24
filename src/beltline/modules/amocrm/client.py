"""One call of amoCRM's API (version 4), and whose turn it is to mend it when it is refused.

The address is the account's (`https://ACCOUNT.amocrm.ru`), the secret a long-lived token of an
integration of its own. What passes by itself is tried again: too many calls, faults of the server,
a lost connection. A token that is no longer taken, a missing right and wrong values stay, and are
told in the service's own words.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import wraps
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

from beltline.sdk import (
    ClientFailed,
    Connection,
    Context,
    Http,
    HttpFailed,
    HttpResponse,
    Reject,
    Retry,
    field,
)

C = TypeVar("C")
R = TypeVar("R")

KIND = "amocrm"  # of the connection
API = "/api/v4"
_TIMEOUT_S = 20.0
# The service counts calls by the second: the next one has room again.
_TOO_MANY_WAIT_S = 1.0
_WORDS = 500
_HINTS = {
    401: "the token is not taken: it has run out or was revoked; make a new long-lived one",
    402: "the account is not paid for",
    403: "refused: the token has no right to it, or this address was blocked since it called too"
    " often (see `limits` of the connection)",
    404: "there is no such entry",
}

Id = Annotated[
    int | str,
    field("Id", "The id of an entry of amoCRM.", examples=["{{ find-contact.id }}"]),
]


def amo_handler(
    handler: Callable[[C, Context], Awaitable[R]],
) -> Callable[[C, Context], Awaitable[R | Retry | Reject]]:
    """A handler whose calls may fail: the failure becomes the answer."""

    @wraps(handler)
    async def answer(config: C, context: Context) -> R | Retry | Reject:
        try:
            return await handler(config, context)
        except ClientFailed as failed:
            return failed.outcome

    return answer


async def call(
    context: Context,
    method: str,
    path: str,
    *,
    query: Sequence[tuple[str, str]] = (),
    body: Any = None,
) -> Any:
    """The answer of one call, None where it is empty. Raises `ClientFailed`."""
    if context.connection is None:
        raise rejected(f"the step needs `connection:`, the name of one of the kind {KIND}")
    return await ask(context.http, context.connection, method, path, query=query, body=body)


async def ask(
    http: Http,
    connection: Connection,
    method: str,
    path: str,
    *,
    query: Sequence[tuple[str, str]] = (),
    body: Any = None,
) -> Any:
    """The same without a context, for the test of a connection. Raises `ClientFailed`."""
    if not connection.address or connection.secret is None:
        raise rejected(
            f"the connection {connection.name!r} needs `address` (https://ACCOUNT.amocrm.ru) and"
            " `secret` (a long-lived token)"
        )
    asked = f"?{urlencode(list(query))}" if query else ""
    headers = {"Authorization": f"Bearer {connection.secret.reveal().strip()}"}
    content: bytes | None = None
    if body is not None:
        headers["Content-Type"] = "application/json"
        try:
            content = json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
        except ValueError:
            raise rejected(f"{path}: the values hold a number that JSON has not") from None
    try:
        response = await http.request(
            method,
            f"{connection.address.rstrip('/')}{API}{path}{asked}",
            headers=headers,
            body=content,
            timeout_s=_TIMEOUT_S,
            connection=connection,
        )
    except HttpFailed as error:
        raise ClientFailed(f"{path}: {error}", permanent=error.permanent) from None
    return _checked(path, response)


def _checked(path: str, response: HttpResponse) -> Any:
    if response.status == 204:
        return None
    try:
        answer = response.json() if response.body else None
    except ValueError:
        answer = None
        if response.status == 200:  # a page of the web server: the service is being mended
            raise ClientFailed(f"{path}: the answer is not JSON (status 200)") from None
    if response.status in (200, 201, 202):
        return answer
    reason = f"{path}: {_told(answer, response.status)} (status {response.status})"
    if response.status == 429:
        wait_s = response.retry_after_s() or _TOO_MANY_WAIT_S
        raise ClientFailed(reason, after_s=wait_s)
    if response.status >= 500:
        raise ClientFailed(reason, after_s=response.retry_after_s())
    raise rejected(reason)


def _told(answer: Any, status: int) -> str:
    """What is wrong: our own word where the status says it, and the service's."""
    told = [_HINTS[status]] if status in _HINTS else []
    if isinstance(answer, Mapping):
        told += [str(answer[key]) for key in ("detail", "hint") if answer.get(key)]
        for refused in answer.get("validation-errors") or ():
            told += [f"{one.get('path')}: {one.get('detail')}" for one in refused.get("errors", ())]
    return "; ".join(told)[:_WORDS] or "no reason was given"


def embedded(answer: Any, kind: str) -> list[dict[str, Any]]:
    """The entries of an answer; an empty one has none."""
    if not isinstance(answer, Mapping):
        return []
    return [dict(one) for one in (answer.get("_embedded") or {}).get(kind) or ()]


def entry_id(value: str | int, name: str) -> int:
    """An id as a number. Raises `ClientFailed`."""
    text = str(value).strip()
    if not (text.isascii() and text.isdigit()) or len(text) > 18 or int(text) == 0:
        raise rejected(f"`{name}` is {text[:40]!r}, and an id is a whole number above 0")
    return int(text)


def is_given(value: str | int | None) -> bool:
    """Whether an id is there: a step before may have found none and left it empty."""
    return value is not None and bool(str(value).strip())


def rejected(reason: str) -> ClientFailed:
    """What ends the visit: a person has to change something."""
    return ClientFailed(reason, permanent=True)

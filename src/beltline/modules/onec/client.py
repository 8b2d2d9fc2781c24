"""One call of 1C's OData, and whose turn it is to mend it when it is refused.

The address is the interface's own (`https://HOST/BASE/odata/standard.odata`), the user and the
secret are those of a user of the infobase. 1C answers with 500 whatever goes wrong in its own code,
a locked object as well as a document that cannot be posted: that is tried again, by the step's
policy.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import wraps
from typing import Annotated, Any, TypeVar
from urllib.parse import quote, urlencode

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

KIND = "onec"  # of the connection
_PATH = "/()'"  # what stands in `Document_X(guid'…')/Post`
_TIMEOUT_S = 25.0  # 1C starts a session for a call, and a large document is posted for long
_WORDS = 500

Entity = Annotated[
    str,
    field(
        "Entity",
        "What it is about, as 1C names it: `Catalog_…`, `Document_…`, `InformationRegister_…`. It"
        " takes no expressions.",
        examples=["Catalog_Контрагенты"],
        pattern=r"^[A-Za-z]+_\w+$",
        max_length=200,
        constant="value",
    ),
]
Fields = Annotated[
    dict[str, Any],
    field(
        "Fields",
        "The fields by 1C's names, references as `…_Key`. Their names take no expressions.",
        examples=[{"Description": "{{ request.name }}", "ИНН": "{{ request.inn }}"}],
        constant="keys",
    ),
]


def onec_handler(
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
    body: Mapping[str, Any] | None = None,
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
    body: Mapping[str, Any] | None = None,
) -> Any:
    """The same without a context, for the test of a connection. Raises `ClientFailed`."""
    user = str(connection.options.get("user") or "")
    if not connection.address or not user or connection.secret is None:
        raise rejected(
            f"the connection {connection.name!r} needs `address`"
            " (https://HOST/BASE/odata/standard.odata), `user` and `secret` (its password)"
        )
    account = b64encode(f"{user}:{connection.secret.reveal()}".encode()).decode()
    headers = {"Authorization": f"Basic {account}", "Accept": "application/json"}
    content: bytes | None = None
    if body is not None:
        headers["Content-Type"] = "application/json"
        try:
            content = json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
        except ValueError:
            raise rejected(f"{path}: the fields hold a number that JSON has not") from None
    asked = urlencode([("$format", "json"), *query], quote_via=quote, safe="$")
    try:
        response = await http.request(
            method,
            f"{connection.address.rstrip('/')}/{quote(path, safe=_PATH)}?{asked}",
            headers=headers,
            body=content,
            timeout_s=_TIMEOUT_S,
            connection=connection,
        )
    except HttpFailed as error:
        raise ClientFailed(f"{path}: {error}", permanent=error.permanent) from None
    return _checked(path or "the list of objects", response)


def _checked(path: str, response: HttpResponse) -> Any:
    try:
        answer = response.json() if response.body else None
    except ValueError:
        answer = None
        if response.status < 300:  # a page of the web server: the infobase is being mended
            raise ClientFailed(f"{path}: the answer is not JSON") from None
    if response.status in (200, 201, 204):
        return answer
    reason = f"{path}: {_told(answer, response.status)} (status {response.status})"
    if response.status == 429 or response.status >= 500:
        raise ClientFailed(reason, after_s=response.retry_after_s())
    raise rejected(reason)


def _told(answer: Any, status: int) -> str:
    """The words of 1C; of a refused user it has none."""
    if status == 401:
        return "the user or the password is not taken"
    error = answer.get("odata.error") if isinstance(answer, Mapping) else None
    message = error.get("message") if isinstance(error, Mapping) else None
    words = message.get("value") if isinstance(message, Mapping) else None
    return str(words)[:_WORDS] if words else "no reason was given"


def rejected(reason: str) -> ClientFailed:
    """What ends the visit: a person has to change something."""
    return ClientFailed(reason, permanent=True)

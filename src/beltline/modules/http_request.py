"""Send an HTTP request and give its answer as the result.

Statuses that were not expected are sorted by who can mend them: 408, 425, 429 and 5xx are the
world's, and are tried again; any other is the author's, and ends the visit at once. The
idempotency key goes along as `Idempotency-Key`, so that a receiver can tell a repeated attempt
from a new request.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlencode, urlsplit

from beltline.sdk import (
    ClientFailed,
    Config,
    Connection,
    ConnectionKind,
    Context,
    Duration,
    Example,
    Http,
    HttpFailed,
    HttpResponse,
    Module,
    Output,
    Reject,
    Retry,
    duration_s,
    field,
)

_RETRIED_STATUSES = frozenset({408, 425, 429})
_NOT_LET_IN = frozenset({401, 403, 407})
_STATUS = r"[1-5](\d\d|xx)"
_EXCERPT_CHARACTERS = 200
_REPEATABLE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

Scalar = str | int | float | bool


class HttpRequestConfig(Config):
    """The request, and which answers count as success."""

    url: Annotated[
        str,
        field(
            "URL",
            "A whole http or https address; with a connection, a path below its address.",
            examples=["https://shop.example/api/orders", "orders/42"],
        ),
    ] = ""
    method: Annotated[
        Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
        field("Method", "The method of the request."),
    ] = "GET"
    query: Annotated[
        Mapping[str, Scalar | list[Scalar] | None],
        field(
            "Query",
            "Parameters to add to the URL. A list repeats the name; null leaves it out.",
            examples=[{"phone": "{{ request.phone }}"}],
        ),
    ] = {}
    headers: Annotated[
        Mapping[str, str],
        field(
            "Headers",
            "Headers to send. Secrets belong into a connection, not here.",
            examples=[{"Accept": "application/json"}],
        ),
    ] = {}
    json: Annotated[
        Any,
        field("JSON", "The body as JSON. At most one of JSON, form and body is given."),
    ] = None
    form: Annotated[
        Mapping[str, Scalar | list[Scalar] | None] | None,
        field("Form", "The body as a web form sends it."),
    ] = None
    body: Annotated[
        str | None,
        field("Body", "The body as text; give its `Content-Type` among the headers."),
    ] = None
    expect: Annotated[
        tuple[int | str, ...],
        field(
            "Expected statuses",
            "The answers that complete the step, as numbers or as classes such as 2xx.",
            examples=[["2xx", 404]],
            min_length=1,
        ),
    ] = ("2xx",)
    timeout: Annotated[
        Duration,
        field(
            "Timeout",
            "How long one attempt may take, from the connection to the end of the answer.",
            examples=["10s"],
        ),
    ] = "30s"

    def __post_init__(self) -> None:
        if sum(body is not None for body in (self.json, self.form, self.body)) > 1:
            raise ValueError("give one of `json`, `form` and `body`")
        for status in self.expect:
            if re.fullmatch(_STATUS, str(status)) is None:
                raise ValueError(f"`expect` holds {status!r}: write a status or a class like 2xx")


class HttpRequestOutput(Output):
    """The answer."""

    status: Annotated[int, field("Status", "The status of the answer.")]
    headers: Annotated[dict[str, str], field("Headers", "Its headers, by lower-case name.")]
    body: Annotated[Any, field("Body", "JSON as its value; else text; else base64 of the bytes.")]
    encoding: Annotated[
        Literal["json", "text", "base64"], field("Encoding", "How the body is given.")
    ]


async def send(config: HttpRequestConfig, context: Context) -> HttpRequestOutput | Retry | Reject:
    """Sends the request; see the module's docstring for what becomes of the answer."""
    headers = dict(config.headers)
    try:
        url = _with_query(_address(config.url, context.connection), config.query)
        body, content_type = _body(config)
        if content_type and not _names(headers, "content-type"):
            headers["Content-Type"] = content_type
        if config.method not in _REPEATABLE_METHODS and not _names(headers, "idempotency-key"):
            headers["Idempotency-Key"] = context.key
        secret = _credentials(context.connection)
        headers = {name: value for name, value in headers.items() if not _names(secret, name)}
        headers |= secret
    except ValueError as error:
        return Reject(str(error))
    try:
        answer = await context.http.request(
            config.method,
            url,
            headers=headers,
            body=body,
            timeout_s=duration_s(config.timeout),
            connection=context.connection,
        )
    except HttpFailed as error:
        return Reject(str(error)) if error.permanent else Retry(str(error))
    expected = {str(status) for status in config.expect}
    if {str(answer.status), f"{answer.status // 100}xx"} & expected:
        return _output(answer)
    reason = f"the answer has the status {answer.status}{_excerpt(answer)}"
    if answer.status in _RETRIED_STATUSES or answer.status >= 500:
        return Retry(reason, after_s=answer.retry_after_s())
    return Reject(reason)


def _address(url: str, connection: Connection | None) -> str:
    """The URL to send to. Raises `ValueError` where a connection's secret would go astray."""
    base = "" if connection is None else connection.address
    if not base:
        if not url:
            raise ValueError("`url` is empty: give an address, or a connection that has one")
        return url
    absolute = "://" in url.partition("?")[0] or url.startswith("//")
    if absolute:
        if urlsplit(url)[:2] != urlsplit(base)[:2]:
            raise ValueError(
                f"`url` leads away from the address of the connection {connection.name!r}"
                if connection
                else "`url` leads away"
            )
        return url
    if any(part in {".", ".."} for part in url.partition("?")[0].replace("%2e", ".").split("/")):
        raise ValueError("`url` holds . or .. as a part of its path")
    return f"{base.rstrip('/')}/{url.lstrip('/')}" if url else base


def _with_query(url: str, query: Mapping[str, Scalar | list[Scalar] | None]) -> str:
    pairs = urlencode(_pairs(query), quote_via=quote)
    if not pairs:
        return url
    return f"{url}{'&' if '?' in url else '?'}{pairs}"


def _pairs(values: Mapping[str, Scalar | list[Scalar] | None]) -> list[tuple[str, str]]:
    return [
        (name, _text(one))
        for name, value in values.items()
        if value is not None
        for one in (value if isinstance(value, list) else [value])
    ]


def _text(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _body(config: HttpRequestConfig) -> tuple[bytes | None, str]:
    """The bytes to send and their type; the type of a plain body is the author's."""
    if config.json is not None:
        text = json.dumps(config.json, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode(), "application/json"
    if config.form is not None:
        return urlencode(_pairs(config.form)).encode(), "application/x-www-form-urlencoded"
    if config.body is not None:
        return config.body.encode(), "text/plain; charset=utf-8"
    return None, ""


def _credentials(connection: Connection | None) -> dict[str, str]:
    """The header that carries the connection's secret, by its option `auth`."""
    if connection is None or connection.secret is None:
        return {}
    secret = connection.secret.reveal()
    match connection.options.get("auth", "bearer"):
        case "bearer":
            return {"Authorization": f"Bearer {secret}"}
        case "basic":
            return {"Authorization": f"Basic {base64.b64encode(secret.encode()).decode()}"}
        case "header":
            return {str(connection.options.get("header", "X-Api-Key")): secret}
        case other:
            raise ValueError(
                f"the connection {connection.name!r} has auth {other!r}:"
                " write bearer, basic (the secret is user:password) or header"
            )


def _names(headers: dict[str, str], name: str) -> bool:
    return any(given.lower() == name.lower() for given in headers)


def _output(answer: HttpResponse) -> HttpRequestOutput | Reject:
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    value: Any
    encoding: Literal["json", "text", "base64"]
    if answer.body and (kind == "application/json" or kind.endswith("+json")):
        try:
            value, encoding = answer.json(), "json"
        except ValueError:
            return Reject(f"the answer says that it is JSON, and is not{_excerpt(answer)}")
    else:
        try:
            value, encoding = answer.body.decode(), "text"
        except UnicodeDecodeError:
            value, encoding = base64.b64encode(answer.body).decode(), "base64"
    return HttpRequestOutput(
        status=answer.status, headers=answer.headers, body=value, encoding=encoding
    )


def _excerpt(answer: HttpResponse) -> str:
    text = answer.body[: 4 * _EXCERPT_CHARACTERS].decode(errors="replace").strip()
    return f": {text[:_EXCERPT_CHARACTERS]}" if text else ""


async def check(connection: Connection, http: Http) -> str:
    """Asks for the connection's address with its secret. Raises `ClientFailed` where the secret is
    refused, or the server fails; whatever else it answers, it is there.
    """
    if not connection.address:
        raise ClientFailed(f"the connection {connection.name!r} has no address")
    try:
        headers = _credentials(connection)
    except ValueError as wrong:
        raise ClientFailed(str(wrong)) from wrong
    answer = await http.request("GET", connection.address, headers=headers, connection=connection)
    if answer.status in _NOT_LET_IN or answer.status >= 500:
        raise ClientFailed(f"the address answers with the status {answer.status}{_excerpt(answer)}")
    return f"the address answers with the status {answer.status}"


kind = ConnectionKind(name="http", check=check)

module = Module(
    name="http-request",
    version=1,
    summary="Send an HTTP request.",
    description=(
        "A connection gives the base address and the secret; its option `auth` says how the"
        " secret goes along: `bearer` (the default), `basic` with user:password, or `header` with"
        " the name in `header`. The answers 408, 425, 429 and 5xx, and no answer at all, are tried"
        " again, not before `Retry-After`; any other status that is not expected ends the visit."
    ),
    category="http",
    icon="globe",
    effect="at-least-once",
    on_repeat=(
        "It sends the request again, with the same `Idempotency-Key` (but for GET, HEAD and"
        " OPTIONS). A receiver that does not look at the key does it again."
    ),
    config=HttpRequestConfig,
    output=HttpRequestOutput,
    handler=send,
    examples=(
        Example(
            "Send an order on",
            {
                "method": "POST",
                "url": "https://shop.example/api/orders",
                "json": {"phone": "79161234567"},
                "expect": ["2xx", 409],
                "timeout": "10s",
            },
        ),
        Example(
            "Ask below a connection's address",
            {"url": "customers", "query": {"phone": "79161234567", "limit": 1}},
        ),
    ),
)

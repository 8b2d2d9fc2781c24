"""Asks an address for JSON, page after page, by the hub's one outgoing client."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote, urlencode, urljoin, urlsplit

from beltline.core.expression import ExpressionFailed, Scope
from beltline.core.path import MISSING
from beltline.core.template import Template
from beltline.definition.poll import HttpPoll
from beltline.sdk import Connection, HttpFailed, HttpResponse
from beltline.sources.door import FeedTrouble
from beltline.sources.json_body import read_json
from beltline.sources.poll.feed import Page
from beltline.sources.refusal import RequestRefused
from beltline.sources.surroundings import Surroundings

TIMEOUT_S = 30.0
_EXCERPT_CHARACTERS = 200


class HttpQuestion:
    """One look at an address. The secret of the connection goes to its own address alone."""

    def __init__(self, asks: HttpPoll, around: Surroundings) -> None:
        self._asks = asks
        self._around = around

    async def pages(self, cursor: Any) -> AsyncIterator[Page]:
        """The answers of one look."""
        asks, limits = self._asks, self._around.limits
        connection = None if asks.connection is None else self._around.account(asks.connection)
        url = self._address(connection, {"cursor": cursor})
        asked = set()
        for _ in range(limits.poll_pages):
            asked.add(url)
            answer = await self._ask(url, connection)
            yield Page(_listed(self._value(asks.items, {"answer": answer})), answer)
            if asks.next is None:
                return
            following = self._value(asks.next, {"answer": answer, "cursor": cursor})
            if following is None or following == "" or following is False:
                return
            url = self._next(url, connection, cursor, following)
            if url in asked:
                raise FeedTrouble(f"the next page of {_place(url)} is one that was asked before")
        raise FeedTrouble(f"more than {limits.poll_pages:,} pages in one look (limit poll_pages)")

    async def _ask(self, url: str, connection: Connection | None) -> Any:
        headers = {"Accept": "application/json", **self._asks.headers, **_credentials(connection)}
        try:
            answer = await self._around.http.request(
                "GET", url, headers=headers, timeout_s=TIMEOUT_S, connection=connection
            )
        except HttpFailed as failed:
            raise FeedTrouble(str(failed)) from failed
        if answer.status == 204:
            return None
        if not 200 <= answer.status < 300:
            raise FeedTrouble(
                f"{_place(url)} answered {answer.status}{_excerpt(answer)}",
                answer.retry_after_s() or 0.0,
            )
        try:
            return read_json(answer.body, depth=self._around.limits.request_depth)[0]
        except RequestRefused as wrong:
            raise FeedTrouble(
                f"the answer of {_place(url)} cannot be read: {wrong.detail}"
            ) from wrong

    # Addresses

    def _address(self, connection: Connection | None, known: dict[str, Any]) -> str:
        """The address with what stands in for `cursor` and `next`, which is quoted in the path."""
        if connection is None:
            url = self._asks.url
        else:
            quoted = {name: _quoted(value) for name, value in known.items()}
            path = str(self._value(self._asks.path, quoted) or "")
            base = connection.address
            url = f"{base.rstrip('/')}/{path.lstrip('/')}" if path else base
        query = self._value(self._asks.query, known) or {}
        pairs = [
            (name, _printed(one))
            for name, value in query.items()
            for one in (value if isinstance(value, list) else [value])
            if one is not None
        ]
        if not pairs:
            return url
        return f"{url}{'&' if urlsplit(url).query else '?'}{urlencode(pairs)}"

    def _next(self, url: str, connection: Connection | None, cursor: Any, following: Any) -> str:
        if self._asks.places_next:
            return self._address(connection, {"cursor": cursor, "next": following})
        if not isinstance(following, str):
            raise FeedTrouble("`next` gives no address, and neither path nor query use it")
        address = urljoin(url, following)
        if urlsplit(address)[:2] != urlsplit(url)[:2]:
            raise FeedTrouble(f"the next page of {_place(url)} is at {_place(address)}")
        return address

    def _value(self, template: Template, document: dict[str, Any]) -> Any:
        given = {name: value for name, value in document.items() if value is not None}
        try:
            value = template.resolve(given, Scope(self._around.clock.now(), "poll", 0))
        except ExpressionFailed as failed:
            raise FeedTrouble(f"an expression of the source failed: {failed}") from failed
        return None if value is MISSING else value


def _listed(value: Any) -> list[Any]:
    """The items: an expression that finds a single one gives it without its list."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _quoted(value: Any) -> str | None:
    return None if value is None else quote(_printed(value), safe="")


def _printed(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _credentials(connection: Connection | None) -> dict[str, str]:
    """The connection's secret: basic where it has a user, else as a bearer token."""
    if connection is None or connection.secret is None:
        return {}
    secret = connection.secret.reveal()
    user = str(connection.options.get("user") or "")
    if user:
        return {"Authorization": f"Basic {base64.b64encode(f'{user}:{secret}'.encode()).decode()}"}
    return {"Authorization": f"Bearer {secret}"}


def _place(url: str) -> str:
    """Where it is, without a path or a query, in which secrets may stand."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _excerpt(answer: HttpResponse) -> str:
    text = answer.body.decode("utf-8", "replace").strip()
    return f": {text[:_EXCERPT_CHARACTERS]}" if text.isprintable() and text else ""

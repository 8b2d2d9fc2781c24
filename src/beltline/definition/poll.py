"""The keys of a poll: the address or the database that is asked, and what of the answer is new."""

from __future__ import annotations

import re
from typing import Any, ClassVar
from urllib.parse import urlsplit

import msgspec

from beltline.core.problem import Place
from beltline.core.template import Template
from beltline.definition.finding import Report
from beltline.definition.looking import read_every, read_expression, read_value
from beltline.definition.shape import (
    check_keys,
    kind_of,
    read_connection_name,
    read_object,
    read_text,
)

POLL_KEYS = ("every", "http", "sql")
_HTTP_KEYS = (
    *("connection", "url", "path", "query", "headers"),
    *("items", "id", "cursor", "start", "next"),
)
_SQL_KEYS = ("connection", "query", "id", "cursor", "start")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}\Z")
_SECRET_HEADERS = frozenset(("authorization", "proxy-authorization", "cookie", "x-api-key"))
_OWN_HEADERS = frozenset(("host", "connection", "content-length", "accept-encoding"))
# How the database library tells a parameter: a colon and a name, unless a colon, a letter or a
# backslash stands before it.
_PARAMETER = re.compile(r"(?<![:\w\\]):(\w+)(?!:)")


class Asked(msgspec.Struct, frozen=True):
    """What makes an item a new one. `id` tells it from others (None: its whole content does);
    `cursor` gives how far the source has come, from `start` on (None: it keeps no cursor).
    """

    id: Template | None = None
    cursor: Template | None = None
    start: Any = None

    @property
    def cursor_is_of_items(self) -> bool:
        """Whether each item has its own cursor, the greatest of which counts; else the last answer
        gives it.
        """
        roots = None if self.cursor is None else self.cursor.roots
        return roots is None or "item" in roots


class HttpPoll(msgspec.Struct, frozen=True):
    """GET of an address that answers with JSON: a connection's, with `path` below it, or `url`.
    `path` and `query` may use `cursor` and `next`; where they do, `next` is a value for them, and
    else the address of the next page.
    """

    asked: Asked
    connection: str | None
    url: str
    path: Template
    query: Template
    headers: dict[str, str]
    items: Template
    next: Template | None

    @property
    def places_next(self) -> bool:
        """Whether `next` goes into the address or the query."""
        return any(one.roots is None or "next" in one.roots for one in (self.path, self.query))


class SqlPoll(msgspec.Struct, frozen=True):
    """A query, with `:cursor` as its one parameter."""

    asked: Asked
    connection: str
    query: str

    @property
    def takes_cursor(self) -> bool:
        """Whether the query has the parameter."""
        return _PARAMETER.search(self.query) is not None


class PollWay(msgspec.Struct, frozen=True):
    """Each item of an answer that was not there before is a request."""

    kind: ClassVar[str] = "poll"
    every_ms: int
    asks: HttpPoll | SqlPoll

    @property
    def connection(self) -> str | None:
        """The connection that it needs."""
        return self.asks.connection


def read_poll(report: Report, data: dict[str, Any]) -> PollWay | None:
    """Reads the keys of `POLL_KEYS`."""
    every_ms = read_every(report, data)
    given = [key for key in ("http", "sql") if key in data]
    if len(given) != 1:
        report.error(
            (given[1],) if given else (),
            "a poll asks one place, by http or by sql",
            "Add `http: {connection: NAME, …}` or `sql: {connection: NAME, query: …}`."
            if not given
            else "Take one out.",
            of_key=bool(given),
        )
        return None
    inner = read_object(report, data[given[0]], (given[0],), given[0])
    if inner is None:
        return None
    asks = _read_http(report, inner) if given[0] == "http" else _read_sql(report, inner)
    return None if every_ms is None or asks is None else PollWay(every_ms, asks)


# What is asked


def _read_http(report: Report, data: dict[str, Any]) -> HttpPoll | None:
    at: Place = ("http",)
    errors = report.errors
    check_keys(report, data, _HTTP_KEYS, at, "http")
    connection, url = _read_base(report, data, at)
    path = read_value(report, data.get("path", ""), (*at, "path"), ("cursor", "next"))
    if "path" in data:
        read_text(report, data["path"], (*at, "path"), "path")
        if connection is None and "url" in data:
            report.error((*at, "path"), "path needs a connection", "Put it into url.", of_key=True)
    query_data = read_object(report, data.get("query", {}), (*at, "query"), "query")
    query = read_value(report, query_data or {}, (*at, "query"), ("cursor", "next"))
    headers = _read_headers(report, data.get("headers", {}), (*at, "headers"))
    items = _expression(report, data, at, "items", ("answer",))
    if "items" not in data:
        items = read_value(report, "{{ answer }}", at, ("answer",))
    following = _expression(report, data, at, "next", ("answer", "cursor", "next"))
    asked = _read_asked(report, data, at, ("answer", "item", "cursor"))
    if report.errors > errors or path is None or query is None or items is None:
        return None
    return HttpPoll(asked, connection, url, path, query, headers, items, following)


def _read_base(report: Report, data: dict[str, Any], at: Place) -> tuple[str | None, str]:
    """The connection, or the address of something that everybody may ask."""
    if ("connection" in data) == ("url" in data):
        report.error(
            at,
            "http asks the address of a connection, or a url; one of the two is needed",
            "Add `connection: NAME`."
            if "url" not in data
            else "Take url out, and write the rest of the address as `path`.",
        )
        return None, ""
    if "connection" in data:
        return read_connection_name(report, data["connection"], (*at, "connection")), ""
    place: Place = (*at, "url")
    url = read_text(report, data["url"], place, "url") or ""
    try:
        parts = urlsplit(url)
        is_whole = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        is_whole = False
    if not is_whole or "{{" in url or not url.isprintable() or " " in url:
        report.error(
            place,
            "url must be a whole address, without expressions",
            "Write it like https://example.org/orders, and what changes as `query`.",
        )
    return None, url


def _read_headers(report: Report, value: Any, at: Place) -> dict[str, str]:
    data = read_object(report, value, at, "headers") or {}
    for name, text in data.items():
        if not _HEADER.match(name) or name.lower() in _OWN_HEADERS:
            report.error((*at, name), f'"{name[:100]}" is no header to set', of_key=True)
        elif name.lower() in _SECRET_HEADERS:
            report.error(
                (*at, name),
                f"{name} holds a secret, which does not belong into a file",
                'Give the connection `secret: "${NAME}"`.',
                of_key=True,
            )
        elif not isinstance(text, str) or not text.isprintable():
            report.error((*at, name), f"a header must be a text, not {kind_of(text)}")
    return data


def _read_sql(report: Report, data: dict[str, Any]) -> SqlPoll | None:
    at: Place = ("sql",)
    errors = report.errors
    check_keys(report, data, _SQL_KEYS, at, "sql")
    connection = None
    if "connection" not in data:
        report.error(at, "sql needs a connection", "Add `connection: NAME`.")
    else:
        connection = read_connection_name(report, data["connection"], (*at, "connection"))
    query = ""
    if "query" not in data:
        report.error(at, "sql needs a query", "Add `query: select …`.")
    else:
        query = read_text(report, data["query"], (*at, "query"), "query") or ""
        _check_query(report, query, (*at, "query"), "cursor" in data)
    asked = _read_asked(report, data, at, ("item", "cursor"))
    if report.errors > errors or connection is None:
        return None
    return SqlPoll(asked, connection, query)


def _check_query(report: Report, query: str, at: Place, has_cursor: bool) -> None:
    if not query.strip():
        report.error(at, "query must not be empty")
    if "{{" in query:
        report.error(
            at, "a query takes no expressions: they could change what it says", "Write :cursor."
        )
    names = set(_PARAMETER.findall(query))
    for name in sorted(names - {"cursor"}):
        report.error(
            at,
            f"the query has a parameter :{name[:100]}, and only :cursor is known",
            f"Where it is none, write \\:{name[:100]}.",
        )
    if "cursor" in names and not has_cursor:
        report.error(
            at, "the query uses :cursor, and nothing gives it",
            'Add `cursor: "{{ item.COLUMN }}"`.',
        )  # fmt: skip


# What is new


def _read_asked(report: Report, data: dict[str, Any], at: Place, roots: tuple[str, ...]) -> Asked:
    cursor = _expression(report, data, at, "cursor", roots)
    start = data.get("start")
    if start is not None and (isinstance(start, bool) or not isinstance(start, str | int | float)):
        report.error((*at, "start"), f"start must be a text or a number, not {kind_of(start)}")
    if "start" in data and "cursor" not in data:
        report.error(
            (*at, "start"), "start is the first cursor, and there is no cursor", of_key=True
        )
    return Asked(_expression(report, data, at, "id", ("item",)), cursor, start)


def _expression(
    report: Report, data: dict[str, Any], at: Place, key: str, roots: tuple[str, ...]
) -> Template | None:
    return read_expression(report, data[key], (*at, key), key, roots) if key in data else None

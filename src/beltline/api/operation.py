"""One operation of the API: a function with its permission and its shapes attached.

The permission is on the handler, never on the text of a path, and a route without one does not
start. From the same declaration come the checks of what is sent and the OpenAPI page.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar
from urllib.parse import parse_qsl

import msgspec

from beltline.api.access import Caller, Role
from beltline.api.answer import Answer
from beltline.api.hub import Hub
from beltline.api.problem import Problem
from beltline.sources.headers import Headers, only_value
from beltline.sources.json_body import read_json

Q = TypeVar("Q")
B = TypeVar("B")
_PARAMETERS_MOST = 50


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No parameters, or no body."""


class Text(msgspec.Struct, frozen=True):
    """A body that is text, such as a definition, with the content type that it was sent as."""

    media: str
    text: str


class Call(msgspec.Struct, Generic[Q, B], frozen=True):
    """One call of an operation: who asks, and what was sent, checked. `path` holds the names in
    braces.
    """

    hub: Hub
    caller: Caller
    path: dict[str, str]
    query: Q
    body: B


class Operation(msgspec.Struct, frozen=True):
    """A handler and what is declared of it; the handler's docstring is the summary.

    `query` and `body` are Structs; `text_media` are the content types of a body that is text, which
    `text_limit` bounds.
    `answer` is the Struct of a good answer, None where it is no JSON (`media` says what it is).
    """

    handler: Callable[[Any], Awaitable[Any]]
    needs: Role
    query: type[Any] = Nothing
    body: type[Any] | None = None
    text_media: tuple[str, ...] = ()
    text_limit: str = "definition_bytes"
    answer: Any = None
    media: str = "application/json"
    status: int = 200
    problems: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """The handler's name, which is the operation's."""
        return getattr(self.handler, "__name__", "")

    @property
    def summary(self) -> str:
        """What it does, in a sentence."""
        return inspect.getdoc(self.handler) or ""


class Endpoint(msgspec.Struct, frozen=True):
    """One method of one address; names in braces are handed to the operation as `path`."""

    method: str
    path: str
    operation: Operation


def operation(**declared: Any) -> Callable[[Callable[[Any], Awaitable[Any]]], Operation]:
    """Declares the function below an operation; takes the fields of `Operation`."""

    def declare(handler: Callable[[Any], Awaitable[Any]]) -> Operation:
        return Operation(handler, **declared)

    return declare


def read_query(operation: Operation, query_string: bytes) -> Any:
    """The parameters after the `?`. Raises `Problem` (400)."""
    try:
        pairs = parse_qsl(
            query_string.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_PARAMETERS_MOST,
        )
    except ValueError as wrong:  # wrong UTF-8, too many
        raise Problem(400, "wrong-query", f"The query cannot be read: {wrong}.") from wrong
    given = dict(pairs)
    if len(given) != len(pairs):
        raise Problem(400, "wrong-query", "A parameter of the query stands twice. Send it once.")
    try:
        return msgspec.convert(given, operation.query, strict=False)
    except msgspec.ValidationError as wrong:
        raise Problem(400, "wrong-query", f"The query is wrong: {_in_words(wrong)}.") from wrong


def read_sent(operation: Operation, headers: Headers, raw: bytes, *, depth: int) -> Any:
    """The body as the operation declares it. Raises `Problem` and `RequestRefused`."""
    if operation.body is None and not operation.text_media:
        return Nothing()
    media = _media(headers)
    if operation.text_media:
        if media not in operation.text_media:
            raise _wrong_media(media, operation.text_media)
        try:
            return Text(media, raw.decode())
        except UnicodeDecodeError as wrong:
            raise Problem(
                400, "unreadable-body", "The text is not UTF-8.", where=f"byte {wrong.start}"
            ) from wrong
    if raw:
        if media != "application/json":
            raise _wrong_media(media, ("application/json",))
        value, _ = read_json(raw, depth=depth)
    else:
        value = {}
    try:
        return msgspec.convert(value, operation.body)
    except msgspec.ValidationError as wrong:
        raise Problem(422, "wrong-body", f"The body is wrong: {_in_words(wrong)}.") from wrong


def json_answer(operation: Operation, answer: Any) -> Answer:
    """What a handler gave, as it goes out."""
    if isinstance(answer, Answer):
        return answer
    return Answer(operation.status, msgspec.json.encode(answer))


def _media(headers: Headers) -> str:
    sent = (only_value(headers, b"content-type") or b"").decode("latin-1")
    return sent.partition(";")[0].strip().lower()


def _wrong_media(media: str, wanted: tuple[str, ...]) -> Problem:
    sent = f"{media[:100]!r} is not read here" if media else "The body has no content type"
    return Problem(415, "unsupported-content", f"{sent}. Send {' or '.join(wanted)}.")


def _in_words(error: msgspec.ValidationError) -> str:
    """Msgspec's own words, with `$.limit` as `limit`."""
    text, _, place = str(error)[:500].partition(" - at ")
    place = place.strip("`").removeprefix("$").removeprefix(".")
    return f"{text} at {place}" if place else text

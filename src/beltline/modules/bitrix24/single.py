"""Modules that are one REST method: alone, or up to fifty of them in one `batch`.

A batch is one request for the rate limit of the portal; each of its commands is answered by itself,
and `halt: 0` lets the others go on where one fails. A command is text, `method?query` in PHP's
notation, in which null and an empty list are an empty value.

In a command `$result[…]` stands for what another one gave. What people write into forms must never
be read so: a call whose parameters hold it makes a request of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import quote

from beltline.modules.bitrix24.client import (
    C,
    PortalFailed,
    call_whole,
    command_failed,
)
from beltline.sdk import Answer, Context, Reject, Retry

R = TypeVar("R")

MOST = 50
_REFERENCE = "$result"
_NOT_IN_A_BATCH = ("batch",)


class Asked(NamedTuple):
    """A REST method with its parameters."""

    method: str
    params: Mapping[str, Any]


class SingleMethod(Generic[C, R]):
    """`ask` gives what a call asks the portal for, or its answer where nothing is to be asked; it
    may raise `PortalFailed`. `read` makes a result of the portal's answer: result, total, next.
    """

    def __init__(
        self,
        ask: Callable[[C, Context], Asked | Answer[R]],
        read: Callable[[C, Mapping[str, Any]], Answer[R]],
    ) -> None:
        self._ask = ask
        self._read = read

    async def handler(self, config: C, context: Context) -> Answer[R]:
        """One call by itself."""
        try:
            asked = self._ask(config, context)
            if not isinstance(asked, Asked):
                return asked
            return self._read(config, await call_whole(context, asked.method, asked.params))
        except PortalFailed as failed:
            return failed.outcome

    async def batch(self, calls: list[tuple[C, Context]]) -> list[Answer[R]]:
        """Many calls in one request."""
        answers: dict[int, Answer[R]] = {}
        asked: dict[int, Asked] = {}
        for number, (config, context) in enumerate(calls):
            try:
                one = self._ask(config, context)
            except PortalFailed as failed:
                answers[number] = failed.outcome
                continue
            if not isinstance(one, Asked):
                answers[number] = one
            elif _must_be_alone(one):
                answers[number] = await self.handler(config, context)
            else:
                asked[number] = one
        if asked:
            parts = await _carry_out(calls[0][1], asked)
            for number, part in parts.items():
                config = calls[number][0]
                answers[number] = (
                    part if isinstance(part, Retry | Reject) else (self._read(config, part))
                )
        return [answers[number] for number in range(len(calls))]


async def _carry_out(
    context: Context, asked: Mapping[int, Asked]
) -> dict[int, Mapping[str, Any] | Retry | Reject]:
    """What became of each command of a batch."""
    commands = {f"c{number}": command(one) for number, one in asked.items()}
    try:
        whole = await call_whole(context, "batch", {"halt": 0, "cmd": commands})
    except PortalFailed as failed:
        return dict.fromkeys(asked, failed.outcome)
    parts = whole.get("result")
    names = ("result", "result_error", "result_total", "result_next")
    given, errors, totals, nexts = (_named(parts, name) for name in names)
    found: dict[int, Mapping[str, Any] | Retry | Reject] = {}
    for number, one in asked.items():
        name = f"c{number}"
        if name in errors:
            found[number] = command_failed(one.method, errors[name], whole)
        elif name in given:
            answer = {"result": given[name], "total": totals.get(name), "next": nexts.get(name)}
            found[number] = answer
        else:
            found[number] = Retry(f"{one.method}: the portal gave no answer to the command")
    return found


def _named(parts: Any, name: str) -> Mapping[str, Any]:
    """One part of a batch's result; an empty one comes as a list."""
    part = parts.get(name) if isinstance(parts, Mapping) else None
    return part if isinstance(part, Mapping) else {}


def _must_be_alone(asked: Asked) -> bool:
    return asked.method.lower() in _NOT_IN_A_BATCH or any(
        _REFERENCE in text for pair in _pairs("", asked.params) for text in pair
    )


def command(asked: Asked) -> str:
    """The text of a command."""
    query = "&".join(
        f"{quote(name, safe='[]')}={quote(value, safe='')}"
        for name, value in _pairs("", asked.params)
    )
    return f"{asked.method}?{query}" if query else asked.method


def _pairs(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Names and values of a form, as PHP reads them."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _pairs(f"{name}[{key}]" if name else str(key), inner)
    elif isinstance(value, list | tuple) and value:
        for place, inner in enumerate(value):
            yield from _pairs(f"{name}[{place}]", inner)
    elif name:
        yield name, _text(value)


def _text(value: Any) -> str:
    if value is None or isinstance(value, Mapping | list | tuple):
        return ""
    if isinstance(value, bool):
        return str(int(value))
    return str(value)

"""Reads the body of an HTTP request, never more of it than a limit."""

from __future__ import annotations

import asyncio

from starlette.types import Receive

from beltline.api.problem import Problem
from beltline.core.limits import Limits
from beltline.sources.headers import Headers, only_value


class SenderGone(Exception):
    """The sender closed the connection before the body was complete: there is nobody to answer."""


async def read_whole(
    receive: Receive,
    headers: Headers,
    limits: Limits,
    limit: str = "request_body_bytes",
    most: int | None = None,
) -> bytes:
    """The body, with or without a Content-Length; `limit` names the one that bounds its size
    (`most` where it is none of `limits`).

    Raises `Problem` (413 past that limit; 408 past `request_body_wait_ms`; 400 where it is not as
    long as announced) and `SenderGone`.
    """
    if most is None:
        most = getattr(limits, limit)
    announced = announced_bytes(headers)
    if announced is not None and announced > most:
        raise _too_large(most, limit)
    message = await receive()
    if message["type"] != "http.request":
        raise SenderGone
    body: bytes = message.get("body", b"")
    if len(body) > most:
        raise _too_large(most, limit)
    if message.get("more_body"):
        body = await _read_in_time(receive, body, most, limit, limits.request_body_wait_ms)
    if announced is not None and announced != len(body):
        raise Problem(
            400,
            "wrong-length",
            f"The body has {len(body):,} bytes, its Content-Length says {announced:,}.",
            headers={"connection": "close"},
        )
    return body


def announced_bytes(headers: Headers) -> int | None:
    """What Content-Length says; None where it is absent. Raises `Problem` (400) for no number, and
    `RequestRefused` (400) where it stands twice.
    """
    announced = only_value(headers, b"content-length")
    if announced is None:
        return None
    if not announced.isdigit():
        raise Problem(400, "wrong-length", "The Content-Length is no number.")
    return int(announced[:20])


async def _read_in_time(
    receive: Receive, first: bytes, most: int, limit: str, wait_ms: int
) -> bytes:
    try:
        async with asyncio.timeout(wait_ms / 1_000):
            return await _read_on(receive, first, most, limit)
    except TimeoutError:
        raise Problem(
            408,
            "slow-body",
            f"The body was not complete after {wait_ms / 1_000:g} s"
            " (limit request_body_wait_ms). Send it again.",
            headers={"connection": "close"},
        ) from None


async def _read_on(receive: Receive, first: bytes, most: int, limit: str) -> bytes:
    parts = [first]
    size = len(first)
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise SenderGone
        part: bytes = message.get("body", b"")
        parts.append(part)
        size += len(part)
        if size > most:
            raise _too_large(most, limit)
        if not message.get("more_body"):
            return b"".join(parts)


def _too_large(most: int, limit: str) -> Problem:
    # The rest of the body is not read, so the connection cannot be used again.
    return Problem(
        413,
        "too-large",
        f"The body takes more than {most:,} bytes (limit {limit}). Send less.",
        headers={"connection": "close"},
    )

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
    receive: Receive, headers: Headers, limits: Limits, limit: str = "request_body_bytes"
) -> bytes:
    """The body, with or without a Content-Length; `limit` names the one that bounds its size.

    Raises `Problem` (413 past that limit; 408 past `request_body_wait_ms`) and `SenderGone`.
    """
    most: int = getattr(limits, limit)
    announced = only_value(headers, b"content-length")
    if announced is not None and announced.isdigit() and int(announced[:20]) > most:
        raise _too_large(most, limit)
    message = await receive()
    if message["type"] != "http.request":
        raise SenderGone
    body: bytes = message.get("body", b"")
    if len(body) > most:
        raise _too_large(most, limit)
    if not message.get("more_body"):
        return body
    try:
        async with asyncio.timeout(limits.request_body_wait_ms / 1_000):
            return await _read_on(receive, body, most, limit)
    except TimeoutError:
        raise Problem(
            408,
            "slow-body",
            f"The body was not complete after {limits.request_body_wait_ms / 1_000:g} s"
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

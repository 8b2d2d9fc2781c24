"""Reads the body of an HTTP request, never more of it than a limit."""

from __future__ import annotations

import asyncio

from starlette.types import Receive

from beltline.api.problem import Problem
from beltline.sources.headers import Headers, only_value

# How long a sender may take to send a whole body: one that sends a byte a second would hold its
# connection for days.
BODY_WAIT_S = 30.0


class SenderGone(Exception):
    """The sender closed the connection before the body was complete: there is nobody to answer."""


async def read_whole(receive: Receive, headers: Headers, most: int, limit: str) -> bytes:
    """The body, with or without a Content-Length.

    Raises `Problem` (413 past `most` bytes, naming `limit`; 408) and `SenderGone`.
    """
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
        async with asyncio.timeout(BODY_WAIT_S):
            return await _read_on(receive, body, most, limit)
    except TimeoutError:
        raise Problem(
            408,
            "slow-body",
            f"The body was not complete after {BODY_WAIT_S:g} s. Send it again.",
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

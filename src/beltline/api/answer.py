"""Answers on their way out: bodies, and the headers that every answer carries."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
from starlette.types import Send

from beltline.api.problem import Problem

JSON = b"application/json"
PROBLEM = b"application/problem+json"
TEXT = b"text/plain; charset=utf-8"
HTML = b"text/html; charset=utf-8"

# Answers are data: never sniffed, framed, cached, or let run anything.
_SECURITY = [
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
]


class Answer(msgspec.Struct, frozen=True):
    """An answer with its bytes as they go out. Its `headers` stand over those that every answer
    carries. Where there are `pieces`, they are the body, of `size` bytes.
    """

    status: int
    body: bytes
    content_type: bytes = JSON
    headers: dict[str, str] = {}
    pieces: AsyncIterator[bytes] | None = None
    size: int = 0


def answer_of(problem: Problem) -> Answer:
    """The answer that tells a problem."""
    body = msgspec.json.encode(problem.view)
    return Answer(problem.status, body, PROBLEM, problem.headers)


async def send_answer(send: Send, answer: Answer) -> None:
    """Sends it."""
    pieces = answer.pieces
    length = len(answer.body) if pieces is None else answer.size
    headers = [(b"content-type", answer.content_type), (b"content-length", b"%d" % length)]
    if answer.headers:
        own = [
            (name.encode("latin-1"), value.encode("latin-1"))
            for name, value in answer.headers.items()
        ]
        names = {name for name, _ in own}
        headers += [pair for pair in _SECURITY if pair[0] not in names]
        headers += own
    else:
        headers += _SECURITY
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if pieces is not None:
        async for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": answer.body})

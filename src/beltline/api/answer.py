"""Answers on their way out: bodies, and the headers that every answer carries."""

from __future__ import annotations

import msgspec
from starlette.types import Send

from beltline.api.problem import Problem

JSON = b"application/json"
PROBLEM = b"application/problem+json"

# Answers are data: never sniffed, framed, cached, or let run anything.
_SECURITY = [
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
]


class Answer(msgspec.Struct, frozen=True):
    """An answer with its bytes as they go out."""

    status: int
    body: bytes
    content_type: bytes = JSON
    headers: dict[str, str] = {}


def answer_of(problem: Problem) -> Answer:
    """The answer that tells a problem."""
    body = msgspec.json.encode(problem.view)
    return Answer(problem.status, body, PROBLEM, problem.headers)


async def send_answer(send: Send, answer: Answer) -> None:
    """Sends it."""
    headers = [
        (b"content-type", answer.content_type),
        (b"content-length", b"%d" % len(answer.body)),
        *_SECURITY,
    ]
    for name, value in answer.headers.items():
        headers.append((name.encode("latin-1"), value.encode("latin-1")))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})

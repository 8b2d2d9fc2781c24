"""Calls an ASGI app in process, as a server would: one request, its messages, its answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec
from starlette.types import ASGIApp, Message


class Answered(msgspec.Struct):
    """What the app answered; `headers` have small names."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


async def call(
    app: ASGIApp,
    method: str,
    path: str,
    body: bytes | Sequence[bytes] = b"",
    headers: Sequence[tuple[str, str]] = (),
    *,
    gone: bool = False,
) -> Answered | None:
    """One request. A body in several parts comes without a Content-Length; with `gone` the sender
    leaves after the parts given. None where the app answered nothing.
    """
    parts = [body] if isinstance(body, bytes) else list(body)
    raw_headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    if isinstance(body, bytes):
        raw_headers.append((b"content-length", b"%d" % len(body)))
    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": raw_headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    incoming: list[Message] = [
        {"type": "http.request", "body": part, "more_body": gone or index + 1 < len(parts)}
        for index, part in enumerate(parts)
    ]
    incoming.append({"type": "http.disconnect"})
    sent: list[Message] = []

    async def receive() -> Message:
        return incoming.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    if not sent:
        return None
    start, *rest = sent
    assert start["type"] == "http.response.start"
    assert [message.get("more_body", False) for message in rest][-1:] == [False], "a whole body"
    answer_headers = {name.decode(): value.decode() for name, value in start["headers"]}
    whole = b"".join(message["body"] for message in rest)
    assert answer_headers["content-length"] == str(len(whole))
    return Answered(start["status"], answer_headers, whole)

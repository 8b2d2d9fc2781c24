"""Bodies on their way in: what bounds them is named to the sender."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from starlette.types import Message

from beltline.api.body import read_whole
from beltline.api.problem import Problem
from beltline.core.limits import TINY
from tests.unit.api.stage import Stage


async def test_a_sender_that_never_ends_is_told_the_limit() -> None:
    parts: list[Message] = [{"type": "http.request", "body": b"{", "more_body": True}]

    async def receive() -> Message:
        return parts.pop() if parts else await asyncio.Future()

    hasty = msgspec.structs.replace(TINY, request_body_wait_ms=1)
    with pytest.raises(Problem, match=r"0\.001 s \(limit request_body_wait_ms\)") as told:
        await read_whole(receive, [], hasty)
    assert told.value.status == 408


@pytest.mark.parametrize("limit", ["request_body_bytes", "definition_bytes"])
async def test_a_body_past_its_limit_is_told_which(limit: str) -> None:
    small = msgspec.structs.replace(TINY, request_body_bytes=3, definition_bytes=3)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"four"}

    with pytest.raises(Problem, match=rf"more than 3 bytes \(limit {limit}\)"):
        await read_whole(receive, [], small, limit)


async def test_a_form_of_too_many_fields_is_told_the_limit(stage: Stage) -> None:
    fields = b"&".join(b"a%d=1" % n for n in range(stage.hub.limits.form_fields + 1))
    form = "application/x-www-form-urlencoded"
    answer = await stage.send("form", fields, content_type=form)
    assert answer.status == 400
    assert "limit form_fields" in answer.json()["detail"]

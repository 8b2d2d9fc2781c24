"""Calls that go to a batch handler together, and what calls meet on their connection."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import msgspec
import pytest

from beltline.core.inputs import Answered, AttemptFailed
from beltline.core.limits import PRODUCTION
from beltline.engine.ports import Dispatched
from beltline.sdk import Connection, HttpFailed, HttpResponse, Reject, Retry
from beltline.transports.reach import ReachingHttp
from tests.unit.modules.fakes import PreparedHttp
from tests.unit.transports.test_event import KEY, Stage, quick

CRM = Connection("crm", "shop")


async def outcomes(batch: Any, *inputs: Any) -> list[Any]:
    """What each call of a batch is answered, in order."""
    made = Stage({"quick": quick}, PRODUCTION, batch)
    calls = [made.call("quick", one) for one in inputs]
    for visit, call in enumerate(calls, 1):
        call.call.visit = visit
    try:
        made.transport.dispatch_batch(calls)
        posted: list[Any] = []
        while len(posted) < len(calls):
            posted += await made.mailbox.take(100)
        await made.transport.idle()
    finally:
        await made.transport.close()
    assert {one.key for one in posted} == {KEY}
    return [one.input for one in sorted(posted, key=lambda one: one.input.visit)]


async def test_each_call_has_its_own_answer() -> None:
    async def batch(calls: list[Any]) -> list[Any]:
        await asyncio.sleep(0)
        answers: list[Any] = [{"number": config.number} for config, _ in calls]
        return [answers[0], Retry("later", after_s=2), Reject("never"), 5]

    good, retry, reject, unfit = await outcomes(batch, *({"number": n} for n in range(4)))
    assert isinstance(good, Answered)
    assert good.result == {"number": 0}
    assert (retry.error.kind, retry.after_ms, retry.final) == ("retry", 2_000, False)
    assert (reject.error.kind, reject.final) == ("reject", True)
    assert (unfit.error.kind, unfit.final) == ("result", True)


async def test_parameters_that_do_not_fit_are_not_called_and_the_others_are() -> None:
    seen: list[int] = []

    async def batch(calls: list[Any]) -> list[Any]:
        seen.extend(config.number for config, _ in calls)
        return [{} for _ in calls]

    wrong, good = await outcomes(batch, {"number": "x"}, {"number": 2})
    assert wrong.error.kind == "input"
    assert isinstance(good, Answered)
    assert seen == [2]


@pytest.mark.parametrize("waits", [True, False])
async def test_what_a_batch_raises_is_a_failure_of_each(waits: bool) -> None:
    async def batch(calls: list[Any]) -> list[Any]:
        if waits:
            await asyncio.sleep(0)
        raise RuntimeError("no luck")

    found = await outcomes(batch, {}, {})
    assert [(one.error.kind, one.final) for one in found] == [("exception", False)] * 2


@pytest.mark.parametrize("given", [[], [{}], "no list", [{}, {}, {}]])
async def test_a_batch_that_does_not_answer_each_call_is_refused(given: Any) -> None:
    async def batch(calls: list[Any]) -> Any:
        return given

    found = await outcomes(batch, {}, {})
    assert [one.error.kind for one in found] == ["result", "result"]
    assert "a list of 2 answers" in found[0].error.message


async def test_a_module_without_a_batch_handler_is_told() -> None:
    [found] = await outcomes(None, {})
    assert isinstance(found, AttemptFailed)


# What the outgoing client tells


def call() -> Dispatched:
    nothing: Any = None
    return Dispatched(KEY, "run", nothing)


async def meet(*answers: Any, connection: Connection | None = CRM, calls: int = 1) -> Dispatched:
    """A call after requests with these answers."""
    met = [call() for _ in range(calls)]
    http = ReachingHttp(PreparedHttp(*answers), met)
    for _ in answers:
        with suppress(HttpFailed):
            await http.request("GET", "https://shop.example/", connection=connection)
    assert len({msgspec.json.encode(one) for one in met}) == 1
    return met[0]


GOOD = HttpResponse(200, {}, b"")
REFUSED = HttpFailed("no connection", unreachable=True)
BROKEN = HttpFailed("it broke")


@pytest.mark.parametrize(
    ("answers", "reached"),
    [
        ((GOOD,), "yes"),
        ((HttpResponse(500, {}, b""),), "yes"),
        ((HttpResponse(503, {}, b""),), "away"),
        ((REFUSED,), "no"),
        ((BROKEN,), "broken"),
        ((GOOD, REFUSED), "away"),  # the first one may have had an effect
        ((REFUSED, GOOD), "yes"),
        ((HttpFailed("refused address", permanent=True),), ""),
    ],
)
async def test_what_a_call_met_is_written_down(answers: Any, reached: str) -> None:
    met = await meet(*answers)
    assert (met.reached, met.requests) == (reached, len(answers))


async def test_a_batch_is_one_request_of_each_of_its_calls() -> None:
    met = await meet(REFUSED, calls=3)
    assert (met.reached, met.requests, met.trouble) == ("no", 1, "no connection")


async def test_requests_beside_the_connection_do_not_count() -> None:
    met = await meet(REFUSED, GOOD, connection=None)
    assert (met.reached, met.requests) == ("", 0)

"""Every transport keeps the promises of `engine.ports.Transport`; answers mean the same by each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec
import pytest

from beltline.core.inputs import Answered, AttemptFailed
from beltline.core.limits import PRODUCTION, Limits
from beltline.sdk.context import idempotency_key
from beltline.transports import http, lane
from tests.conformance.queue_kinds import Servers, queue_stand, started
from tests.conformance.transport_kinds import LOCAL, RUN, Stand
from tests.servers.call_brokers import CARRIERS

Stands = Callable[..., AbstractAsyncContextManager[Stand]]
pytestmark = pytest.mark.parametrize("kind", [*LOCAL, *CARRIERS])
SMALL = msgspec.structs.replace(
    PRODUCTION, result_bytes=2_000, module_answer_bytes=4_000, module_calls=3
)


@pytest.fixture(scope="module")
def brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with started(tmp_path_factory) as servers:
        yield servers


@pytest.fixture
def stand(kind: str, brokers: Servers) -> Stands:
    """Opens a stand of the kind."""

    def opened(limits: Limits = PRODUCTION) -> AbstractAsyncContextManager[Stand]:
        if kind in LOCAL:
            return LOCAL[kind](limits)
        return queue_stand(limits, brokers(kind))

    return opened


async def told(on: Stand, module: str, input: Any = None) -> tuple[str, str, bool, int | None]:
    """How a call failed: kind, reason, whether for good, and the earliest wait."""
    [answer] = await on.answers(on.call(module, input))
    assert isinstance(answer, AttemptFailed), answer
    return answer.error.kind, answer.error.message, answer.final, answer.after_ms


async def test_a_result_comes_back_as_its_module_declares_it(stand: Stands) -> None:
    async with stand() as on:
        [given] = await on.answers(on.call("echo", {"number": 7}))
        assert given == Answered("echo", 1, 1, {"number": 7, "text": ""}, 22)
        [plain] = await on.answers(on.call("plain", {"number": 7}))
        assert plain.result == {"number": 8, "text": ""}


async def test_a_handler_knows_its_attempt_its_key_and_its_deadline(
    stand: Stands,
) -> None:
    async with stand() as on:
        calls = [
            on.call("tell", visit=3, attempt=1),
            on.call("tell", visit=3, attempt=2, is_repeat=True),
        ]
        first, second = await on.answers(*calls)
    key = idempotency_key(RUN, "tell", 3)
    place = {"run": RUN, "step": "tell", "visit": 3, "key": key}
    for answer, attempt in ((first, 1), (second, 2)):
        deadline_ms = answer.result.pop("deadline_ms")
        assert abs(deadline_ms - calls[attempt - 1].call.deadline) < 1_000
        assert answer.result == {**place, "attempt": attempt, "repeat": attempt == 2}
    assert (first.attempt, second.attempt) == (1, 2)


async def test_retry_and_reject_are_typed(stand: Stands) -> None:
    async with stand() as on:
        assert await told(on, "busy") == ("retry", "busy", False, 1_500)
        assert await told(on, "later") == ("retry", "not yet", False, None)
        assert await told(on, "never") == ("reject", "unknown number", True, None)


async def test_an_exception_is_tried_again(stand: Stands) -> None:
    async with stand() as on:
        assert await told(on, "raises") == ("exception", "ValueError: no luck", False, None)


async def test_wrong_parameters_are_not_tried_again(stand: Stands) -> None:
    async with stand() as on:
        failure, text, final, _ = await told(on, "echo", {"number": "seven"})
    assert (failure, final) == ("input", True)
    assert "number" in text


async def test_what_a_module_does_not_declare_is_no_result(stand: Stands) -> None:
    async with stand() as on:
        failure, text, final, _ = await told(on, "other")
    assert (failure, final) == ("result", True)
    assert "declare" in text


async def test_a_result_that_is_too_large_or_too_deep_is_refused(stand: Stands) -> None:
    async with stand(SMALL) as on:
        assert (await told(on, "huge", {"number": 2_100}))[::2] == ("limit", True)
        assert (await told(on, "huge", {"number": 9_000}))[::2] == ("limit", True)
        assert (await told(on, "deep", {"number": 500}))[::2] == ("limit", True)
        [fits] = await on.answers(on.call("huge", {"number": 1_900}))
    assert len(fits.result["text"]) == 1_900


async def test_a_module_that_is_not_there_may_come_back(stand: Stands) -> None:
    async with stand() as on:
        failure, text, final, _ = await told(on, "gone")
    assert (failure, final) == ("module", False)
    assert "gone@1" in text


async def test_large_parameters_arrive_whole(stand: Stands) -> None:
    text = "ж" * 500_000
    async with stand() as on:
        [given] = await on.answers(on.call("echo", {"text": text}))
    assert given.result["text"] == text


async def test_many_at_once_are_each_answered_once(stand: Stands) -> None:
    async with stand() as on:
        calls = [on.call("echo", {"number": number}, visit=number) for number in range(1, 401)]
        answers = await on.answers(*calls)
        await on.transport.idle()
        assert on.transport.under_way() == 0
        assert not on.rest()
    assert [(one.visit, one.result["number"]) for one in answers] == [(n, n) for n in range(1, 401)]


async def test_a_handler_that_waits_holds_up_no_other_module(stand: Stands) -> None:
    async with stand(SMALL) as on:
        on.transport.dispatch([on.call("waits", visit=number) for number in range(1, 20)])
        await on.gate.have_entered(3)
        [quick] = await on.answers(on.call("echo", {"number": 5}, visit=99))
        assert quick.result["number"] == 5
        on.gate.open()
        assert [answer.visit for answer in await on.take(19)] == list(range(1, 20))
        if on.kind != "event":  # async handlers of the process share it without a bound
            assert on.gate.most == SMALL.module_calls


async def test_a_handler_that_hangs_is_let_go_of_after_its_deadline(
    stand: Stands, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (lane, http):
        monkeypatch.setattr(module, "GRACE_S", 0.0)
    async with stand() as on:
        on.transport.dispatch([on.call("waits", timeout_ms=50)])
        await on.transport.idle()
        [answer] = await on.take(1)
    assert isinstance(answer, AttemptFailed)
    assert not answer.final


async def test_a_repeated_call_has_the_same_key_and_an_answer_of_its_own(
    stand: Stands,
) -> None:
    async with stand() as on:
        call = on.call("tell")
        first, second = await on.answers(call, call)
    assert isinstance(first, Answered)
    assert isinstance(second, Answered)
    for answer in (first, second):
        del answer.result["deadline_ms"]  # each has what was left of its time when it came
    assert first.result == second.result
    assert (first.visit, first.attempt) == (second.visit, second.attempt)


async def test_nothing_is_answered_after_the_end(stand: Stands) -> None:
    async with stand() as on:
        on.transport.dispatch([on.call("waits")])
        await on.gate.have_entered(1)
        assert on.transport.under_way() == (0 if on.defers else 1)
        await on.close()
        assert not on.rest()


async def test_idle_waits_for_the_answers_that_are_out(stand: Stands) -> None:
    async with stand() as on:
        on.transport.dispatch([on.call("waits")])
        await on.gate.have_entered(1)
        on.gate.open()
        await on.transport.idle()
        assert on.transport.under_way() == 0
        [answer] = await on.take(1)
    assert isinstance(answer, Answered)


async def test_a_worker_that_dies_in_the_middle_costs_an_attempt(stand: Stands) -> None:
    async with stand() as on:
        if on.defers:
            pytest.skip("a broker keeps the call: test_queue_carriers.py")
        if on.outage is None:
            pytest.skip("handlers are in this process: they die with the hub")
        on.transport.dispatch([on.call("waits", {"number": 4})])
        await on.gate.have_entered(1)
        await on.outage.begin()
        [lost] = await on.take(1)
        assert isinstance(lost, AttemptFailed)
        assert not lost.final
        [refused] = await on.answers(on.call("waits", attempt=2))
        assert (refused.error.kind, refused.final) == ("transport", False)
        await on.outage.end()
        on.gate.open()
        [answer] = await on.answers(on.call("waits", {"number": 4}, attempt=3))
    assert answer.result["number"] == 4

"""The event transport: whatever a handler does, the other calls are answered."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from beltline.catalog.catalog import Catalog
from beltline.core.inputs import Answered, AttemptFailed
from beltline.core.limits import PRODUCTION, TINY, Limits
from beltline.core.model import Step
from beltline.core.template import compile_value
from beltline.core.turn import Call
from beltline.egress.client import OutgoingClient
from beltline.engine.ports import Dispatched, Posted
from beltline.logs import Redaction
from beltline.loop import AsyncioMailbox
from beltline.sdk import Config, Connection, Context, Module, Reject, Retry, Secret
from beltline.transports import lane
from beltline.transports.event import EventTransport, Surroundings

KEY = b"k" * 16


class NumberConfig(Config):
    number: int = 0


class Log:
    """Keeps what was told."""

    def __init__(self) -> None:
        self.warnings: list[tuple[str, dict[str, Any]]] = []

    def info(self, event: str, **fields: Any) -> None: ...

    def warning(self, event: str, **fields: Any) -> None:
        self.warnings.append((event, fields))


class Stage:
    """A transport with modules by name, and a way to call them."""

    def __init__(self, modules: dict[str, Any], limits: Limits, batch: Any = None) -> None:
        self.mailbox = AsyncioMailbox()
        self.log = Log()
        unused: Any = None
        catalog = Catalog(
            Module(
                name=name,
                version=1,
                summary="",
                category="site",
                icon="",
                effect="idempotent",
                config=NumberConfig,
                output=dict[str, Any],
                handler=handler,
                batch=batch,
                examples=(),
            )
            for name, handler in modules.items()
        )
        self.transport = EventTransport(
            catalog.invocation,
            Surroundings(
                OutgoingClient,
                unused,
                lambda run, step: self.log,
                self._connection,
                unused,
                Redaction(["canary-of-the-tests"]).clean,
            ),
            self.mailbox,
            limits,
        )

    def _connection(self, name: str) -> Connection | None:
        if name == "shop":
            return Connection("shop", "http", secret=Secret("canary-of-the-tests"))
        raise LookupError(f"the secret of {name} is not set")

    def call(self, module: str, input: Any = None, **step: Any) -> Dispatched:
        template, _ = compile_value({}, frozenset(), ())
        made = Step(module, module, f"{module}@1", "idempotent", template, **step)
        return Dispatched(KEY, "run", Call(made, 1, 1, {} if input is None else input, 0))

    async def answers(self, *calls: Dispatched) -> dict[str, Any]:
        """Dispatches, and waits for as many answers: step -> answer."""
        self.transport.dispatch(list(calls))
        return await self.wait_for(len(calls))

    async def wait_for(self, count: int) -> dict[str, Any]:
        posted: list[Posted] = []
        while len(posted) < count:
            posted.extend(await self.mailbox.take(100))
        answers: list[Any] = [one.input for one in posted]
        return {answer.step: answer for answer in answers}


@asynccontextmanager
async def stage(limits: Limits = PRODUCTION, **modules: Callable[..., Any]) -> AsyncIterator[Stage]:
    made = Stage({name.replace("_", "-"): handler for name, handler in modules.items()}, limits)
    try:
        yield made
    finally:
        await made.transport.close()


def nested(depth: int) -> Any:
    made: Any = None
    for _ in range(depth):
        made = [made]
    return made


async def quick(config: NumberConfig, context: Context) -> dict[str, Any]:
    return {"number": config.number}


async def test_results_come_back_as_plain_json() -> None:
    async def dated(config: NumberConfig, context: Context) -> Any:
        return {"pair": (1, 2), "key": context.key}

    async with stage(quick=quick, dated=dated) as made:
        found = await made.answers(made.call("quick", {"number": 7}), made.call("dated"))
    assert found["quick"] == Answered("quick", 1, 1, {"number": 7}, len(b'{"number":7}'))
    assert found["dated"].result["pair"] == [1, 2]
    assert len(found["dated"].result["key"]) == 32


async def test_what_a_handler_gives_is_without_the_secrets_of_connections() -> None:
    def secret(context: Context) -> str:
        assert context.connection is not None
        assert context.connection.secret is not None
        return context.connection.secret.reveal()

    async def echoes(config: NumberConfig, context: Context) -> Any:
        return {"of": ["the server said: " + secret(context)], secret(context): 1}

    async def raises(config: NumberConfig, context: Context) -> Any:
        await asyncio.sleep(0)
        raise ValueError(f"https://shop.test/{secret(context)}/orders")

    def plain(config: NumberConfig, context: Context) -> Any:
        return Reject(f"{secret(context)} is wrong")

    async with stage(echoes=echoes, raises=raises, plain=plain) as made:
        calls = [made.call(name, connection="shop") for name in ("echoes", "raises", "plain")]
        found = await made.answers(*calls)
    assert found["echoes"].result == {"of": ["the server said: [secret]"], "[secret]": 1}
    assert found["raises"].error.message == "ValueError: https://shop.test/[secret]/orders"
    assert found["plain"].error.message == "[secret] is wrong"


async def test_a_handler_that_waits_gives_way_to_the_others() -> None:
    release = asyncio.Event()

    async def waits(config: NumberConfig, context: Context) -> dict[str, Any]:
        nonlocal release
        release, loop = asyncio.Event(), asyncio.get_running_loop()
        opened.append((loop, release))
        async with asyncio.timeout(30):  # belongs to this handler's task, also after the wait
            await release.wait()
        return {}

    opened: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
    async with stage(waits=waits, quick=quick) as made:
        made.transport.dispatch([made.call("waits"), made.call("quick")])
        assert set(await made.wait_for(1)) == {"quick"}
        loop, event = opened[0]
        loop.call_soon_threadsafe(event.set)
        assert set(await made.wait_for(1)) == {"waits"}


@pytest.mark.parametrize("raised", [RuntimeError, SystemExit, KeyboardInterrupt, GeneratorExit])
@pytest.mark.parametrize("is_plain", [True, False])
async def test_whatever_is_raised_is_that_call_s_failure(
    raised: type[BaseException], is_plain: bool
) -> None:
    async def raises(config: NumberConfig, context: Context) -> dict[str, Any]:
        raise raised("no")

    def plainly(config: NumberConfig, context: Context) -> dict[str, Any]:
        raise raised("no")

    async with stage(raises=plainly if is_plain else raises, quick=quick) as made:
        found = await made.answers(made.call("raises"), made.call("quick"))
    assert found["raises"].error.kind == "exception"
    assert raised.__name__ in found["raises"].error.message
    assert not found["raises"].final
    assert isinstance(found["quick"], Answered)


async def test_raising_after_a_wait_is_a_failure_too() -> None:
    async def raises(config: NumberConfig, context: Context) -> dict[str, Any]:
        await asyncio.sleep(0)
        raise SystemExit

    async with stage(raises=raises, quick=quick) as made:
        found = await made.answers(made.call("raises"), made.call("quick"))
        assert found["raises"].error.message == "SystemExit"
        assert isinstance((await made.answers(made.call("quick")))["quick"], Answered)


async def test_a_plain_function_that_blocks_holds_up_nobody() -> None:
    blocked, release = threading.Semaphore(0), threading.Event()

    def blocks(config: NumberConfig, context: Context) -> dict[str, Any]:
        blocked.release()
        release.wait(30)
        return {}

    def other(config: NumberConfig, context: Context) -> dict[str, Any]:
        return {}

    limits = msgspec.structs.replace(PRODUCTION, handler_threads=3, handlers_per_module=2)
    async with stage(limits, blocks=blocks, other=other, quick=quick) as made:
        try:
            made.transport.dispatch([made.call("blocks") for _ in range(9)])
            for _ in range(2):  # its whole share of the threads is taken
                await asyncio.to_thread(blocked.acquire)
            found = await made.answers(made.call("other"), made.call("quick"))
            assert set(found) == {"other", "quick"}
        finally:
            release.set()
        assert set(await made.wait_for(9)) == {"blocks"}
        await made.transport.idle()
        assert made.transport.under_way() == 0


async def test_an_async_handler_that_blocks_is_left_by_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lane, "STUCK_S", 0.05)
    blocked, release = threading.Event(), threading.Event()

    async def blocks(config: NumberConfig, context: Context) -> dict[str, Any]:
        blocked.set()
        release.wait(30)
        return {}

    async with stage(blocks=blocks, quick=quick) as made:
        try:
            made.transport.dispatch([made.call("blocks"), made.call("quick")])
            await asyncio.to_thread(blocked.wait)
            assert set(await made.wait_for(1)) == {"quick"}
            [(event, fields)] = made.log.warnings
            assert ("blocks its thread" in event, fields) == (True, {"module": "blocks@1"})
            # It runs in the pool from now on, where it blocks only itself.
            made.transport.dispatch([made.call("blocks"), made.call("quick")])
            assert set(await made.wait_for(1)) == {"quick"}
        finally:
            release.set()
        await made.transport.idle()
        assert set(await made.wait_for(2)) == {"blocks"}


async def test_retry_and_reject_say_what_follows() -> None:
    async def later(config: NumberConfig, context: Context) -> Retry:
        return Retry("busy", after_s=1.5)

    async def never(config: NumberConfig, context: Context) -> Reject:
        return Reject("unknown number")

    async with stage(later=later, never=never) as made:
        found = await made.answers(made.call("later"), made.call("never"))
    assert (found["later"].error.kind, found["later"].after_ms) == ("retry", 1500)
    assert not found["later"].final
    assert (found["never"].error.kind, found["never"].final) == ("reject", True)


async def test_what_is_no_json_or_too_much_is_refused() -> None:
    async def odd(config: NumberConfig, context: Context) -> Any:
        return {"half": "\ud800"}

    async def strange(config: NumberConfig, context: Context) -> Any:
        return object()

    async def deep(config: NumberConfig, context: Context) -> Any:
        return {"deep": nested(100_000)}

    async def deeper_than_allowed(config: NumberConfig, context: Context) -> Any:
        return {"deep": nested(PRODUCTION.result_depth)}

    async def huge(config: NumberConfig, context: Context) -> Any:
        return {"text": "x" * PRODUCTION.result_bytes}

    modules = {"odd": odd, "strange": strange, "deep": deep, "huge": huge}
    async with stage(PRODUCTION, **modules, deeper=deeper_than_allowed) as made:
        found = await made.answers(*(made.call(name) for name in (*modules, "deeper")))
    kinds = {name: (answer.error.kind, answer.final) for name, answer in found.items()}
    assert kinds == {
        "odd": ("result", True),
        "strange": ("result", True),
        "deep": ("result", True),
        "huge": ("limit", True),
        "deeper": ("limit", True),
    }
    assert "result_bytes" in found["huge"].error.message


async def test_what_a_handler_tells_is_taken_with_care() -> None:
    class Unprintable:
        def __str__(self) -> str:
            raise RuntimeError("no")

    async def rejects(config: NumberConfig, context: Context) -> Reject:
        return Reject(Unprintable())  # type: ignore[arg-type]

    async def raises(config: NumberConfig, context: Context) -> dict[str, Any]:
        raise ValueError("half \ud800")

    async def waits(config: NumberConfig, context: Context) -> Retry:
        return Retry("later", after_s=float("inf"))

    async def lists(config: NumberConfig, context: Context) -> Any:
        return [1]

    async with stage(rejects=rejects, raises=raises, waits=waits, lists=lists) as made:
        found = await made.answers(*(made.call(n) for n in ("rejects", "raises", "waits", "lists")))
    told = {name: (answer.error.kind, answer.error.message) for name, answer in found.items()}
    assert told == {
        "rejects": ("reject", "a Unprintable that cannot be printed"),
        "raises": ("exception", "ValueError: half ?"),
        "waits": ("result", "Retry.after_s must be zero or more seconds"),
        "lists": ("result", "the handler gave list, which its module does not declare"),
    }


async def test_wrong_parameters_and_unknown_modules_are_told() -> None:
    async with stage(quick=quick) as made:
        found = await made.answers(
            made.call("quick", {"number": "seven"}), made.call("gone"), made.call("gone-too")
        )
    assert found["quick"].error.kind == "input"
    assert "number" in found["quick"].error.message
    assert found["quick"].final
    assert (found["gone"].error.kind, found["gone"].final) == ("module", False)


async def test_a_connection_that_cannot_be_had_fails_its_call_alone() -> None:
    async with stage(quick=quick) as made:
        found = await made.answers(made.call("quick", connection="crm"))
        assert "the secret of crm is not set" in found["quick"].error.message
        assert isinstance((await made.answers(made.call("quick")))["quick"], Answered)


async def test_pure_handlers_run_in_place_and_must_not_wait() -> None:
    async def waits(config: NumberConfig, context: Context) -> dict[str, Any]:
        await asyncio.sleep(0)
        return {}

    async with stage(quick=quick, waits=waits) as made:
        assert made.transport.call_inline(made.call("quick", {"number": 3})) == Answered(
            "quick", 1, 1, {"number": 3}, 12
        )
        answer = made.transport.call_inline(made.call("waits"))
        assert isinstance(answer, AttemptFailed)
        assert answer.error.message == "a pure module must not wait"


async def test_a_handler_that_hangs_is_let_go_of_after_its_timeout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lane, "GRACE_S", 0.0)

    async def hangs(config: NumberConfig, context: Context) -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    async with stage(hangs=hangs) as made:
        found = await made.answers(made.call("hangs", timeout_ms=1))
        assert found["hangs"].error.message == "TimeoutError"


async def test_a_library_that_is_missing_is_not_waited_for() -> None:
    async def needs(config: NumberConfig, context: Context) -> Any:
        raise ModuleNotFoundError("No module named 'phonenumbers'", name="phonenumbers")

    async with stage(needs=needs) as made:
        answer = (await made.answers(made.call("needs")))["needs"]
    assert answer.final
    assert answer.error.message == "the library phonenumbers is not installed where the module runs"


async def test_the_bounds_of_modules_are_those_of_the_hub() -> None:
    async def tells(config: NumberConfig, context: Context) -> Any:
        return {"rows": context.bounds.module_rows, "left": context.time_left_s()}

    async with stage(TINY, tells=tells) as made:
        found = await made.answers(made.call("tells"))
    assert found["tells"].result == {"rows": TINY.module_rows, "left": 0}

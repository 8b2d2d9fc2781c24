"""The work as a DBOS Transact workflow, in the three ways in which its documentation runs many.

`queue`    a backlog that was enqueued before, taken from a queue by this process
`threads`  `start_workflow`: each workflow in a thread of DBOS's pool
`async`    `start_workflow_async`: each workflow a coroutine

Time runs from the first step's start to the moment when the database says that every workflow has
succeeded; launching and enqueueing are left out. Afterwards the tables are read: every workflow
must have succeeded, with all of its steps recorded.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import closing
from importlib.metadata import version
from typing import Any

import sqlalchemy as sa
from dbos import DBOS, DBOSConfig

from bench import lead

QUEUE = "leads"
POLL_S = 0.01  # of the queue; DBOS's own default is 1 s

normalise = DBOS.step()(lead.normalise)
find_contact = DBOS.step()(lead.find_contact)
set_defaults = DBOS.step()(lead.set_defaults)
get_deal = DBOS.step()(lead.get_deal)
remember = DBOS.step()(lead.remember)
notify = DBOS.step()(lead.notify)


def _step_of_coroutine(work: Callable[..., Any]) -> Any:
    """The same step for a workflow that is a coroutine."""

    async def step(*args: Any) -> Any:
        return work(*args)

    step.__name__ = step.__qualname__ = f"{work.__name__}_async"
    return DBOS.step()(step)


normalise_async = _step_of_coroutine(lead.normalise)
find_contact_async = _step_of_coroutine(lead.find_contact)
set_defaults_async = _step_of_coroutine(lead.set_defaults)
get_deal_async = _step_of_coroutine(lead.get_deal)
remember_async = _step_of_coroutine(lead.remember)
notify_async = _step_of_coroutine(lead.notify)


class Stopwatch:
    """Starts with the first workflow that begins, and counts those that have come to their end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.expected = 0
        self.began_at = 0.0
        self._ended = 0
        self.all_ended = threading.Event()

    def begin(self) -> None:
        """A workflow begins."""
        if not self.began_at:
            with self._lock:
                self.began_at = self.began_at or time.perf_counter()

    def end(self) -> None:
        """A workflow has done its last step."""
        with self._lock:
            self._ended += 1
            if self._ended == self.expected:
                self.all_ended.set()


_watch = Stopwatch()


def _carry(request: dict[str, Any]) -> str:
    _watch.begin()
    tidy = normalise(request["name"], request["phone"], request["email"])
    contact = find_contact(tidy["phone"])
    if "ID" in contact:
        get_deal(contact["deal"])
    else:
        set_defaults(tidy["name"])
    remember(tidy["phone"], request["lead_id"])
    notify(tidy["name"], request["lead_id"])
    _watch.end()
    return "done"


async def _carry_async(request: dict[str, Any]) -> str:
    _watch.begin()
    tidy = await normalise_async(request["name"], request["phone"], request["email"])
    contact = await find_contact_async(tidy["phone"])
    if "ID" in contact:
        await get_deal_async(contact["deal"])
    else:
        await set_defaults_async(tidy["name"])
    await remember_async(tidy["phone"], request["lead_id"])
    await notify_async(tidy["name"], request["lead_id"])
    _watch.end()
    return "done"


carry = DBOS.workflow()(_carry)
carry_async = DBOS.workflow()(_carry_async)


def _from_queue(config: DBOSConfig, leads: list[dict[str, Any]], at_once: int) -> None:
    """Takes a backlog that an earlier launch has enqueued."""
    DBOS(config=config)
    DBOS.listen_queues([])
    DBOS.launch()
    DBOS.register_queue(QUEUE, worker_concurrency=at_once, polling_interval_sec=POLL_S)
    for request in leads:
        DBOS.enqueue_workflow(QUEUE, carry, request)
    DBOS.destroy()
    DBOS(config=config)
    DBOS.launch()
    _watch.all_ended.wait()


def _by_threads(config: DBOSConfig, leads: list[dict[str, Any]], at_once: int) -> None:
    """Starts workflows in threads, as many at once as there is room for."""
    DBOS(config={**config, "max_executor_threads": at_once})
    DBOS.launch()
    for request in leads:
        DBOS.start_workflow(carry, request)
    _watch.all_ended.wait()


def _by_coroutines(config: DBOSConfig, leads: list[dict[str, Any]], at_once: int) -> None:
    """Starts workflows as coroutines, as many at once as there is room for."""
    DBOS(config=config)
    DBOS.launch()

    async def start_all() -> None:
        room = asyncio.Semaphore(at_once)

        async def start(request: dict[str, Any]) -> None:
            async with room:
                handle = await DBOS.start_workflow_async(carry_async, request)
                await handle.get_result()

        await asyncio.gather(*(start(request) for request in leads))

    asyncio.run(start_all())


WAYS: dict[str, Callable[[DBOSConfig, list[dict[str, Any]], int], None]] = {
    "queue": _from_queue,
    "threads": _by_threads,
    "async": _by_coroutines,
}


def run(
    way: str,
    workflows: int,
    at_once: int,
    database: sa.URL,
    config: DBOSConfig,
    schema: str | None = None,
) -> dict[str, Any]:
    """Carries `workflows` leads through the workflow, so many `at_once`, and verifies what the
    database holds.

    `schema` is that of its tables. Raises `RuntimeError` where a workflow or a
    step is missing.
    """
    _watch.expected = workflows
    leads = [lead.lead(number) for number in range(workflows)]
    engine = sa.create_engine(database)
    WAYS[way](config, leads, at_once)
    succeeded = 0
    while succeeded < workflows:
        succeeded, steps = _recorded(engine, schema)
    seconds = time.perf_counter() - _watch.began_at
    DBOS.destroy()
    succeeded, steps = _recorded(engine, schema)
    engine.dispose()
    if (succeeded, steps) != (workflows, workflows * lead.STEPS):
        raise RuntimeError(
            f"{succeeded} of {workflows} workflows succeeded, with {steps} steps recorded"
        )
    return {
        "dbos": version("dbos"),
        "way": way,
        "workflows": workflows,
        "steps": steps,
        "seconds": seconds,
        "steps_per_s": steps / seconds,
        "at_once": at_once,
    }


def _recorded(engine: sa.Engine, schema: str | None) -> tuple[int, int]:
    """How many workflows have succeeded, and how many steps are recorded."""
    status = sa.table("workflow_status", sa.column("status"), schema=schema)
    outputs = sa.table("operation_outputs", sa.column("error"), schema=schema)
    count = sa.select(sa.func.count())
    with closing(engine.connect()) as connection:
        succeeded = connection.execute(
            count.select_from(status).where(status.c.status == "SUCCESS")
        ).scalar_one()
        steps = connection.execute(
            count.select_from(outputs).where(outputs.c.error.is_(None))
        ).scalar_one()
    return succeeded, steps

"""Leads that each need three CRM calls, through a portal of 2 requests a second: in real time with
the local portal, or on a virtual clock with the portal's own arithmetic of its limit.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import uvicorn

from beltline.composition import running_hub
from beltline.core.inputs import Answer, Answered
from beltline.core.limits import PRODUCTION
from beltline.core.model import Step
from beltline.engine.call_rules import CallRule
from beltline.engine.intake import Intake
from beltline.engine.limit_store import Rule
from beltline.engine.node import Definitions, Node
from beltline.engine.ports import Dispatched, Posted
from beltline.engine.records import NewRequest, StoredVersion
from beltline.publishing import publish_files
from beltline.settings import open_home
from bench.measured import process
from bitrix24_portal import Portal, PortalSettings, create_app
from bitrix24_portal.limits import RateLimit
from tests.simulation import workload
from tests.simulation.disk import Disk
from tests.simulation.ports import SimulatedBell, SimulatedClock, SimulatedMailbox, SimulatedReply
from tests.simulation.processes import SimulatedProcesses
from tests.simulation.scheduler import START_MS, Scheduler
from tests.simulation.store import SimulatedStore

RATE, BURST, TOGETHER = 2.0, 50, 50
CALLS = 3  # of a lead
LATENCY_MS = 400  # of the portal, for a batch

PROCESS = """
process: leads
steps:
  - id: add
    module: bitrix24.add-lead
    connection: crm
    with: {title: "Lead {{ request.n }}", phone: "79161234567"}
    next: [comment]
  - id: comment
    module: bitrix24.add-comment
    connection: crm
    with: {id: "{{ add.ID }}", entity: lead, comment: "A call from the site."}
    next: [read]
  - id: read
    module: bitrix24.call
    connection: crm
    with: {method: crm.lead.get, params: {id: "{{ add.ID }}"}}
"""


def one_at_a_time_s(leads: int) -> float:
    """What the arithmetic of one call at a time allows: a full burst, then the rate."""
    return (leads * CALLS - BURST) / RATE


# In real time


@asynccontextmanager
async def serving(portal: Portal) -> AsyncIterator[int]:
    """The portal on loopback; its port."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=256)
    config = uvicorn.Config(create_app(portal), log_level="critical", access_log=False)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:  # noqa: ASYNC110 - uvicorn has nothing to wait for
        await asyncio.sleep(0.01)
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        await task


def write_home(home: Path, port: int) -> None:
    """A home with the process, and the portal as its connection."""
    limits = f"limits: {{rate: {RATE:g}/s, burst: {BURST}, batch: {TOGETHER}}}"
    texts = {
        "processes/leads.yaml": PROCESS,
        "sources/leads.yaml": "source: leads\nkind: webhook\nprocess: leads\nverify: none\n",
        "connections/crm.yaml": (
            f"connection: crm\nkind: bitrix24\naddress: http://127.0.0.1:{port}/rest/1/\n"
            f'secret: "${{BENCH_PORTAL}}"\nprivate_addresses: allow\n{limits}\n'
        ),
    }
    for name, text in texts.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text, encoding="utf-8")


async def in_real_time(folder: Path, leads: int) -> dict[str, Any]:
    """Moves the leads through the hub and the local portal, which both begin anew."""
    os.environ["BENCH_PORTAL"] = "local"
    settings = PortalSettings(data=folder / "portal.db", rate_per_s=RATE, burst=BURST)
    async with serving(Portal(settings)) as port:
        portal_home = folder / "home"
        write_home(portal_home, port)
        async with running_hub(open_home(portal_home)) as running:
            await publish_files(open_home(portal_home), running.processes)
            usage = process.Usage()
            version_id, compiled = running.processes.newest("leads")
            intake = running.node.intake
            await asyncio.gather(
                *(intake.submit(request(intake, n), version_id, compiled) for n in range(leads))
            )
            counts = await running.store.counts()
            while len(running.node.runs) or counts["ready"] or await unfinished(running.store):
                await asyncio.sleep(0.02)
                counts = await running.store.counts()
            seconds, cpu_s = usage.since()
            runs = await running.store.counts()
        ledger = ledger_of(settings)
    return {
        "seconds": seconds,
        "cpu_s": cpu_s,
        "leads": leads,
        "requests": ledger["requests"],
        "limit_errors": ledger["limit_errors"],
        "stopped": runs["stopped"],
    }


async def unfinished(store: Any) -> bool:
    """Whether any run has not ended."""
    return await store.next_ready_at() is not None


def ledger_of(settings: PortalSettings) -> dict[str, int]:
    """What the portal saw: its requests, and those that it refused for its limit."""
    portal = Portal(settings)
    calls: list[dict[str, Any]] = []
    while page := portal.ledger(after=calls[-1]["id"] if calls else 0, method=None):
        calls += page
    portal.close()
    whole = [call for call in calls if not call.get("batch")]
    refused = [call for call in calls if "QUERY_LIMIT_EXCEEDED" in json.dumps(call)]
    return {"requests": len(whole), "limit_errors": len(refused)}


def request(intake: Intake, number: int) -> NewRequest:
    """One lead."""
    key, now = intake.new_key()
    body = json.dumps({"n": number}).encode()
    return NewRequest(key, "leads", "leads", now, body, b"{}", body_hash=body)


# On a virtual clock


class VirtualPortal:
    """A transport whose other side counts as the portal does, and answers after a while."""

    def __init__(self, scheduler: Scheduler, mailbox: SimulatedMailbox) -> None:
        self._scheduler = scheduler
        self._mailbox = mailbox
        self._limit = RateLimit(RATE, BURST)
        self.requests = self.limit_errors = 0
        self.sizes: Counter[int] = Counter()

    def dispatch(self, calls: list[Dispatched]) -> None:
        """One request each."""
        for call in calls:
            self.dispatch_batch([call])

    def dispatch_batch(self, calls: list[Dispatched]) -> None:
        """One request for all."""
        self.requests += 1
        self.sizes[len(calls)] += 1
        self.limit_errors += not self._limit.admit("hub", self._scheduler.now / 1_000)
        answers = [
            Posted(call.key, Answered(call.call.step.id, call.call.visit, call.call.attempt, {}, 2))
            for call in calls
        ]
        at = self._scheduler.now + LATENCY_MS
        self._scheduler.at(at, lambda: self._mailbox.post(answers))

    def call_inline(self, call: Dispatched) -> Answer:
        """No step of the leads is pure."""
        raise AssertionError(call.call.step.id)


class PortalRules:
    """One connection for all steps, whose calls of one step go together."""

    def of(self, step: Step) -> CallRule:
        """The rule."""
        name = "connection crm"
        limits = (Rule(name, RATE, BURST),)
        return CallRule(name, limits, batch=step.id, batch_most=TOGETHER, has_breaker=True)


def on_a_virtual_clock(leads: int) -> dict[str, Any]:
    """The engine's own code between a simulated store and the portal's arithmetic."""
    steps = [workload.step(id, next_=[after]) for id, after in (("a", "b"), ("b", "c"))]
    steps.append(workload.step("c"))
    for step in steps:
        step["timeout"] = "30s"
    text = json.dumps({"process": "leads", "steps": steps})
    scheduler = Scheduler(Random(0), tick=0)
    clock, mailbox, disk = SimulatedClock(scheduler), SimulatedMailbox(scheduler), Disk()
    disk.versions.append(StoredVersion(1, "leads", 1, "json", text, "", START_MS))
    portal = VirtualPortal(scheduler, mailbox)

    async def pause(_moment: str) -> None:
        await scheduler.pause()

    node = Node(
        store=SimulatedStore(disk, pause, now=clock.now),
        transport=portal,
        definitions=Definitions(SimulatedProcesses(disk.versions, scheduler), {}, PortalRules()),
        mailbox=mailbox,
        clock=clock,
        entropy=Random(1).randbytes,
        new_bell=partial(SimulatedBell, scheduler, clock),
        new_reply=partial(SimulatedReply, scheduler),
        report=lambda event, run, reason: None,
        limits=PRODUCTION,
    )
    compiled = workload.compiled(text, "leads", 1)

    async def send(number: int) -> None:
        await node.intake.submit(request(node.intake, number), 1, compiled)

    async def start() -> None:
        await node.join()
        for coroutine in node.coroutines():
            scheduler.spawn("engine", coroutine, is_inside=True)
        for number in range(leads):
            scheduler.spawn("sender", send(number), is_inside=True)

    scheduler.spawn("start", start(), is_inside=True)
    done = 0
    while done < leads:
        scheduler.step()
        if scheduler.is_idle:
            done = sum(row.status == "completed" for row in disk.runs.values())
    return {
        "seconds": (scheduler.now - START_MS) / 1_000,
        "leads": leads,
        "requests": portal.requests,
        "limit_errors": portal.limit_errors,
        "mean_size": sum(size * n for size, n in portal.sizes.items()) / portal.requests,
        "journal_rows": sum(len(rows) for rows in disk.journal.values()),
    }


def main() -> None:
    """Measures one of the two."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--leads", type=int, required=True)
    parser.add_argument("--folder", type=Path, help="in real time; without it on a virtual clock")
    options = parser.parse_args()
    if options.folder is None:
        print(json.dumps(on_a_virtual_clock(options.leads)))
    else:
        process.run(in_real_time(options.folder, options.leads))


if __name__ == "__main__":
    main()

"""A source with a rate, which goes through all nodes of a round: its home's files, its senders, and
what is seen of it: when each request left its buffer, and when it was first called for.

A trigger of the test's own notes what leaves the table of held requests, by the database's clock,
in the transaction that takes it out.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import asyncpg
import msgspec

from tests.fleet.evidence import Evidence

AT_MOST, EVERY_S = 12, 2.0
SOURCE = f"""\
source: leads
kind: webhook
process: lead
verify: none
identity: {{by: "{{{{ request.number }}}}", window: 24h}}
release: {{at_most: {AT_MOST}, every: {EVERY_S:g}s}}
"""
PROCESS = """\
process: lead
defaults:
  retry: {attempts: 3, first: 100ms, max: 1s}
  timeout: 20s
steps:
  - {id: note, module: ledger, with: {number: "{{ request.number }}"}}
"""
NOTE_DEPARTURES = """
CREATE TABLE public.departure (
    key uuid NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE FUNCTION public.note_departure() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.departure (key) VALUES (OLD.key);
    RETURN NULL;
END $$;
CREATE TRIGGER note_departure AFTER DELETE ON beltline.held
    FOR EACH ROW EXECUTE FUNCTION public.note_departure();
"""
DEPARTURES = "SELECT key, extract(epoch FROM clock_timestamp() - at)::float8 FROM public.departure"
REQUESTS = "SELECT key FROM beltline.request WHERE source = 'leads'"
ANSWER_S = 4.0
AGAIN_S = 0.1


class Leads(msgspec.Struct):
    """All that is known of them. Ids are those of requests; times are seconds of the machine's
    monotonic clock. `told` is number -> id, `called` has the first call for each.
    """

    told: dict[str, str] = {}
    requests: set[str] = set()
    completed: dict[str, int] = {}  # how often each run's step was
    departures: list[tuple[float, str]] = []
    called: list[tuple[float, str]] = []


def write_source(home: Path) -> None:
    """Adds the source and its process to a home."""
    (home / "processes" / "lead.yaml").write_text(PROCESS, encoding="utf-8")
    (home / "sources" / "leads.yaml").write_text(SOURCE, encoding="utf-8")


async def note_departures(database: str) -> None:
    """Has everything that leaves a buffer noted from now on."""
    db = await asyncpg.connect(database)
    try:
        await db.execute(NOTE_DEPARTURES)
    finally:
        await db.close()


async def send_leads(leads: Leads, addresses: Sequence[str], number: int) -> None:
    """Sends so many at once, one node after the other, each until it is acknowledged."""
    timeout = aiohttp.ClientTimeout(ANSWER_S)
    async with aiohttp.ClientSession(timeout=timeout) as session, asyncio.TaskGroup() as group:
        for one in range(number):
            group.create_task(_send(leads, session, addresses, one))


async def _send(
    leads: Leads, session: aiohttp.ClientSession, addresses: Sequence[str], number: int
) -> None:
    tries = number
    while str(number) not in leads.told:
        address = addresses[tries % len(addresses)]
        tries += 1
        try:
            body = {"number": str(number)}
            async with session.post(f"{address}/in/leads", json=body) as answer:
                if answer.status == 202:
                    leads.told[str(number)] = json.loads(await answer.text())["request"]
                    return
        except (aiohttp.ClientError, TimeoutError, OSError):
            pass  # the next node may be there
        await asyncio.sleep(AGAIN_S)


async def gather_leads(leads: Leads, database: str, evidence: Evidence) -> Evidence:
    """Reads what is there of them, and gives the evidence of all others."""
    db = await asyncpg.connect(database)
    try:
        leads.requests = {str(key) for (key,) in await db.fetch(REQUESTS)}
        rows = await db.fetch(DEPARTURES)
        now = time.monotonic()
    finally:
        await db.close()
    own = leads.requests
    leads.departures = sorted((now - since, str(key)) for key, since in rows)
    first: dict[str, float] = {}
    for call in evidence.calls:
        if call.where.run in own:
            first[call.where.run] = min(call.at, first.get(call.where.run, call.at))
    leads.called = sorted((at, run) for run, at in first.items())
    leads.completed = {
        run: journal.counts["step-completed", "note 1"]
        for run, journal in evidence.journals.items()
        if run in own
    }
    return msgspec.structs.replace(
        evidence,
        ended={run: status for run, status in evidence.ended.items() if run not in own},
        open_runs={run: text for run, text in evidence.open_runs.items() if run not in own},
        requests=evidence.requests - own,
        journals={run: one for run, one in evidence.journals.items() if run not in own},
        calls=[call for call in evidence.calls if call.where.run not in own],
    )

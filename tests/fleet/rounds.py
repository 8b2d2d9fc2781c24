"""A round: four nodes, thousands of orders, faults; then calm, and the time until all has ended.

orders ──> nodes ──> database        while faults befall nodes, links and the database
the last fault                       everything is whole again
every run at its end                 within 30 s of it
the judge                            holds journals and ledgers against the book
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext
from ipaddress import IPv4Interface
from pathlib import Path

import asyncpg
import msgspec

from tests.fleet.book import Book, send_all
from tests.fleet.evidence import Spell, gather
from tests.fleet.judge import Verdict, compare
from tests.fleet.leads import (
    AT_MOST,
    EVERY_S,
    Leads,
    gather_leads,
    note_departures,
    send_leads,
    write_source,
)
from tests.fleet.links import Links, namespaces, proxies, way_of
from tests.fleet.node import ROOT, FleetNode
from tests.fleet.plan import Fault, draw
from tests.fleet.rate_judge import judge_rate
from tests.kill.home import write_home
from tests.servers.ports import free_ports
from tests.servers.postgres import PostgresServer, postgres

NODES = 4
ORDERS = 10_000
LEADS = 132  # which go by a rate for somewhat longer than the faults
SPAN_S = 18.0
LEASE_S = 2.0
GRACE_S = 1.0
REST_S = 30.0
GIVE_UP_S = 90.0
PER_S = 550.0  # so that the load goes on for as long as the faults
AT_ONCE = 256  # many of them wait for a node that is paused
LEFT = "SELECT (SELECT count(*) FROM beltline.run) + (SELECT count(*) FROM beltline.held)"
SLACK_S = LEASE_S + 2.0  # how long after a fault its traces may show


class Stage(msgspec.Struct):
    """Where rounds are played: a server, and the links to it."""

    server: PostgresServer
    links: Links
    folder: Path


class Played(msgspec.Struct):
    """The outcome of a round."""

    seed: int
    faults: list[Fault]
    acknowledged: int
    rest_s: float
    took_s: float
    verdict: Verdict
    wrong: list[str]
    statuses: dict[int, int]
    leads: int  # that went by the rate

    def line(self) -> str:
        """The round in one line of a table."""
        kinds = [fault.kind for fault in self.faults]
        counts = " ".join(f"{kind} {kinds.count(kind)}" for kind in dict.fromkeys(sorted(kinds)))
        verdict = self.verdict
        return (
            f"seed {self.seed}: {counts or 'no fault'}; {self.acknowledged} acknowledged,"
            f" and {self.leads} by a rate, {len(verdict.lost)} lost,"
            f" {len(verdict.recorded_twice)} recorded twice;"
            f" {verdict.calls} calls, {verdict.repeats} repeats,"
            f" {len(verdict.unexplained)} without a fault, {len(verdict.lapses)} lapses;"
            f" all ended {self.rest_s:.1f} s after the last fault; {self.took_s:.0f} s"
            f"{' WRONG' if self.wrong else ''}"
        )


@contextmanager
def stage(
    folder: Path, *, seed: int = 0, nodes: int = NODES, proxied: bool = False
) -> Iterator[Stage]:
    """A server and links until the block ends: namespaces, or proxies where these cannot be had, or
    were asked for. Raises `NoServer`.
    """
    with nullcontext() if proxied else namespaces(nodes) as spaces:
        listen = [] if spaces is None else [IPv4Interface(f"{spaces.database_host}/24")]
        settings = {"max_connections": "200"}
        with postgres(folder, listen=listen, settings=settings) as server:
            if spaces is not None:
                yield Stage(server, spaces, folder)
                return
            with proxies(nodes, server, seed) as links:
                yield Stage(server, links, folder)


class Round:
    """One round on a stage."""

    def __init__(
        self,
        stage: Stage,
        seed: int,
        faults: Sequence[Fault],
        *,
        orders: int = ORDERS,
        leads: int = LEADS,
        per_s: float = PER_S,
        nodes: int = NODES,
        program: Sequence[str] = ("-m", "beltline"),
    ) -> None:
        self._stage = stage
        self._seed = seed
        self._faults = faults
        self._orders = orders
        self._number_of_leads = leads
        self.leads = Leads()
        self._per_s = per_s
        self.book = Book()
        self.spells: list[Spell] = []
        self.leaves: list[Spell] = []
        self._healed_at = 0.0
        self._restarting = asyncio.Lock()
        self.home = stage.folder / f"round-{seed}"
        self.home.mkdir()
        write_home(self.home)
        write_source(self.home)
        self.name = f"round_{seed}"
        self.database = stage.server.database(self.name)
        ports = free_ports(nodes)
        environment = {
            "BELTLINE_NODES_LEASE_S": str(LEASE_S),
            "BELTLINE_STOPPING_GRACE_S": str(GRACE_S),
        }
        links = stage.links
        self.nodes = [
            FleetNode(
                number,
                self.home,
                links.database(number, stage.server, self.name),
                host=links.host(number),
                port=ports[number],
                prefix=links.command(number),
                environment=environment,
                program=program,
            )
            for number in range(nodes)
        ]

    async def play(self) -> Played:
        """Plays it to its end."""
        began = time.monotonic()
        await asyncio.to_thread(publish, self.home, self.database)
        await note_departures(self.database)
        async with self._up():
            sending = asyncio.create_task(self._send())
            await self._befall()
            await sending
            rest_s = await self._rest() - (self._healed_at or self.book.last_at)
        everything = await gather(self.database, self.home)
        evidence = await gather_leads(self.leads, self.database, everything)
        verdict = compare(evidence, self.book.acknowledged, self.spells, SLACK_S)
        wrong = [*verdict.wrong(), *self.book.contradictions[:5]]
        spells = [*self.spells, *self.leaves, *evidence.silent]
        wrong += judge_rate(self.leads, spells, SLACK_S, at_most=AT_MOST, every_s=EVERY_S)[:10]
        if rest_s > REST_S:
            wrong.append(f"not all had ended {REST_S:.0f} s after the last fault")
        wrong += [ended for node in self.nodes for ended in node.ended_by_itself]
        wrong += [
            f"{log}: an exception that nobody expected"
            for log in self._logs()
            if b'"exception": ' in log.read_bytes()
        ]
        await asyncio.to_thread(self._put_away, wrong)
        took_s = time.monotonic() - began
        return Played(
            *(self._seed, list(self._faults), len(self.book.acknowledged), rest_s, took_s),
            *(verdict, wrong, self.book.statuses, len(self.leads.departures)),
        )

    def _logs(self) -> list[Path]:
        return [node.log for node in self.nodes if node.log.exists()]

    def _put_away(self, wrong: list[str]) -> None:
        """The database goes; where something was wrong, what is needed to look into it stays."""
        server = self._stage.server
        if wrong:
            shutil.copy(server.log, self.home / "postgres.log")
            faults = [str(fault) for fault in self._faults]
            report = "\n".join([f"seed {self._seed}", *faults, *wrong, ""])
            (self.home / "report.txt").write_text(report, encoding="utf-8")
        server.drop(self.name)

    @asynccontextmanager
    async def _up(self) -> AsyncIterator[None]:
        for node in self.nodes:
            node.start()
        try:
            for node in self.nodes:
                await node.listening()
            yield
        finally:
            await asyncio.gather(*(node.end() for node in self.nodes))

    async def _send(self) -> None:
        addresses = [node.address for node in self.nodes]
        async with asyncio.TaskGroup() as group:
            group.create_task(send_leads(self.leads, addresses, self._number_of_leads))
            group.create_task(
                send_all(self.book, addresses, self._orders, at_once=AT_ONCE, per_s=self._per_s)
            )

    async def _befall(self) -> None:
        """Has all faults happen in their time; returns when the last one is over."""
        began = time.monotonic()

        async def one(fault: Fault) -> None:
            await asyncio.sleep(max(0.0, began + fault.at_s - time.monotonic()))
            begin = time.monotonic()
            await self._carry_out(fault)
            self._healed_at = max(self._healed_at, time.monotonic())
            # A node that leaves as it should is no reason to call anything twice, only later.
            spells = self.leaves if fault.kind == "leave" else self.spells
            spells.append(Spell(begin, time.monotonic(), fault.node))

        async with asyncio.TaskGroup() as group:
            for fault in self._faults:
                group.create_task(one(fault))

    async def _carry_out(self, fault: Fault) -> None:
        server, links = self._stage.server, self._stage.links
        if fault.node is None:
            crashes = fault.how == "immediate"
            async with self._restarting:  # a start may take longer than was planned
                await asyncio.to_thread(lambda: server.stop("immediate" if crashes else "fast"))
                await asyncio.sleep(fault.for_s)
                await asyncio.to_thread(server.start)
            return
        node = self.nodes[fault.node]
        if fault.kind == "cut":
            await asyncio.to_thread(links.cut, fault.node, way_of(fault.how))
            await asyncio.sleep(fault.for_s)
            await asyncio.to_thread(links.heal, fault.node)
        elif fault.kind == "pause":
            node.pause()
            await asyncio.sleep(fault.for_s)
            node.go_on()
        else:
            node.away_s = fault.for_s
            (node.kill if fault.kind == "kill" else node.leave)()
            await asyncio.sleep(fault.for_s)

    async def _rest(self) -> float:
        """The time at which nothing was open or held any more, or at which that was given up."""
        until = time.monotonic() + GIVE_UP_S
        db = await asyncpg.connect(self.database)
        try:
            while await db.fetchval(LEFT):
                if time.monotonic() > until:
                    break
                await asyncio.sleep(0.1)
            return time.monotonic()
        finally:
            await db.close()


def publish(home: Path, database: str) -> None:
    """Publishes the home's processes, as an operator does before nodes are started."""
    beltline(home, database, "publish")


def beltline(home: Path, database: str, *words: str) -> str:
    """What a command prints. Raises `CalledProcessError`."""
    done = subprocess.run(
        [sys.executable, "-m", "beltline", *words, "--home", str(home), "--store", database],
        cwd=ROOT,
        # The home's module opens its ledger when it is imported.
        env={**os.environ, "LEDGER": os.devnull},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def faults_of(seed: int) -> list[Fault]:
    """The faults of a full round."""
    return draw(seed, nodes=NODES, span_s=SPAN_S, lease_s=LEASE_S)

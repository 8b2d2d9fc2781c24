"""A million held requests: what a release takes, and the list of what waits, over HTTP.

Each question is asked again and again, one after the other, by one person; deep ones are about what
is far from the front of the buffer.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from bench import database
from bench.figures import Findings, Goal
from bench.measured.sender import spread
from bench.scale import Scale
from bench.stand import Failed, Served, Stand
from tests.servers.postgres import postgres
from tests.servers.processes import NoServer

ROW = "Held backlog: releases and lists, SQLite"
SHARED = "Held backlog: releases and lists, PostgreSQL"
SOURCE = "held-leads"
WAITING = f"/api/v1/buffers/{SOURCE}/requests"
RELEASE = f"/api/v1/buffers/{SOURCE}/release"
RELEASE_MS = 20
LIST_MS = 100
READY_S = 10
MEMORY_MIB = 300


class Person:
    """Asks a hub over one connection."""

    def __init__(self, hub: Served, token: str) -> None:
        self._connection = http.client.HTTPConnection(
            hub.address.removeprefix("http://"), timeout=60
        )
        self._headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}

    def ask(self, method: str, path: str, content: Any = None) -> tuple[Any, float]:
        """The answer, and the milliseconds that it took. Raises `Failed`."""
        body = None if content is None else json.dumps(content)
        began = time.perf_counter()
        self._connection.request(method, path, body, self._headers)
        answer = self._connection.getresponse()
        told = answer.read()
        took_ms = (time.perf_counter() - began) * 1e3
        if answer.status != 200:
            raise Failed(f"{method} {path}: {answer.status} {told[:300]!r}")
        return json.loads(told), took_ms

    def close(self) -> None:
        """The connection is closed."""
        self._connection.close()


@contextmanager
def person(hub: Served, token: str) -> Iterator[Person]:
    """Somebody who asks until the block ends."""
    one = Person(hub, token)
    try:
        yield one
    finally:
        one.close()


def measure(stand: Stand, findings: Findings, scale: Scale) -> None:
    """Over SQLite, and over PostgreSQL where it is installed."""
    _one_store(stand, findings, scale, ROW, None, "SQLite")
    try:
        with postgres(stand.folder) as server:
            url = server.database("held")
            on = database.conditions(server)
            _one_store(
                *(stand, findings, scale, SHARED, url, on),
                settle=lambda: server.ask("vacuum analyze", "held"),
            )
    except NoServer as missing:
        findings.miss(SHARED, "a release, p99", str(missing))


def _one_store(
    stand: Stand,
    findings: Findings,
    scale: Scale,
    row: str,
    store: str | None,
    on: str,
    settle: Callable[[], object] | None = None,
) -> None:
    home = stand.home("held-backlog")
    if store is not None:
        stand.beltline(home, "publish", store=store)
    stand.measure(
        *("bench.measured.load", "--home", home, "--kind", "held", "--source", SOURCE),
        *("--count", scale.stored, *(() if store is None else ("--store", store))),
    )
    if settle is not None:
        settle()  # as a database that has stood for a minute is
    token = stand.beltline(home, "token", "create", "--role", "operator", store=store)
    with stand.serving(home, store=store) as hub, person(hub, token) as asks:
        lists = {
            name: spread([asks.ask("GET", path)[1] for _ in range(scale.held_questions)])
            for name, path in _lists(asks).items()
        }
        overview = spread(
            [
                asks.ask("GET", path)[1]
                for _ in range(scale.held_questions)
                for path in ("/api/v1/buffers", "/api/v1/sources")
            ]
        )
        releases = spread(
            [asks.ask("POST", RELEASE, {"count": 1})[1] for _ in range(scale.held_questions)]
        )
        memory = hub.memory_mib()
    stand.drop(home)
    held = f"{scale.stored:,} requests held in one source's buffer; {on}"
    findings.add(*(row, "ready after a start", "s", [hub.ready_s]), held, Goal("at most", READY_S))
    findings.add(*(row, "memory at its highest", "MiB", [memory]), "", Goal("at most", MEMORY_MIB))
    findings.add(
        *(row, "a release, p99", "ms", [releases["p99_ms"]]),
        f"POST {RELEASE} of one request, {scale.held_questions} of them, each a commit and an"
        f" answer with what is left; median {releases['p50_ms']:.1f} ms",
        Goal("at most", RELEASE_MS),
    )
    for name, times in lists.items():
        findings.add(
            *(row, f"the list, {name}, p95", "ms", [times["p95_ms"]]),
            f"a page of GET {WAITING}; median {times['p50_ms']:.1f} ms",
            Goal("at most", LIST_MS),
        )
    findings.add(
        *(row, "lists of buffers and sources, p95", "ms", [overview["p95_ms"]]),
        f"with counts, which are kept for some seconds where so much waits; the longest"
        f" {overview['max_ms']:.0f} ms",
        Goal("at most", LIST_MS),
    )


def _lists(asks: Person) -> dict[str, str]:
    """The pages that are asked for."""
    first, _ = asks.ask("GET", WAITING)
    oldest = first["requests"][0]
    newest, _ = asks.ask("GET", "/api/v1/runs?limit=1")
    begin, end = _ms(oldest["accepted_at"]), _ms(newest["runs"][0]["accepted_at"])
    middle = (begin + end) // 2
    return {
        "first page": WAITING,
        "a deep page": f"{WAITING}?after={middle}.{oldest['id']}",
        "of the later half": f"{WAITING}?since={_moment(middle)}",
        "of the last moment": f"{WAITING}?since={_moment(end - 5)}",
        "of a process that has none": f"{WAITING}?process=pure-lead",
        "of a key that has none": f"{WAITING}?key=none",
    }


def _ms(moment: str) -> int:
    return round(datetime.fromisoformat(moment).timestamp() * 1_000)


def _moment(ms: int) -> str:
    return quote(datetime.fromtimestamp(ms / 1_000, UTC).isoformat(timespec="milliseconds"))

"""Fills a home's store with requests, through the store's own commits in wide batches.

    backlog   requests with a run each that is ready to be claimed
    held      requests that their source's buffer holds back
    finished  requests whose run is completed, each with the whole journal of a real one

The requests are made by the code of the intake, from leads as `wrk` would send them.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from beltline.cli.opening import Opened, opened_store
from beltline.composition import running_hub
from beltline.core.limits import PRODUCTION
from beltline.definition.source import Source
from beltline.definition.webhook import WebhookWay
from beltline.engine.ids import RunIds
from beltline.engine.records import (
    Acceptance,
    Batch,
    JournalRow,
    NewRequest,
    NewRun,
    RunFilter,
)
from beltline.publishing import publish_files
from beltline.settings import open_home
from beltline.sources.request import new_request
from beltline.sources.verification import Received
from beltline.sources.webhook import Webhook
from bench import lead
from bench.measured import process

WIDE = 2_000  # requests a commit
HEADERS = ((b"content-type", b"application/json"), (b"user-agent", b"bench"))

Journals = list[list[tuple[int, bytes]]]


def webhook_of(source: Source) -> Webhook:
    """A source of the bench's home at work."""
    assert isinstance(source.way, WebhookWay)
    return Webhook(source, source.way, lambda _: None)


def requests(opened: Opened, source: str, numbers: range, *, held: bool) -> Iterator[NewRequest]:
    """The leads with these numbers as the source's requests."""
    webhook = webhook_of(opened.files.sources[source])
    ids = RunIds(os.urandom)
    for number in numbers:
        now = opened.clock.now()
        received = Received(HEADERS, lead.lead_json(number), now)
        taken = webhook.read(received, ids.new_key(now), PRODUCTION)
        yield new_request(webhook.source, taken.offered, held=held, limits=PRODUCTION)


async def fill(
    opened: Opened,
    source: str,
    numbers: range,
    accept: Callable[[int, NewRequest], Acceptance],
    *,
    held: bool,
) -> None:
    """Commits the requests, `WIDE` at a time."""
    made = enumerate(requests(opened, source, numbers, held=held), start=numbers.start)
    while batch := [accept(n, request) for _, (n, request) in zip(range(WIDE), made, strict=False)]:
        await opened.store.commit(Batch(acceptances=batch))


async def load(
    home: Path, kind: str, source: str, first: int, count: int, url: str | None = None
) -> dict[str, Any]:
    """Loads `count` requests, their leads numbered from `first`, into the home's own store or that
    at `url`.
    """
    journals: Journals = []
    if kind == "finished":
        journals = await finish_two(home, source, url)
    began = time.perf_counter()
    async with opened_store(home, url) as opened:
        await opened.store.join()
        await publish_files(opened.home, opened.processes)
        version_id, _ = opened.processes.newest(opened.files.sources[source].processes[0])
        numbers = range(first, first + count)

        def held(_: int, request: NewRequest) -> Acceptance:
            return Acceptance(request)

        def ready(_: int, request: NewRequest) -> Acceptance:
            run = NewRun(request.key, version_id, "moving", request.accepted_at, owned=False)
            return Acceptance(request, run)

        def finished(number: int, request: NewRequest) -> Acceptance:
            run = NewRun(request.key, version_id, "completed", None, owned=False)
            rows = [JournalRow(request.key, seq, entry) for seq, entry in journals[number % 2]]
            return Acceptance(request, run, rows)

        accept = {"held": held, "backlog": ready, "finished": finished}[kind]
        await fill(opened, source, numbers, accept, held=kind == "held")
        await opened.store.hand_over()
    return {"requests": count, "seconds": time.perf_counter() - began}


async def finish_two(home: Path, source: str, url: str | None = None) -> Journals:
    """Has the hub finish an even lead and an odd one, and gives their journals: rows of the
    number of their first event, and the entry.
    """
    await load(home, "backlog", source, 0, 2, url)
    async with running_hub(open_home(home), url=url) as running:
        await process.until_idle(running)
        journals: Journals = [[], []]
        for record in await running.store.runs(RunFilter(), 2):
            _, stored = await running.store.run(record.key)
            assert stored is not None
            number = msgspec.json.decode(stored.body)["lead_id"]
            seq = 0
            for entry in stored.entries:
                journals[number].append((seq, entry))
                seq += len(msgspec.json.decode(entry)[2])
    return journals


def main() -> None:
    """Loads what the options say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--store", help="the store's URL; without it the home's own")
    parser.add_argument("--kind", choices=["backlog", "held", "finished"], required=True)
    parser.add_argument("--source", default="leads")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, required=True)
    options = parser.parse_args()
    numbers = (options.first, options.count)
    process.run(load(options.home, options.kind, options.source, *numbers, options.store))


if __name__ == "__main__":
    main()

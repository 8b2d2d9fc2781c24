"""Workers: one backlog, by modules in the hub and by the same in a worker, by HTTP or a broker."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench import lead
from bench.figures import Findings
from bench.journals import Verified, verify
from bench.rows.belt import database
from bench.scale import Scale
from bench.stand import ROOT, Failed, Stand, environment
from tests.servers.call_brokers import CARRIERS

ROW = "Workers: one backlog, its modules in the hub and in a worker on the same machine"
NAMES = ("normalise", "find-contact", "set-defaults", "get-deal", "remember", "notify")


def measure(stand: Stand, findings: Findings, scale: Scale) -> None:
    """By `event`, by `http`, and by each broker, in turn."""
    backlog = scale.worker_backlog
    loaded = stand.home("loaded-workers")
    stand.measure(
        *("bench.measured.load", "--home", loaded, "--kind", "backlog"),
        *("--source", "leads", "--count", backlog),
    )
    found: dict[str, list[tuple[dict[str, Any], Verified]]] = {"event": [], "http": []}
    with ExitStack() as opened:
        addresses = {"http": opened.enter_context(_worker(loaded, "--http", "127.0.0.1:0"))}
        for kind, running in CARRIERS.items():
            address = opened.enter_context(running(stand.folder / kind)).address("bench")
            opened.enter_context(_worker(loaded, "--transport", address))
            addresses[f"queue, {kind}"] = address
        found |= {transport: [] for transport in addresses}
        for _ in range(scale.worker_runs):
            for transport, runs in found.items():
                home = stand.folder / f"workers-{transport.split()[-1]}"
                shutil.copytree(loaded, home)
                if transport in addresses:
                    _bind(home, addresses[transport])
                later = ["--later"] if transport.startswith("queue") else []
                run = stand.measure("bench.measured.belt", "--home", home, *later)
                runs.append((run, verify(database(home), backlog)))
                stand.drop(home)
    stand.drop(loaded)
    for transport, runs in found.items():
        findings.add(
            *(ROW, f"steps a second by {transport}", "steps/s"),
            [checked.steps / run["seconds"] for run, checked in runs],
            f"{backlog:,} leads, {lead.STEPS} steps each; journals verified complete",
        )
        findings.add(
            *(ROW, f"CPU of the hub per step by {transport}", "µs"),
            [run["cpu_s"] / checked.steps * 1e6 for run, checked in runs],
            "all threads of the hub; the worker's own is beside it",
        )


def _bind(home: Path, address: str) -> None:
    with (home / "beltline.toml").open("a", encoding="utf-8") as settings:
        for name in NAMES:
            settings.write(f'\n[modules."lead.{name}"]\ntransport = "{address}"\n')


@contextmanager
def _worker(home: Path, *way: str) -> Iterator[str]:
    """`beltline worker` with the modules of the benchmark; gives the last word that it says: where
    it listens, by HTTP.
    """
    command = [sys.executable, "-m", "beltline", "worker", str(home / "modules" / "lead.py")]
    process = subprocess.Popen(
        [*command, *way, "--home", str(home)],
        cwd=ROOT,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        said = process.stderr.readline()
        if "the worker" not in said:
            raise Failed(f"the worker did not start: {said}{process.stderr.read()}")
        yield said.split()[-1]
    finally:
        process.terminate()
        process.communicate(timeout=30)

"""The machine that is measured on: what it is, and how fast it makes a commit durable."""

from __future__ import annotations

import os
import platform
import re
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

RATE_S = 0.5  # how long each rate is measured, three times


def describe(folder: Path) -> dict[str, Any]:
    """CPU, memory, versions, and the rates of the disk that holds `folder`."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(_memory_kib() / 1_048_576, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "sqlite": apsw.sqlite_lib_version(),
        "file_system": file_system(folder),
        "load_before": round(os.getloadavg()[0], 2),
        "commit": _commit(),
        "full_commits_per_s": _thrice(lambda: commits_per_s(folder, RATE_S)),
        "fdatasyncs_per_s": _thrice(lambda: fdatasyncs_per_s(folder, RATE_S)),
    }


def commits_per_s(folder: Path, seconds: float) -> float:
    """SQLite commits of one row of 400 bytes each, WAL and `synchronous=FULL`, one after another:
    what a store that commits every decision by itself could do at most.
    """
    with _commits(folder) as commit:
        count = 0
        began = time.perf_counter()
        while (passed := time.perf_counter() - began) < seconds:
            commit()
            count += 1
        return count / passed


def commit_times_ms(folder: Path, count: int) -> list[float]:
    """How long each of `count` such commits takes, in milliseconds."""
    times: list[float] = []
    with _commits(folder) as commit:
        commit()
        for _ in range(count):
            began = time.perf_counter()
            commit()
            times.append((time.perf_counter() - began) * 1e3)
    return times


@contextmanager
def _commits(folder: Path) -> Iterator[Callable[[], object]]:
    """A function that commits one row to a database of its own in `folder`."""
    db = apsw.Connection(str(folder / "commit-rate.db"))
    try:
        db.execute("PRAGMA journal_mode = WAL").fetchall()
        db.execute("PRAGMA synchronous = FULL")
        db.execute("CREATE TABLE decision (entry BLOB NOT NULL)")
        row = (os.urandom(400),)
        yield lambda: db.execute("INSERT INTO decision VALUES (?)", row)
    finally:
        db.close()
        for left in folder.glob("commit-rate.db*"):
            left.unlink()


def fdatasyncs_per_s(folder: Path, seconds: float) -> float:
    """Appends of 4 KiB, each made durable by `fdatasync`."""
    path = folder / "sync-rate"
    block = os.urandom(4_096)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        count = 0
        began = time.perf_counter()
        while (passed := time.perf_counter() - began) < seconds:
            os.write(handle, block)
            os.fdatasync(handle)
            count += 1
        return count / passed
    finally:
        os.close(handle)
        path.unlink()


def file_system(folder: Path) -> str:
    """The kind of file system that holds `folder`; on `tmpfs` no figure means anything."""
    found, deepest = "unknown", -1
    for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        _device, mount, kind, *_ = line.split()
        if folder.resolve().is_relative_to(mount) and len(mount) > deepest:
            found, deepest = kind, len(mount)
    return found


def _thrice(measure: Callable[[], float]) -> dict[str, float]:
    rates = [measure() for _ in range(3)]
    return {
        "min": round(min(rates)),
        "median": round(statistics.median(rates)),
        "max": round(max(rates)),
    }


def _cpu() -> str:
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    named = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    mhz = re.search(r"^cpu MHz\s*:\s*([\d.]+)$", text, re.MULTILINE)
    name = named[1] if named else platform.processor() or "unknown"
    return f"{name}, {float(mhz[1]):.0f} MHz" if mhz else name


def _memory_kib() -> int:
    text = Path("/proc/meminfo").read_text(encoding="utf-8")
    found = re.search(r"^MemTotal:\s*(\d+)", text, re.MULTILINE)
    return int(found[1]) if found else 0


def _commit() -> str:
    """Which source was measured; empty outside a git checkout."""
    root = Path(__file__).parents[1]
    command = ["git", "-c", "safe.directory=*", "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()

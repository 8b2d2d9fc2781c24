"""Load over HTTP by `wrk`, which takes less of the machine than any client in Python would."""

from __future__ import annotations

import hmac
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from bench import lead
from bench.stand import SECRET, Failed
from tests.servers.debian import install

SCRIPT = Path(__file__).with_name("leads.lua")
CONNECTIONS = 32


class NoWrk(Exception):
    """The operator: `wrk` is not installed, and could not be."""


def program() -> str:
    """The path of `wrk`, which is installed when it is missing. Raises `NoWrk`."""
    found = shutil.which("wrk")
    if found is None and install("wrk"):
        found = shutil.which("wrk")
    if found is None:
        raise NoWrk("wrk is not installed (on Debian: apt-get install wrk)")
    return found


def sign_leads(path: Path, first: int, count: int) -> None:
    """Writes the signatures of the leads that `post_leads` sends from `first` on."""
    key = SECRET.encode()
    with path.open("w", encoding="ascii") as file:
        for number in range(first + 1, first + 1 + count):
            file.write(f"{hmac.digest(key, lead.lead_json(number), 'sha256').hex()}\n")


def post_leads(
    url: str, seconds: int, first: int, signatures: Path | None = None
) -> dict[str, Any]:
    """Posts distinct leads over 32 connections for so long, numbered from `first`, signed where
    there are signatures.

    Gives `requests`, `seconds`, `p50_ms`, `p99_ms`, `max_ms`. Raises `Failed` where any answer is
    not 2xx, or a connection breaks.
    """
    command = [program(), "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "10s"]
    command += ["-s", str(SCRIPT), url, "--", str(first)]
    if signatures is not None:
        command.append(str(signatures))
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=seconds + 60, check=False
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        raise Failed(f"wrk ended with {done.returncode}: {done.stderr or done.stdout}")
    found: dict[str, Any] = json.loads(lines[-1])
    if found["other_answers"] or found["socket_errors"]:
        raise Failed(f"not every request was accepted: {found}")
    return found

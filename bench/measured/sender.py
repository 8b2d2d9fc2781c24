"""Sends leads, or asks questions of the API, at a fixed rate, and tells how long the answers took.

Latencies count from the moment when a request was due (`open_loop.py` says why). The ids of
accepted requests are written to `--accepted`, one a line, so that each can be looked up afterwards.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import itertools
import json
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench import lead
from bench.measured import process
from bench.open_loop import Asked, OpenLoop

SIGNATURE = b"x-signature"
ACCEPTED = 202


def posts(url: str, first: int, secret: bytes) -> Iterator[bytes]:
    """Leads as HTTP requests, numbered from `first`; signed, where there is a secret."""
    parts = urlsplit(url)
    head = (
        f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-type: application/json\r\n"
        f"content-length: {lead.LEAD_BYTES}\r\n"
    ).encode()
    for number in itertools.count(first):
        body = lead.lead_json(number)
        signed = b""
        if secret:
            digest = hmac.digest(secret, body, hashlib.sha256).hex().encode()
            signed = b"%b: sha256=%b\r\n" % (SIGNATURE, digest)
        yield b"%b%b\r\n%b" % (head, signed, body)


def questions(url: str, paths: Sequence[str], token: str) -> Iterator[bytes]:
    """These questions of the API, in turns."""
    host = urlsplit(url).netloc
    for path in itertools.cycle(paths):
        yield (
            f"GET {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\n\r\n"
        ).encode()


def spread(latencies_ms: Sequence[float]) -> dict[str, float]:
    """The middle, the 95th and 99th of a hundred, and the longest."""
    ordered = sorted(latencies_ms)

    def at(share: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 3)

    return {
        "p50_ms": at(0.5),
        "p95_ms": at(0.95),
        "p99_ms": at(0.99),
        "max_ms": round(ordered[-1], 3),
    }


class Told:
    """The answers: how long they took, by what they were."""

    def __init__(self, paths: Sequence[str], accepted: Path | None) -> None:
        self._paths = paths
        self._accepted = None if accepted is None else accepted.open("wb")
        self.latencies_ms: dict[str, array[float]] = {}

    def __call__(self, asked: Asked, status: int, body: bytes, latency_ms: float) -> None:
        """One answer."""
        kind = str(status)
        if self._paths:
            kind = f"{status} {self._paths[asked.number % len(self._paths)]}"
        self.latencies_ms.setdefault(kind, array("d")).append(latency_ms)
        if status == ACCEPTED and self._accepted is not None:
            self._accepted.write(json.loads(body)["request"].encode() + b"\n")

    def close(self) -> None:
        """The ids of all accepted requests are in the file."""
        if self._accepted is not None:
            self._accepted.close()


async def send(options: argparse.Namespace) -> dict[str, Any]:
    """Sends for so long. Gives, of each kind of answer, the number and the latencies."""
    paths: list[str] = options.path or []
    requests = (
        questions(options.url, paths, options.token)
        if paths
        else posts(options.url, options.first, options.secret.encode())
    )
    told = Told(paths, options.accepted)
    process.settle_memory()
    loop = OpenLoop(options.url, requests, options.rate, options.connections, told)
    usage = process.Usage()
    seconds = await loop.run(options.seconds)
    told.close()
    return {
        "sent": len(loop.behind_ms),
        "seconds": seconds,
        "cores": usage.since()[1] / seconds,
        "waited_for_a_connection": loop.waited_most,
        "behind": spread(loop.behind_ms),
        "answers": {
            kind: {"number": len(latencies), **spread(latencies)}
            for kind, latencies in sorted(told.latencies_ms.items())
        },
    }


def main() -> None:
    """Sends what the options say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True, help="where to; for questions, the hub's address")
    parser.add_argument("--rate", type=float, required=True, help="requests a second")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--first", type=int, default=0, help="number of the first lead")
    parser.add_argument("--secret", default="", help="signs each lead with HMAC-SHA256")
    parser.add_argument("--accepted", type=Path, help="the file for ids of accepted requests")
    parser.add_argument("--path", action="append", help="a question, instead of leads")
    parser.add_argument("--token", default="", help="who asks")
    process.run(send(parser.parse_args()))


if __name__ == "__main__":
    main()

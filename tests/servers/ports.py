"""Loopback ports for servers that tests and benchmarks start.

A port is free when it is looked for, and taken a moment later. So each worker of the tests has
ports of its own, each is given once, and none is of those that outgoing connections are given.
"""

from __future__ import annotations

import os
import socket
from itertools import chain, cycle

_FIRST = 12_000
_EACH = 5_000
_WORKERS = 4

_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS
_own = range(_FIRST + _worker * _EACH, _FIRST + (_worker + 1) * _EACH)
_begin = os.getpid() * 97 % _EACH  # two runs of tests on one machine hardly meet
_ports = cycle(chain(_own[_begin:], _own[:_begin]))


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on; all different."""
    found: list[int] = []
    for port in _ports:
        if len(found) == count:
            break
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
    return found

"""Every implementation of the port `Store`: the conformance suite runs for each.

An implementation is one line in `KINDS`: how to open what lies in a folder of the test. Opening the
same folder again after `close` must find what was there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from beltline.engine.ports import Store
from beltline.stores import open_store

KINDS: dict[str, Callable[[Path], Awaitable[Store]]] = {
    "sqlite": lambda folder: open_store(f"sqlite:///{folder / 'hub.db'}", exclusive=True),
}

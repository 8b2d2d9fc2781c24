"""Runs that a step of another run starts: what a child is told, and what it tells its parent.

parent:  child-started ────────────────> the child run, in the same commit
child:   run-completed, -cancelled ────> child-ended   in the parent's inbox, in the same commit
run-stopped ──────────────────> child-stopped in the parent's inbox, in the same commit
parent:  ends before its child ────────> cancel        in the child's inbox, in the same commit
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec


class Parent(msgspec.Struct, frozen=True):
    """Where a child run was started: at which visit of which run. `waits` tells whether that visit
    waits for its end; `depth` counts the parents above it. `item` numbers the item that the child
    is for, from 0, where that visit starts one for each.
    """

    run: str
    step: str
    visit: int
    waits: bool
    depth: int = 1
    item: int | None = None


class Child(msgspec.Struct, frozen=True):
    """A run to be started in the commit of the decision. `id` follows from the decision alone.
    `item` is what it is for, where its parent starts one for each item.
    """

    id: str
    process: str
    request: Any
    parent: Parent
    item: Any = None


def child_id(
    run: str, step: str, visit: int, attempt: int, at: int, item: int | None = None
) -> str:
    """The id of the child that an attempt starts at `at` (Unix ms), for an item where there is one
    for each: a UUIDv7, the same whenever the decision is made again.
    """
    told = f"{run}/{step}/{visit}/{attempt}" + ("" if item is None else f"/{item}")
    digest = blake2b(told.encode(), digest_size=10).digest()
    random = int.from_bytes(digest)
    value = (at << 80) | (0x7000 | random >> 68) << 64 | (0b10 << 62) | random & (1 << 62) - 1
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

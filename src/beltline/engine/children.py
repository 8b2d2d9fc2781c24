"""The runs that other runs start: each becomes durable in the commit of its parent's decision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from beltline.core.child import Child
from beltline.core.explanation import moment
from beltline.core.inputs import ChildBegun
from beltline.core.limits import Limits
from beltline.core.model import Process
from beltline.engine.ids import key_of
from beltline.engine.loader import VersionUnusable
from beltline.engine.ports import NotFound
from beltline.engine.records import Acceptance, NewRequest, NewRun

SOURCE = "call"


class Children:
    """Makes child runs. `newest` gives the version and process that one is to go through."""

    def __init__(self, newest: Callable[[str], tuple[int, Process]], limits: Limits) -> None:
        self._newest = newest
        self._limits = limits

    def begin(self, child: Child, now: int) -> Acceptance | ChildBegun:
        """The child's request and run, which waits to be claimed; or why it cannot be started."""
        parent = child.parent
        try:
            version_id, _ = self._newest(child.process)
        except (NotFound, VersionUnusable) as why:
            return ChildBegun(parent.step, parent.visit, child.id, str(why))
        meta: dict[str, Any] = {
            "id": child.id,
            "source": SOURCE,
            "time": moment(now),
            "headers": {},
            "parent": parent,
        }
        if child.item is not child.request and parent.item is not None:
            meta["item"] = child.item
        body, told = msgspec.json.encode(child.request), msgspec.json.encode(meta)
        size = len(body) + (len(told) if "item" in meta else 0)
        if size > self._limits.request_body_bytes:
            why_not = f"its request takes {size:,} bytes (limit request_body_bytes)"
            return ChildBegun(parent.step, parent.visit, child.id, why_not)
        key = key_of(child.id)
        assert key is not None  # the core made it
        request = NewRequest(
            key=key,
            source=SOURCE,
            process=child.process,
            accepted_at=now,
            body=body,
            meta=told,
        )
        return Acceptance(request, NewRun(key, version_id, "moving", now, owned=False))

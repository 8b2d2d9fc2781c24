"""A run's state as bytes, so that two of them can be compared."""

from __future__ import annotations

import msgspec

from beltline.core.run import Run


def state_of(run: Run) -> bytes:
    """All of a run's state; of its definition only which one it is."""
    parts = {name: getattr(run, name) for name in run.__struct_fields__}
    parts["process"] = [run.process.name, run.process.version]
    parts["open"] = list(run.open.values())
    return msgspec.json.encode(parts)

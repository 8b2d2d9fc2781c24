"""All that came in lately, whatever became of it: requests and verdicts in one order."""

from __future__ import annotations

from typing import Literal

from beltline.engine.ports import Store
from beltline.engine.records import RunFilter, RunRecord
from beltline.engine.verdict_store import Outcome, Verdict, VerdictFilter

VerdictName = Literal["accepted", "duplicate", "refused"]


async def recent(
    store: Store,
    limit: int,
    *,
    source: str | None = None,
    verdict: VerdictName | None = None,
    since: int | None = None,
    until: int | None = None,
    before: bytes | None = None,
) -> list[RunRecord | Verdict]:
    """A page, newest first; `before` is the key that the last page ended with, and times are Unix
    milliseconds.
    """
    found: list[RunRecord | Verdict] = []
    if verdict is None or verdict == "accepted":
        accepted = RunFilter(source=source, since=since, until=until, before=before)
        found += await store.runs(accepted, limit)
    if verdict != "accepted":
        outcome: Outcome | None = verdict
        kept = VerdictFilter(source, outcome, since, until, before)
        found += await store.verdicts(kept, limit)
    found.sort(key=lambda one: one.key, reverse=True)
    return found[:limit]

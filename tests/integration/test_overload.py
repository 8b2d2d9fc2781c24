"""Half a minute of ten times more than a process may carry: the short form of the bench's row.

The bounds are wide, since machines of tests are slow. What is lost, refused wrongly, or slower by
an order shows all the same.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import journals
from bench.rows import overload
from bench.scale import Scale
from bench.stand import Stand

SECONDS = 30
BACKLOG = 2_000


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.timeout(240)
def test_an_overload_is_refused_quickly_and_what_was_accepted_is_carried_out(
    tmp_path: Path,
) -> None:
    stand = Stand(tmp_path)
    home = stand.home("overload")
    file = home / "sources" / f"{overload.SOURCE}.yaml"
    text = file.read_text(encoding="utf-8")
    assert "most: 10000" in text
    file.write_text(text.replace("most: 10000", f"most: {BACKLOG}"), encoding="utf-8")
    kept = tmp_path / "accepted"

    found = overload.carry(stand, home, None, kept, Scale(overload_s=SECONDS, calm_s=5))

    database = home / "data" / "beltline.db"
    runs = overload.all_there(kept, journals.requests(database), found)
    accepted = overload.number_accepted(found)
    assert journals.verify(database, runs).runs == runs == accepted
    # It was let go at its rate, no faster and not much slower, while the backlog was full.
    released = accepted - BACKLOG
    assert released >= 0.85 * overload.RUNS_PER_S * SECONDS
    assert released <= overload.RUNS_PER_S * (SECONDS + 2)
    refused, refused_ms = overload.number_refused(found)
    assert refused + accepted == overload.OFFERED_PER_S * SECONDS
    # Who sends faster than he is answered would wait for seconds: latencies count from the moment
    # when each was due.
    assert found.during["answers"]["429"]["p50_ms"] <= overload.REFUSED_MS
    assert refused_ms <= 1_000
    assert {kind.split()[0] for kind in found.asked["answers"]} == {"200"}
    assert overload.worst(found.asked["answers"], "p95_ms") <= 1_000
    assert found.memory_mib <= overload.MEMORY_MIB
    assert found.drained_s <= 2 * BACKLOG / overload.RUNS_PER_S

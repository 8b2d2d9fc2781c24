"""The poison guard: a run that was moving at five crashes in a row is set aside, no other is, and
the suspects come back few at a time.

A crash counts for a run that the process owned, until an answer for it is recorded. From outside
it is certain only that a run made no progress when its journal holds nothing but new attempts of
what was under way; other runs are left out where they would be suspected.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.record import Crash, Fact, Record, Seen

MANY = 5
ANSWERS = ("retry", "reject", "exception", "timeout")


def check(record: Record) -> Iterator[str]:
    """Counts the crashes of every run between its answers."""
    if record.nodes > 1:
        return  # there a crash counts at the takeover, which ends more than one process's runs
    journals = record.journals()
    for key, facts in journals.items():
        crashes = [crash for crash in record.crashes if key in crash.owned]
        calls = [call for call in record.calls if call.key == key]
        for text in _of_run(facts, crashes, calls):
            yield f"run {key.hex()}: {text}"
    yield from _few_at_a_time(record, journals)


def _of_run(facts: list[Fact], crashes: list[Crash], calls: list[Seen]) -> Iterator[str]:
    aside = [fact.at for fact in facts if _is_aside(fact)]
    outside = {call.step for call in calls}
    begun = [fact for fact in facts if fact.name == "step-started"]
    loads = {fact.at for fact in begun if fact.reason == "recovered"}
    answers = [
        fact.at
        for fact in facts
        if _is_answer(fact)
        and fact.step in outside
        # That the time of a later answer ran out while nobody ran is no progress of the others.
        and not (fact.at in loads and fact.name == "step-failed" and _kind(fact) == "timeout")
    ]
    for at in dict.fromkeys(aside):
        since = max((answer for answer in answers if answer < at), default=-1)
        since = max([since, *(other for other in aside if other < at)])
        # A crash in the step of a commit came after it: between being durable and being told so.
        counted = sum(since <= crash.at < at for crash in crashes)
        if counted < MANY:
            yield f"it was set aside after {counted} crashes in a row"
    for number in range(len(crashes) - MANY + 1):
        row = crashes[number : number + MANY]
        if not _stood_still(facts, row[0].at, row[-1].at):
            continue
        end = min((fact.at for fact in facts if fact.at > row[-1].at), default=None)
        called = [call for call in calls if call.at > row[-1].at]
        if called and (end is None or called[0].at <= end or not _stops_at(facts, end)):
            yield f"it was called again after {MANY} crashes in a row"


def _few_at_a_time(record: Record, journals: dict[bytes, list[Fact]]) -> Iterator[str]:
    """Of runs with four crashes in a row, one moves at a time: no other is called before the
    journal of the first goes on.
    """
    for life in dict.fromkeys(call.life for call in record.calls):
        before = [crash for crash in record.crashes if crash.life < life]
        first = {call.key: call.at for call in reversed(record.calls) if call.life == life}
        suspects = {key for key, at in first.items() if _certainly(journals[key], before, key, at)}
        alone: bytes | None = None
        since = 0
        for call in record.calls:
            if call.life != life or call.key not in suspects:
                continue
            moved = alone is None or any(since < fact.at < call.at for fact in journals[alone])
            if call.key != alone and not moved:
                yield "two runs that were moving at four crashes in a row move at once"
            if call.key != alone:
                suspects.discard(alone or b"")
                alone, since = call.key, call.at


def _certainly(facts: list[Fact], crashes: list[Crash], key: bytes, until: int) -> bool:
    """Whether just the last four crashes were this run's, without progress up to a step."""
    count = MANY - 1
    own = crashes[-count:]
    if len(own) < count or any(key not in crash.owned for crash in own):
        return False
    earlier = crashes[:-count]
    if earlier and key in earlier[-1].owned and _stood_still(facts, earlier[-1].at, own[-1].at):
        return False
    return _stood_still(facts, own[0].at, until)


def _stood_still(facts: list[Fact], after: int, before: int) -> bool:
    """Whether only new attempts of what was under way were recorded between two steps."""
    between = [fact for fact in facts if after < fact.at <= before]
    began = any(fact.at < after and fact.name == "step-started" for fact in facts)
    return began and all(
        fact.name == "step-started" and fact.reason == "recovered" for fact in between
    )


def _stops_at(facts: list[Fact], at: int) -> bool:
    """Whether the decision that was durable at `at` was not to call again."""
    return any(_is_aside(fact) or fact.name != "step-started" for fact in facts if fact.at == at)


def _is_aside(fact: Fact) -> bool:
    return fact.name == "step-failed" and _kind(fact) == "crash"


def _kind(fact: Fact) -> str:
    kind: str = fact.error["kind"]
    return kind


def _is_answer(fact: Fact) -> bool:
    if fact.name == "step-failed":
        return _kind(fact) in ANSWERS
    return fact.name == "step-completed"

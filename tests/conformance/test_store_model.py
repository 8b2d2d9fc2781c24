"""Every store against the model: any sequence of calls gives the same answers from both."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from beltline.core.run import Status
from beltline.engine.ports import NotFound, Store
from beltline.engine.records import (
    Acceptance,
    Batch,
    JournalRow,
    NewRun,
    ReleaseOrder,
    Repeat,
    RunChange,
    RunFilter,
    StoredRun,
)
from tests.conformance.store_kinds import KINDS
from tests.conformance.store_model import Model, ModelRun
from tests.conformance.store_rows import ANY_SIZE, key, new_request

T = TypeVar("T")
TIMES = st.integers(1, 30)
SOURCES = st.sampled_from(["site-form", "calls"])
STATUSES: st.SearchStrategy[Status] = st.sampled_from(
    ["cancelled", "stopped", "moving", "parked", "waiting", "completed"]
)


class StoreMachine(RuleBasedStateMachine):
    """Makes calls on a store and on the model, and compares."""

    kind = ""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.store: Store = self.wait(KINDS[self.kind](Path(self.folder.name)))
        self.wait(self.store.join())
        self.model = Model()
        self.number = 0
        self.last_message = 0

    def wait(self, call: Awaitable[T]) -> T:
        async def waiting() -> T:
            return await call

        return self.runner.run(waiting())

    def teardown(self) -> None:
        self.wait(self.store.close())
        self.runner.close()
        self.folder.cleanup()

    def owned(self) -> list[bytes]:
        return [key for key, run in self.model.run.items() if run.owned]

    @rule(data=st.data(), count=st.integers(1, 4))
    def accept(self, data: st.DataObject, count: int) -> None:
        batch, expected = Batch([], [], [], []), []
        for _ in range(count):
            self.number += 1
            at = data.draw(TIMES)
            identity = data.draw(st.sampled_from([None, None, "a", "b"]))
            request = new_request(
                self.number,
                source=data.draw(SOURCES),
                accepted_at=at,
                identity=identity,
                identity_until=at + data.draw(st.integers(0, 8)),
                body_hash=data.draw(st.sampled_from([b"x", b"y"])),
                held=data.draw(st.booleans()),
            )
            run, rows = None, []
            if not request.held:
                run = NewRun(
                    request.key,
                    data.draw(st.integers(1, 3)),
                    data.draw(STATUSES),
                    data.draw(st.none() | TIMES),
                    data.draw(st.booleans()),
                )
                rows = [JournalRow(request.key, 0, b"started")] if run.owned else []
            batch.acceptances.append(Acceptance(request, run, rows))
            expected.append(self.accept_in_model(batch.acceptances[-1]))
        answers = self.wait(self.store.commit(batch))
        assert answers == expected

    def accept_in_model(self, acceptance: Acceptance) -> Repeat | None:
        request, run = acceptance.request, acceptance.run
        if request.identity is not None:
            found = self.model.repeat_of(
                request.source, request.identity, request.accepted_at, request.body_hash
            )
            if found:
                return Repeat(*found)
            self.model.identity[request.source, request.identity] = (
                request.identity_until,
                request.key,
                request.body_hash,
            )
        self.model.source[request.key] = request.source
        self.model.request_bytes[request.key] = len(request.body) + len(request.meta)
        if run is None:
            self.model.held.add(request.key)
        else:
            self.model.run[request.key] = ModelRun(
                run.version_id, run.status, run.ready_at, run.owned
            )
            self.model.run[request.key].journal.update(
                (row.seq, row.entry) for row in acceptance.rows
            )
        return None

    @precondition(lambda self: self.owned())
    @rule(data=st.data())
    def decide(self, data: st.DataObject) -> None:
        batch = Batch([], [], [], [])
        chosen = data.draw(st.lists(st.sampled_from(self.owned()), unique=True, max_size=4))
        for run_key in chosen:
            run = self.model.run[run_key]
            seq = max(run.journal, default=-1) + data.draw(st.integers(1, 3))
            run.journal[seq] = b"decision %d" % seq
            batch.journal.append(JournalRow(run_key, seq, run.journal[seq]))
            waiting = [id for id, (owner, _) in self.model.inbox.items() if owner == run_key]
            for id in waiting[: data.draw(st.integers(0, 2))]:
                del self.model.inbox[id]
                batch.messages_done.append(id)
        for run_key in chosen:
            if not data.draw(st.booleans()):
                continue
            run = self.model.run[run_key]
            change = RunChange(
                run_key, data.draw(STATUSES), data.draw(st.none() | TIMES), data.draw(st.booleans())
            )
            batch.changes.append(change)
            run.status, run.crashes, run.ready_at = change.status, 0, change.ready_at
            if not change.owned:
                self.model.let_go(run_key, change.ready_at)
        assert self.wait(self.store.commit(batch)) == []

    @rule(
        now=TIMES,
        limit=st.integers(0, 4),
        crashes=st.sampled_from([0, 0, 0, 1, 2, 5]),
        max_bytes=st.sampled_from([1, 90, 150, ANY_SIZE, ANY_SIZE]),
    )
    def claim(self, now: int, limit: int, crashes: int, max_bytes: int) -> None:
        may = {k: run for k, run in self.model.run.items() if run.claimable(now, crashes)}
        answer = self.wait(self.store.claim(now, limit, crashes=crashes, max_bytes=max_bytes))
        claimed = answer.runs
        assert {run.key for run in claimed} <= set(may)
        times = [self.model.run[run.key].ready_at for run in claimed]
        # Which of two with the same time comes first is not promised.
        assert times == sorted(run.ready_at or 0 for run in may.values())[: len(claimed)]
        for run in claimed:
            self.compare_run(run)
            self.model.run[run.key].owned = True
            del may[run.key]
        assert answer.more == bool(may)
        size = sum(self.model.size(run.key) for run in claimed)
        assert size <= max_bytes or len(claimed) == 1
        if may and len(claimed) < limit:  # the next one did not fit
            earliest = min(run.ready_at or 0 for run in may.values())
            nexts = [self.model.size(k) for k, run in may.items() if run.ready_at == earliest]
            assert claimed
            assert size + max(nexts) > max_bytes

    @rule(now=TIMES, limit=st.integers(0, 2))
    def purge_identities(self, now: int, limit: int) -> None:
        free = [name for name, (until, *_) in self.model.identity.items() if until <= now]
        assert self.wait(self.store.purge_identities(now, limit)) == min(limit, len(free))
        # Which of them went is not promised; they are all asked for, so that it is known.
        assert self.wait(self.store.purge_identities(now, 100)) == max(0, len(free) - limit)
        for name in free:
            del self.model.identity[name]

    @rule(data=st.data())
    def claim_one(self, data: st.DataObject) -> None:
        run_key = key(data.draw(st.integers(0, self.number)))
        found = self.wait(self.store.claim_one(run_key))
        run = self.model.run.get(run_key)
        assert (found is not None) == (run is not None and not run.owned)
        if found and run:
            self.compare_run(found)
            run.owned = True

    @rule(data=st.data(), at=TIMES)
    def post(self, data: st.DataObject, at: int) -> None:
        run_key = key(data.draw(st.integers(0, self.number)))
        if run_key not in self.model.run:
            with pytest.raises(NotFound):
                self.wait(self.store.post(run_key, b"lost", at))
            return
        id = self.wait(self.store.post(run_key, b"at %d" % at, at))
        assert id > self.last_message
        self.last_message = id
        self.model.post(id, run_key, b"at %d" % at, at)

    @rule(source=SOURCES, version_id=st.integers(1, 3), now=TIMES, limit=st.integers(0, 3))
    def release(self, source: str, version_id: int, now: int, limit: int) -> None:
        order = ReleaseOrder(source, {"deal-intake": version_id}, limit)
        expected = self.model.release(source, version_id, now, limit)
        assert self.wait(self.store.release(order, now)).number == expected

    @rule(clean=st.booleans())
    def restart(self, clean: bool) -> None:
        if clean:
            self.wait(self.store.hand_over())
            self.model.let_all_go(crashes=0)
        self.wait(self.store.close())
        self.store = self.wait(KINDS[self.kind](Path(self.folder.name)))
        expected = self.model.let_all_go(crashes=1)
        assert self.wait(self.store.join()) == expected

    @rule(data=st.data())
    def read_one(self, data: st.DataObject) -> None:
        run_key = key(data.draw(st.integers(0, self.number)))
        if run_key not in self.model.source:
            with pytest.raises(NotFound):
                self.wait(self.store.run(run_key))
            return
        record, run = self.wait(self.store.run(run_key))
        assert record.source == self.model.source[run_key]
        assert (run is None) == (run_key in self.model.held)
        if run:
            self.compare_run(run)

    def compare_run(self, found: StoredRun) -> None:
        run = self.model.run[found.key]
        assert (found.version_id, found.crashes) == (run.version_id, run.crashes)
        assert found.entries == [run.journal[seq] for seq in sorted(run.journal)]
        assert [(message.id, message.key, message.body) for message in found.messages] == [
            (id, owner, body)
            for id, (owner, body) in self.model.inbox.items()
            if owner == found.key
        ]

    @invariant()
    def the_same_is_seen(self) -> None:
        assert self.wait(self.store.counts()) == self.model.counts()
        assert self.wait(self.store.next_ready_at()) == self.model.next_ready_at()
        records = self.wait(self.store.runs(RunFilter(), 10_000))
        assert [
            (record.key, record.status, record.version_id, record.owned, record.crashes)
            for record in records
        ] == self.model.listed()
        messages = self.wait(self.store.messages_after(0, 10_000))
        assert [message.id for message in messages] == [
            id for id, (owner, _) in self.model.inbox.items() if self.model.run[owner].owned
        ]


@pytest.mark.slow
def test_a_store_answers_like_the_model(kind: str) -> None:
    machine = type(f"{kind}Machine", (StoreMachine,), {"kind": kind})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=12, stateful_step_count=200, deadline=None, derandomize=True
        ),
    )

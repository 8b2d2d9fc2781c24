"""A stream of random commands for stores, drawn from a seed, and what is compared of the answers.

The stream keeps the model of `store_model.py` beside it, so that it knows what may be asked;
whether the stores do what the model says is not looked at here, only whether they do the same.
Where the port leaves a choice (which of two runs that are ready at one time is claimed first), what
is asked leaves none: a claim that would have to choose takes everything.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

from beltline.core.run import Status
from beltline.engine.ports import NotFound, Store
from beltline.engine.records import (
    Acceptance,
    Batch,
    Claimed,
    JournalRow,
    Message,
    NewRun,
    ReleaseOrder,
    Repeat,
    RunChange,
    RunFilter,
    StoredRun,
    TokenRecord,
)
from tests.conformance.store_model import Model, ModelRun
from tests.conformance.store_rows import ANY_SIZE, key, new_request

SOURCES = ("site-form", "calls", "mail")
PROCESSES = ("deal-intake", "call", "letter")
STATUSES: tuple[Status, ...] = (
    *("moving", "moving", "waiting", "parked", "stopped"),
    *("completed", "completed", "completed", "cancelled"),
)
HOUR_MS = 3_600_000
OPEN_MOST = 400  # beyond so many open runs the stream ends some

Ask = Callable[[Store], Awaitable[Any]]


class Stream:
    """Commands one after the other: `next` gives what to ask; `told` is given the common answer."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(f"stream {seed}")
        self.model = Model()
        self.paused: set[str] = set()
        self.number = 0
        self.now = 1_000
        self.versions = 0
        self.name = ""  # of the command that was drawn last
        self._told: Callable[[Any], None] = lambda _: None
        chance = self.chance
        self._commands: list[Callable[[], Ask]] = chance.sample(
            [
                *[self._accept] * 22,
                *[self._decide] * 26,
                *[self._claim] * 10,
                *[self._claim_one] * 3,
                *[self._post] * 8,
                *[self._release] * 4,
                *[self._run] * 8,
                *[self._runs] * 5,
                *[self._totals] * 3,
                *[self._value] * 4,
                *[self._purge] * 2,
                *[self._publish, self._version, self._fire, self._allow, self._say],
                self._end_some,
                self._restart,
            ],
            100,
        )

    def next(self) -> Ask:
        """The next command."""
        self.now += 1
        self._told = lambda _: None
        command = self.chance.choice(self._commands)
        self.name = command.__name__.strip("_")
        return command()

    def told(self, answer: Any) -> None:
        """What all stores answered to it."""
        self._told(answer)

    def _time(self) -> int:
        """A time that no other run has: some before now, some after."""
        self.now += 1
        return self.now

    def _some_key(self) -> bytes:
        return key(self.chance.randint(max(0, self.number - 300), self.number))

    def _owned(self) -> list[bytes]:
        return [each for each, run in self.model.run.items() if run.owned]

    # Commits

    def _accept(self) -> Ask:
        chance = self.chance
        batch = Batch([], [], [], [])
        for _ in range(chance.choice((1, 1, 2, 5))):
            self.number += 1
            identity = chance.choice((None, None, *(f"lead {n}" for n in range(40))))
            request = new_request(
                self.number,
                source=chance.choice(SOURCES),
                process=chance.choice(PROCESSES),
                accepted_at=self.now,
                body=b'{"n":"%s"}' % (b"x" * chance.randint(0, 300)),
                identity=identity,
                identity_until=self.now + chance.randint(0, 400),
                body_hash=chance.choice((b"x", b"y")),
                held=chance.random() < 0.15,
            )
            run, rows = None, []
            if not request.held:
                owned = chance.random() < 0.6
                at = None if owned or chance.random() < 0.2 else self._time()
                run = NewRun(request.key, chance.randint(1, 3), chance.choice(STATUSES), at, owned)
                rows = [JournalRow(request.key, 0, b"started")] if owned else []
            batch.acceptances.append(Acceptance(request, run, rows))
        self._told = lambda answers: self._accepted(batch, answers)
        return lambda store: store.commit(batch)

    def _accepted(self, batch: Batch, answers: list[Repeat | None]) -> None:
        for acceptance, repeat in zip(batch.acceptances, answers, strict=True):
            if repeat is not None:
                continue
            request, run = acceptance.request, acceptance.run
            self.model.source[request.key] = request.source
            if run is None:
                self.model.held.add(request.key)
                continue
            row = ModelRun(run.version_id, run.status, run.ready_at, run.owned)
            row.journal.update((each.seq, each.entry) for each in acceptance.rows)
            self.model.run[request.key] = row

    def _decide(self) -> Ask:
        owned = self._owned()
        chosen = self.chance.sample(owned, min(len(owned), self.chance.choice((0, 1, 3, 8))))
        return self._decision(chosen, STATUSES)

    def _end_some(self) -> Ask:
        open_runs = [each for each in self._owned() if self.chance.random() < 0.5]
        excess = len(self.model.run) > OPEN_MOST
        return self._decision(open_runs if excess else open_runs[:5], ("completed", "cancelled"))

    def _decision(self, chosen: list[bytes], statuses: tuple[Status, ...]) -> Ask:
        chance, model = self.chance, self.model
        batch = Batch([], [], [], [])
        for each in chosen:
            run = model.run[each]
            seq = max(run.journal, default=-1) + chance.randint(1, 3)
            run.journal[seq] = b"decision %d" % seq
            batch.journal.append(JournalRow(each, seq, run.journal[seq]))
            waiting = [id for id, (owner, _) in model.inbox.items() if owner == each]
            for id in waiting[: chance.choice((0, 1, 9))]:
                del model.inbox[id]
                batch.messages_done.append(id)
        for each in chosen:
            if chance.random() < 0.2:
                continue
            status = chance.choice(statuses)
            kept = chance.random() < 0.2 and statuses is STATUSES
            ends = status in ("completed", "cancelled")
            at = None if kept or ends or chance.random() < 0.2 else self._time()
            change = RunChange(each, status, at, kept)
            batch.changes.append(change)
            run = model.run[each]
            run.status, run.crashes, run.ready_at = status, 0, at
            if not kept:
                model.let_go(each, at)
        return lambda store: store.commit(batch)

    # Claims

    def _claim(self) -> Ask:
        chance, model = self.chance, self.model
        now = self.now - chance.choice((0, 0, 40))
        crashes = chance.choice((0, 0, 0, 0, 1, 2, 5))
        limit, max_bytes = chance.choice((0, 1, 7, 60)), chance.choice((1, 900, ANY_SIZE, ANY_SIZE))
        times = [run.ready_at for run in model.run.values() if run.claimable(now, crashes)]
        self._told = self._claimed
        if len(set(times)) == len(times):
            return lambda store: store.claim(now, limit, crashes=crashes, max_bytes=max_bytes)

        async def claim_all(store: Store) -> Claimed:
            found = await store.claim(now, 100_000, crashes=crashes, max_bytes=ANY_SIZE)
            return Claimed(sorted(found.runs, key=lambda run: run.key), found.more)

        return claim_all

    def _claimed(self, claimed: Claimed) -> None:
        for run in claimed.runs:
            self.model.run[run.key].owned = True

    def _claim_one(self) -> Ask:
        which = self._some_key()

        def taken(found: StoredRun | None) -> None:
            if found is not None:
                self.model.run[found.key].owned = True

        self._told = taken
        return lambda store: store.claim_one(which)

    def _restart(self) -> Ask:
        clean = self.chance.random() < 0.5
        self.model.let_all_go(crashes=0 if clean else 1)

        async def again(store: Store) -> tuple[int, int]:
            handed_over = await store.hand_over() if clean else 0
            return handed_over, await store.join()

        return again

    # Messages and buffers

    def _post(self) -> Ask:
        which, body, at = self._some_key(), b"at %d" % self.now, self._time()

        def posted(answer: Any) -> None:
            if answer is not NotFound:
                self.model.post(answer, which, body, at)

        self._told = posted
        return lambda store: store.post(which, body, at)

    def _release(self) -> Ask:
        source, version, limit = self.chance.choice(SOURCES), 2, self.chance.randint(0, 4)
        # All of one release are ready at one time; a claim that meets them takes them all.
        at = self._time()
        order = ReleaseOrder(source, dict.fromkeys(PROCESSES, version), limit)
        if source not in self.paused:
            self.model.release(source, version, at, limit)
        return lambda store: store.release(order, at)

    # Looks

    def _run(self) -> Ask:
        which = self._some_key()
        return lambda store: store.run(which)

    def _runs(self) -> Ask:
        chance = self.chance
        filter = RunFilter(
            process=chance.choice((None, None, *PROCESSES)),
            source=chance.choice((None, None, *SOURCES)),
            status=chance.choice((None, *sorted(set(STATUSES)))),
            since=chance.choice((None, self.now - 500)),
            until=chance.choice((None, self.now - 100)),
            before=chance.choice((None, self._some_key())),
        )
        limit = chance.choice((1, 7, 50))
        return lambda store: store.runs(filter, limit)

    def _totals(self) -> Ask:
        return everything

    # What is beside the runs

    def _value(self) -> Ask:
        chance, now = self.chance, self.now
        space, name = chance.choice(("a", "b\0")), f"key {chance.randint(0, 30)}"
        value = b'"%d"' % now
        until = chance.choice((None, now + 50))
        return chance.choice(
            (
                lambda store: store.put_value(space, name, value, until),
                lambda store: store.put_value_if_absent(space, name, value, until, now),
                lambda store: store.value(space, name, now),
                lambda store: store.values(space, now),
                lambda store: store.delete_value(space, name, now),
            )
        )

    def _purge(self) -> Ask:
        # Which of several go first is left open, so all go.
        now = self.now - 20
        if self.chance.random() < 0.5:
            return lambda store: store.purge_values(now, 100_000)
        return lambda store: store.purge_identities(now, 100_000)

    def _publish(self) -> Ask:
        process, text = self.chance.choice(PROCESSES), f"steps: {self.chance.randint(0, 3)}"
        now = self.now
        return lambda store: store.publish(process, "yaml", text, now)

    def _version(self) -> Ask:
        process = self.chance.choice(PROCESSES)
        number = self.chance.choice((None, 1, self.chance.randint(1, 9)))
        return lambda store: store.version(process, number)

    def _fire(self) -> Ask:
        self.number += 1
        schedule, due = (
            f"schedule {self.chance.randint(0, 3)}",
            self.now - self.chance.randint(0, 9),
        )
        request = new_request(self.number, accepted_at=self.now)
        run = NewRun(request.key, 1, "waiting", self._time(), owned=False)

        def fired(answer: tuple[bool, int | None]) -> None:
            if answer[0]:
                self.model.source[request.key] = request.source
                self.model.run[request.key] = ModelRun(1, "waiting", run.ready_at, owned=False)

        async def fire(store: Store) -> tuple[bool, int | None]:
            done = await store.fire(schedule, due, Acceptance(request, run))
            return done, await store.fired_at(schedule)

        self._told = fired
        return fire

    def _allow(self) -> Ask:
        name, wanted = f"window {self.chance.randint(0, 5)}", self.chance.randint(1, 9)

        async def allow(store: Store) -> tuple[int, bool]:
            found = await store.allow(name, wanted, 200, HOUR_MS)
            return found.granted, found.next_at > found.at

        return allow

    def _say(self) -> Ask:
        chance, now = self.chance, self.now
        source, state = chance.choice(SOURCES), chance.choice(("paused", "released"))
        which = chance.randint(0, 5)
        token = TokenRecord(b"%032d" % which, "viewer", f"name {now}", which % 3)
        if chance.random() < 0.5:
            (self.paused.add if state == "paused" else self.paused.discard)(source)
            return lambda store: store.set_source_state(source, state)
        return lambda store: store.put_token(token)


async def everything(store: Store) -> list[Any]:
    """The totals, and all that stands beside the runs."""
    return [
        await store.counts(),
        await store.held(None),
        await store.held("calls"),
        await store.next_ready_at(),
        await store.messages_after(0, 10_000),
        await store.newest_versions(),
        await store.tokens(),
        await store.source_state(),
    ]


async def all_runs(store: Store) -> list[Any]:
    """Every run with all that is known of it."""
    found: list[Any] = []
    before: bytes | None = None
    while page := await store.runs(RunFilter(before=before), 500):
        found += [await store.run(record.key) for record in page]
        before = page[-1].key
    return found


class Ids:
    """The numbers that a store gave to messages, told as those of the first store."""

    def __init__(self) -> None:
        self._first: dict[int, int] = {}
        self._own: dict[int, int] = {}

    def learn(self, own: Any, first: Any) -> None:
        """The same message in this store and in the first."""
        if isinstance(own, int) and isinstance(first, int):
            self._first[own] = first
            self._own[first] = own

    def own(self, batch: Batch) -> Batch:
        """A batch with this store's numbers."""
        done = [self._own[id] for id in batch.messages_done]
        return Batch(batch.acceptances, batch.journal, batch.changes, done)

    def told(self, answer: Any) -> Any:
        """An answer with the numbers of the first store."""
        if isinstance(answer, Message):
            return (self._first.get(answer.id, answer.id), answer.key, answer.body)
        if isinstance(answer, StoredRun):
            fields = [getattr(answer, name) for name in answer.__struct_fields__]
            return [self.told(field) for field in fields]
        if isinstance(answer, Claimed):
            return [self.told(answer.runs), answer.more]
        if isinstance(answer, list | tuple):
            return [self.told(each) for each in answer]
        return answer


class Renumbered:
    """A store that is asked with the numbers of the first."""

    def __init__(self, store: Store, ids: Ids) -> None:
        self._store = store
        self._ids = ids

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def commit(self, batch: Batch) -> list[Repeat | None]:
        """See `Store.commit`."""
        return await self._store.commit(self._ids.own(batch))

"""What a store is, in plain dictionaries: the reference that every store is compared with.

It is written from the words of the port alone and shares no code with any store. `AT_ONCE` is when
a run is ready that was let go of without a time.
"""

from __future__ import annotations

from dataclasses import dataclass, field

AT_ONCE = 0
OUTRANKING = ("cancelled", "stopped")  # statuses that are told also while the run is owned


@dataclass
class ModelRun:
    """A run; `status` is the one of its row."""

    version_id: int
    status: str
    ready_at: int | None
    owned: bool
    crashes: int = 0
    journal: dict[int, bytes] = field(default_factory=dict)

    @property
    def shown(self) -> str:
        """The status that people see."""
        return "moving" if self.owned and self.status not in OUTRANKING else self.status

    def claimable(self, now: int, crashes: int) -> bool:
        """Whether a claim may take it."""
        if self.owned or self.ready_at is None or self.ready_at > now:
            return False
        return self.crashes >= 5 if crashes == 5 else self.crashes == crashes


@dataclass
class Model:
    """The whole store."""

    source: dict[bytes, str] = field(default_factory=dict)
    request_bytes: dict[bytes, int] = field(default_factory=dict)
    held: set[bytes] = field(default_factory=set)
    run: dict[bytes, ModelRun] = field(default_factory=dict)
    identity: dict[tuple[str, str], tuple[int, bytes, bytes]] = field(default_factory=dict)
    inbox: dict[int, tuple[bytes, bytes]] = field(default_factory=dict)

    def repeat_of(
        self, source: str, identity: str, accepted_at: int, body_hash: bytes
    ) -> tuple[bytes, bool] | None:
        """The request that holds this identity, and whether its body is the same."""
        until, key, first_hash = self.identity.get((source, identity), (0, b"", b""))
        return (key, first_hash == body_hash) if accepted_at < until else None

    def let_go(self, key: bytes, ready_at: int | None) -> None:
        """Lets go of a run; a message that waits makes it ready at once."""
        waits = any(owner == key for owner, _ in self.inbox.values())
        self.run[key].owned = False
        self.run[key].ready_at = AT_ONCE if waits else ready_at

    def post(self, id: int, key: bytes, body: bytes, at: int) -> None:
        """Appends a message."""
        self.inbox[id] = (key, body)
        run = self.run[key]
        if not run.owned:
            run.ready_at = at if run.ready_at is None else min(run.ready_at, at)

    def size(self, key: bytes) -> int:
        """The bytes that are loaded of a run."""
        return self.request_bytes[key] + sum(map(len, self.run[key].journal.values()))

    def release(self, source: str, version_id: int, now: int, limit: int) -> int:
        """Starts the oldest held requests of a source."""
        oldest = sorted(key for key in self.held if self.source[key] == source)[:limit]
        for key in oldest:
            self.held.remove(key)
            self.run[key] = ModelRun(version_id, "waiting", now, owned=False)
        return len(oldest)

    def let_all_go(self, crashes: int) -> int:
        """Lets go of every owned run, ready at once."""
        owned = [run for run in self.run.values() if run.owned]
        for run in owned:
            run.owned, run.ready_at, run.crashes = False, AT_ONCE, run.crashes + crashes
        return len(owned)

    def next_ready_at(self) -> int | None:
        """The earliest time of a sound run that nobody owns."""
        times = [
            run.ready_at
            for run in self.run.values()
            if not run.owned and not run.crashes and run.ready_at is not None
        ]
        return min(times, default=None)

    def counts(self) -> dict[str, int]:
        """The totals."""
        free = [run for run in self.run.values() if not run.owned]
        return {
            "ready": sum(run.ready_at is not None for run in free),
            "owned": len(self.run) - len(free),
            "held": len(self.held),
            "stopped": sum(run.status == "stopped" for run in self.run.values()),
        }

    def listed(self) -> list[tuple[bytes, str, int | None, bool, int]]:
        """Key, status, version, owned and crashes of everything, newest first."""
        rows: list[tuple[bytes, str, int | None, bool, int]] = []
        for key in sorted(self.source, reverse=True):
            if key in self.held:
                rows.append((key, "waiting", None, False, 0))
            else:
                run = self.run[key]
                rows.append((key, run.shown, run.version_id, run.owned, run.crashes))
        return rows

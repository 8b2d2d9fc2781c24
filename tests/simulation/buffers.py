"""The part of the simulated store about requests that wait in their source's buffer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from beltline.engine.records import (
    Batch,
    Collection,
    Due,
    HeldCount,
    HeldFilter,
    HeldRequest,
    JournalRow,
    Released,
    ReleaseOrder,
    RunChange,
    StoredRequest,
    Window,
)
from tests.simulation.disk import Disk, RunRow


class Left(NamedTuple):
    """One transaction in which requests left a source's buffer, or in which a window had no room
    for them: by themselves (with what counted them), by a person or a message (`let go`), into one
    (`into`).
    """

    how: Literal["released", "let go", "collected"]
    source: str
    keys: Sequence[bytes]
    window: Window | None = None
    due: Due | None = None
    message: bytes | None = None
    into: bytes = b""


class SimulatedBuffers:
    """Fulfils `engine.buffer_store.BufferStore` over the disk of whoever inherits it."""

    _disk: Disk
    _now: Callable[[], int]
    _note: Callable[..., None]
    _wrote: Callable[[JournalRow], None]

    async def _read(self, look: Callable[[], Any]) -> Any:
        raise NotImplementedError

    async def _write(self, work: Callable[[], Any]) -> Any:
        raise NotImplementedError

    async def release(self, order: ReleaseOrder, now: int) -> Released:
        clock = self._now

        def go() -> Released:
            keys, released = release(self._disk, order, now, clock())
            if keys or released.wait_ms is not None:
                self._note("left", Left("released", order.source, keys, order.window, order.due))
            return released

        done: Released = await self._write(go)
        return done

    async def let_go(
        self, keys: Sequence[bytes], versions: Mapping[str, int], now: int, message: bytes | None
    ) -> int:
        def go() -> int:
            there = let_go(self._disk, keys, versions, now, message)
            for key in there:
                source = self._disk.requests[key].source
                self._note("left", Left("let go", source, [key], message=message))
            return len(there)

        number: int = await self._write(go)
        return number

    async def collect(self, collection: Collection) -> bool:
        collection.acceptance.check_scheduled()

        def go() -> bool:
            if not collect(self._disk, collection, self._wrote):
                return False
            request, keys = collection.acceptance.request, [run.key for run in collection.members]
            self._note("left", Left("collected", request.source, keys, into=request.key))
            return True

        done: bool = await self._write(go)
        return done

    async def put_first(self, keys: Sequence[bytes], *, first: bool) -> int:
        number: int = await self._write(lambda: self._disk.put_first(keys, first=first))
        return number

    async def held(self, source: str | None) -> dict[str, HeldCount]:
        def count() -> dict[str, HeldCount]:
            keys: dict[str, list[bytes]] = {}
            for key, request in self._disk.held.items():
                if source in (None, request.source):
                    keys.setdefault(request.source, []).append(key)
            return {name: HeldCount(len(own), min(own)) for name, own in keys.items()}

        found: dict[str, HeldCount] = await self._read(count)
        return found

    async def waiting(
        self, filter: HeldFilter, limit: int, after: tuple[int, bytes] | None = None
    ) -> list[HeldRequest]:
        def fits(one: HeldRequest) -> bool:
            at = int.from_bytes(one.key[:6])
            return (
                filter.process in (None, one.process)
                and filter.line in (None, one.line)
                and (filter.keys is None or one.key in filter.keys)
                and (one.behind is None or not filter.may_go)
                and (filter.since is None or at >= filter.since)
                and (filter.until is None or at < filter.until)
                and (after is None or (one.place, one.key) > after)
            )

        def look() -> list[HeldRequest]:
            keys = self._disk.in_order(filter.source)
            return [one for one in map(self._disk.waiting_request, keys) if fits(one)][:limit]

        found: list[HeldRequest] = await self._read(look)
        return found

    async def last_in_line(self) -> bytes | None:
        def look() -> bytes | None:
            return max((key for key, one in self._disk.held.items() if one.line), default=None)

        found: bytes | None = await self._read(look)
        return found

    async def requests(self, keys: Sequence[bytes]) -> list[StoredRequest]:
        def look() -> list[StoredRequest]:
            there = [
                self._disk.requests[key] for key in sorted(set(keys)) if key in self._disk.requests
            ]
            return [
                StoredRequest(r.key, r.source, r.process, r.accepted_at, r.body, r.meta)
                for r in there
            ]

        found: list[StoredRequest] = await self._read(look)
        return found

    async def expired(self, processes: Sequence[str], now: int, limit: int) -> list[HeldRequest]:
        def look() -> list[HeldRequest]:
            held = map(self._disk.waiting_request, self._disk.held)
            late = [
                one
                for one in held
                if one.process in processes and one.expires_at is not None and one.expires_at <= now
            ]
            return sorted(late, key=lambda one: one.expires_at or 0)[:limit]

        found: list[HeldRequest] = await self._read(look)
        return found


# What their transactions do to the tables


def release(disk: Disk, order: ReleaseOrder, now: int, clock: int) -> tuple[list[bytes], Released]:
    """Gives held requests that may go runs; `clock` is what windows go by."""
    window, due, left = order.window, order.due, 0
    keys = [
        key
        for key in disk.in_order(order.source)
        if disk.behind(key) is None
        and disk.held[key].process in order.versions
        and (due is None or int.from_bytes(key[:6]) < due.at)
    ][: order.limit]
    if not keys or disk.source_states.get(order.source) == "paused":
        return [], Released(0)
    if due is not None:
        at, left = disk.due.get(order.source, (due.at - 1, 0))
        if at < due.at:
            at, left = due.at, due.at_most if due.at_most is not None else 2**62
            disk.due[order.source] = (at, left)
        keys = keys[: left if at == due.at else 0]
    if window is not None:
        keys = keys[: max(0, disk.room(window, clock))]
    start(disk, keys, order.versions, now)
    if due is not None and keys:
        disk.due[order.source] = (due.at, left - len(keys))
    if window is None:
        return keys, Released(len(keys))
    used = disk.allow(window.name, len(keys), window.at_most, window.every_ms, clock)
    return keys, Released(len(keys), used.next_at - used.at)


def start(disk: Disk, keys: Sequence[bytes], versions: Mapping[str, int], now: int) -> None:
    """Gives held requests runs."""
    for key in keys:
        request = disk.held.pop(key)
        disk.runs[key] = RunRow(versions[request.process], "waiting", now)


def let_go(
    disk: Disk, keys: Sequence[bytes], versions: Mapping[str, int], now: int, message: bytes | None
) -> list[bytes]:
    """See `Store.let_go`; gives the keys."""
    there = [k for k in sorted(set(keys)) if k in disk.held]
    there = [key for key in there if disk.held[key].process in versions]
    start(disk, there, versions, now)
    if message is not None:
        for key in there:
            disk.post(key, message, now)
    return there


def collect(disk: Disk, collection: Collection, wrote: Callable[[JournalRow], None]) -> bool:
    """See `Store.collect`."""
    if any(run.key not in disk.held for run in collection.members):
        return False
    for run in collection.members:
        del disk.held[run.key]
        disk.runs[run.key] = RunRow(run.version_id, run.status, run.ready_at)
    for row in collection.rows:
        disk.journal.setdefault(row.key, []).append(row)
        wrote(row)
    for run in collection.members:
        disk.move_line_on(RunChange(run.key, run.status, None, owned=False))
    disk.commit(Batch([collection.acceptance], [], [], []), wrote)
    return True

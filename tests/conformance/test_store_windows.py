"""What every store promises of windows of releases when clocks are set, hubs start, and runs are
taken over: true time counts, or the store's own clock, and never the time that a node says.

Time is virtual: SQLite's is that of a machine of the test, PostgreSQL's the answer of a function
that stands in its database.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from beltline.engine.ports import Store
from beltline.engine.records import ReleaseOrder, Window
from beltline.stores.sqlite import shared
from tests.conformance.conftest import Reopen
from tests.conformance.store_kinds import DATABASES, KINDS
from tests.conformance.store_rows import VERSION, accept, claim, claimed, held, release
from tests.servers.postgres import PostgresServer

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
NAME = "release site-form"
FOUR_A_MINUTE = Window(NAME, 4, MINUTE_MS)
FOUR_IN_TWO_HOURS = Window(NAME, 4, 2 * HOUR_MS)
BEGAN_MS = 1_700_000_000_000
STEPS_MS = (HOUR_MS, -HOUR_MS)


async def go(store: Store, window: Window, now: int = 5) -> int:
    """Lets up to two go; gives their number."""
    return await release(store, 2, window=window, now=now)


async def hold(store: Store, number: int = 20) -> None:
    """So many wait."""
    await accept(store, *(held(n) for n in range(1, number + 1)))


# Every store


async def test_what_time_a_node_says_it_is_does_not_matter(store: Store) -> None:
    await hold(store)
    window = Window(NAME, 3, 30 * MINUTE_MS)
    assert await go(store, window, BEGAN_MS) == 2
    assert await go(store, window, BEGAN_MS + HOUR_MS) == 1
    for now in (BEGAN_MS - HOUR_MS, BEGAN_MS + 2 * HOUR_MS, BEGAN_MS):
        assert await go(store, window, now) == 0


async def test_what_was_let_go_and_perhaps_not_called_for_goes_at_the_takeover(
    store: Store,
) -> None:
    await hold(store)
    assert await go(store, FOUR_IN_TWO_HOURS) == 2
    assert len(await claimed(store)) == 2
    await store.join()
    # Two went before the takeover, and the same two at it.
    assert (await store.allow(NAME, 9, 5, 2 * HOUR_MS)).granted == 1


async def test_what_nobody_had_taken_counts_once(store: Store) -> None:
    await hold(store)
    assert await go(store, FOUR_IN_TWO_HOURS) == 2
    await store.join()
    assert (await store.allow(NAME, 9, 5, 2 * HOUR_MS)).granted == 3


async def test_what_is_handed_over_counts_once(store: Store, reopen: Reopen) -> None:
    await hold(store)
    assert await go(store, FOUR_IN_TWO_HOURS) == 2
    assert len(await claim(store, 10, 9)) == 2
    await store.hand_over()
    store = await reopen(store)
    await store.join()
    assert (await store.allow(NAME, 9, 5, 2 * HOUR_MS)).granted == 3


# SQLite, whose clock is the machine's


class Machine:
    """A machine whose clock can be set: it stands for the module `time`."""

    def __init__(self) -> None:
        self._passed_ns = 5_000_000_000
        self._ahead_ns = BEGAN_MS * 1_000_000

    def monotonic_ns(self) -> int:
        """What passed since it was switched on."""
        return self._passed_ns

    def time_ns(self) -> int:
        """What its clock says."""
        return self._passed_ns + self._ahead_ns

    def wait(self, ms: int) -> None:
        """So much passes."""
        self._passed_ns += ms * 1_000_000

    def set_clock(self, by_ms: int) -> None:
        """Its clock is set, by hand or by the network."""
        self._ahead_ns += by_ms * 1_000_000

    def begin(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A process begins: it takes the time of day once."""
        monkeypatch.setattr(shared, "_EPOCH_NS", self.time_ns() - self.monotonic_ns())


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """The machine on which the stores of `sqlite` run."""
    made = Machine()
    monkeypatch.setattr(shared, "time", made)
    made.begin(monkeypatch)
    return made


@pytest.fixture
async def sqlite(machine: Machine, tmp_path: Path) -> AsyncIterator[Store]:
    """A store with what waits."""
    opened = await KINDS["sqlite"](tmp_path)
    await opened.join()
    await hold(opened)
    yield opened
    await opened.close()


async def begun_again(
    store: Store, machine: Machine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Store:
    """The hub dies and is started again."""
    await store.close()
    machine.begin(monkeypatch)
    opened = await KINDS["sqlite"](folder)
    await opened.join()
    return opened


@pytest.mark.parametrize("step_ms", STEPS_MS)
async def test_a_clock_that_is_set_while_a_window_is_open_changes_nothing(
    sqlite: Store, machine: Machine, step_ms: int
) -> None:
    assert await go(sqlite, FOUR_A_MINUTE) == 2
    machine.wait(MINUTE_MS // 2)
    assert await go(sqlite, FOUR_A_MINUTE) == 2
    machine.set_clock(step_ms)
    assert await go(sqlite, FOUR_A_MINUTE) == 0
    machine.wait(MINUTE_MS // 2 - 1)
    assert await go(sqlite, FOUR_A_MINUTE) == 0
    machine.wait(1)
    assert [await go(sqlite, FOUR_A_MINUTE) for _ in range(2)] == [2, 0]


@pytest.mark.parametrize("step_ms", STEPS_MS)
async def test_after_a_start_a_window_is_full_for_its_time_and_no_longer(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step_ms: int
) -> None:
    store = await KINDS["sqlite"](tmp_path)
    await store.join()
    await hold(store)
    assert await go(store, FOUR_A_MINUTE) == 2
    machine.set_clock(step_ms)
    store = await begun_again(store, machine, tmp_path, monkeypatch)
    order = ReleaseOrder("site-form", {"deal-intake": VERSION}, 2, FOUR_A_MINUTE)
    nothing = await store.release(order, 5)
    assert (nothing.number, nothing.wait_ms) == (0, MINUTE_MS)
    machine.wait(MINUTE_MS - 1)
    assert await go(store, FOUR_A_MINUTE) == 0
    machine.wait(1)
    assert [await go(store, FOUR_A_MINUTE) for _ in range(3)] == [2, 2, 0]
    await store.close()


async def test_a_window_longer_than_an_hour_goes_by_its_stamps_after_a_start(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await KINDS["sqlite"](tmp_path)
    await store.join()
    await hold(store)
    assert [await go(store, FOUR_IN_TWO_HOURS) for _ in range(2)] == [2, 2]
    for step_ms in (HOUR_MS, -HOUR_MS):
        machine.set_clock(step_ms)
        store = await begun_again(store, machine, tmp_path, monkeypatch)
        assert await go(store, FOUR_IN_TWO_HOURS) == 0
    machine.wait(2 * HOUR_MS)
    assert await go(store, FOUR_IN_TWO_HOURS) == 2
    await store.close()


# PostgreSQL, whose clock is that of all nodes


class DatabaseClock:
    """The clock of a database, which stands until it is moved."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._at = BEGAN_MS

    async def begin(self) -> None:
        """Takes the place of the database's own."""
        db = await asyncpg.connect(self._url)
        await db.execute("CREATE TABLE public.told (ms bigint NOT NULL)")
        await db.execute("INSERT INTO public.told VALUES ($1)", self._at)
        await db.execute(
            "CREATE OR REPLACE FUNCTION beltline.now_ms() RETURNS bigint LANGUAGE sql VOLATILE"
            " RETURN (SELECT ms FROM public.told)"
        )
        await db.close()

    async def move(self, by_ms: int) -> None:
        """It passes, or is set."""
        self._at += by_ms
        db = await asyncpg.connect(self._url)
        await db.execute("UPDATE public.told SET ms = $1", self._at)
        await db.close()


@pytest.fixture
async def shared_window(
    postgres_server: PostgresServer, tmp_path: Path
) -> AsyncIterator[tuple[list[Store], DatabaseClock]]:
    """Two nodes on a database with what waits, and its clock."""
    DATABASES.server = postgres_server
    open_node = DATABASES.nodes(tmp_path)
    nodes = [await open_node(HOUR_MS) for _ in range(2)]
    for node in nodes:
        await node.join()
    await hold(nodes[0])
    clock = DatabaseClock(await asyncio.to_thread(DATABASES.url, tmp_path))
    await clock.begin()
    yield nodes, clock
    for node in nodes:
        await node.close()
    DATABASES.clear()


async def test_two_nodes_fill_one_window(
    shared_window: tuple[list[Store], DatabaseClock],
) -> None:
    (one, other), clock = shared_window
    assert await go(one, FOUR_A_MINUTE, BEGAN_MS) == 2
    await clock.move(MINUTE_MS // 2)
    went = await asyncio.gather(
        *(go(node, FOUR_A_MINUTE, now) for node in (one, other) for now in (0, BEGAN_MS * 2))
    )
    assert sum(went) == 2
    await clock.move(MINUTE_MS // 2 - 1)
    assert await go(other, FOUR_A_MINUTE) == 0
    await clock.move(1)
    assert [await go(node, FOUR_A_MINUTE) for node in (other, one)] == [2, 0]


async def test_a_database_whose_clock_is_set_back_lets_nothing_go_until_it_has_caught_up(
    shared_window: tuple[list[Store], DatabaseClock],
) -> None:
    (one, other), clock = shared_window
    assert [await go(node, FOUR_A_MINUTE) for node in (one, other)] == [2, 2]
    await clock.move(-HOUR_MS)
    for _ in range(3):
        assert [await go(node, FOUR_A_MINUTE) for node in (one, other)] == [0, 0]
        await clock.move(20 * MINUTE_MS)
    assert await go(one, FOUR_A_MINUTE) == 0
    await clock.move(MINUTE_MS)
    assert [await go(node, FOUR_A_MINUTE) for node in (one, other, one)] == [2, 2, 0]


async def test_what_went_while_the_clock_was_wrong_counts_when_it_is_put_right(
    shared_window: tuple[list[Store], DatabaseClock],
) -> None:
    (one, other), clock = shared_window
    assert await go(one, FOUR_A_MINUTE) == 2
    await clock.move(-HOUR_MS)
    assert [await go(node, FOUR_A_MINUTE) for node in (other, one)] == [2, 0]
    await clock.move(HOUR_MS)
    assert [await go(node, FOUR_A_MINUTE) for node in (one, other)] == [0, 0]
    await clock.move(MINUTE_MS)
    assert await go(other, FOUR_A_MINUTE) == 2


async def test_a_database_whose_clock_is_set_forward_counts_by_it(
    shared_window: tuple[list[Store], DatabaseClock],
) -> None:
    (one, other), clock = shared_window
    assert [await go(node, FOUR_A_MINUTE) for node in (one, other)] == [2, 2]
    await clock.move(HOUR_MS)
    assert [await go(node, FOUR_A_MINUTE) for node in (one, other, one)] == [2, 2, 0]

"""The SQLite store and processes that are killed: nothing answered is lost, the lock goes free."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from beltline.engine.ports import NotFound
from beltline.stores import StoreInUse, open_store
from tests.conformance.store_rows import claim, key

# Accepts run 1 and says so; then run 2, and is killed at the point that the second argument names.
CHILD = """
import asyncio, os, signal, sys
from beltline.stores.sqlite import threads
from beltline.stores.sqlite.store import SqliteStore
from tests.conformance.store_rows import accept, moving
from pathlib import Path

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

async def main(path, point):
    store = SqliteStore(Path(path), exclusive=True)
    await accept(store, moving(1))
    print("accepted", flush=True)
    if point == "waiting":
        sys.stdin.read()
    if point == "before-commit":
        store._writer.db.set_commit_hook(die)
    if point == "before-answer":
        threads.deliver = die
    await accept(store, moving(2))

asyncio.run(main(*sys.argv[1:]))
"""


def start(path: Path, point: str) -> subprocess.Popen[str]:
    """Starts the child and waits until it has accepted run 1."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path), point],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "accepted\n"
    return child


def finish(child: subprocess.Popen[str]) -> int:
    """Closes the child's pipes and waits for its end; gives how it ended."""
    child.communicate()
    return child.returncode


@pytest.mark.parametrize(
    ("point", "second_is_there"),
    [
        ("before-commit", False),
        ("before-answer", True),
    ],
)
async def test_a_kill_loses_nothing_that_was_committed(
    point: str, second_is_there: bool, tmp_path: Path
) -> None:
    path = tmp_path / "hub.db"
    child = await asyncio.to_thread(start, path, point)
    assert await asyncio.to_thread(finish, child) == -signal.SIGKILL
    store = await open_store(f"sqlite:///{path}", exclusive=True)
    try:
        assert await store.join() == 1 + second_is_there
        runs = await claim(store, 0, 9, crashes=1)
        assert [run.entries for run in runs] == [[b"entry 0"]] * (1 + second_is_there)
        if not second_is_there:
            with pytest.raises(NotFound):
                await store.run(key(2))
    finally:
        await store.close()


async def test_the_lock_names_its_holder_and_ends_with_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'hub.db'}"
    child = await asyncio.to_thread(start, tmp_path / "hub.db", "waiting")
    try:
        with pytest.raises(StoreInUse, match=f"process {child.pid}"):
            await open_store(url, exclusive=True)
        beside = await open_store(url)
        assert await beside.post(key(1), b"from outside", 0) == 1
        await beside.close()
    finally:
        child.kill()
        await asyncio.to_thread(finish, child)
    store = await open_store(url, exclusive=True)
    assert [message.body for message in await store.messages_after(0, 9)] == [b"from outside"]
    await store.close()

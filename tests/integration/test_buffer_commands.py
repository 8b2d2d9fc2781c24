"""`beltline buffer`: what waits is seen, put in order, let go and dropped from the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from beltline.engine.ids import id_of
from beltline.engine.records import RunFilter
from beltline.stores import open_store
from tests.conformance.store_rows import accept, held, key

PROCESS = "process: deal\nsteps:\n  - {id: one, module: set, with: {a: 1}}\n"
SOURCE = "source: calls\nkind: webhook\nprocess: deal\nverify: none\nrelease: paused\n"


@pytest.fixture
async def home(tmp_path: Path) -> Path:
    """A home whose source holds four requests: two of one key, and two of none."""
    for name, text in (("processes/deal", PROCESS), ("sources/calls", SOURCE)):
        path = tmp_path / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (tmp_path / "beltline.toml").touch()
    (tmp_path / "data").mkdir()
    beltline(tmp_path, "publish")
    store = await open_store(store_url(tmp_path))
    lines = {1: "7", 2: "7", 3: "", 4: ""}
    for number, line in lines.items():
        await accept(store, held(number, "calls", process="deal", line=line, place=number))
    await store.close()
    return tmp_path


def store_url(home: Path) -> str:
    return f"sqlite:///{home / 'data' / 'hub.db'}"


def beltline(home: Path, *words: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "beltline", *words, "--home", str(home), "--store", store_url(home)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def waiting(home: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(beltline(home, "buffer", "requests", "calls", "--json"))
    return rows


def id(number: int) -> str:
    return id_of(key(number))


def test_what_waits_is_listed_with_what_it_is_behind(home: Path) -> None:
    rows = waiting(home)
    assert [(row["id"], row["key"], row["behind"]) for row in rows] == [
        (id(1), "7", ""),
        (id(2), "7", id(1)),
        (id(3), "", ""),
        (id(4), "", ""),
    ]
    listed = beltline(home, "buffer", "list")
    assert "paused" in listed
    assert "1970-01-01" in listed  # when the oldest came, by the test's keys


def test_requests_are_put_first_and_last(home: Path) -> None:
    assert "1 moved" in beltline(home, "buffer", "first", "calls", id(4))
    assert "1 moved" in beltline(home, "buffer", "last", "calls", id(1), id(99))
    assert [row["id"] for row in waiting(home)] == [id(4), id(2), id(3), id(1)]


def test_some_are_let_go_and_none_out_of_line(home: Path) -> None:
    assert "1 released" in beltline(home, "buffer", "release", "calls", "--id", id(3))
    assert "1 released" in beltline(
        home, "buffer", "release", "calls", "--key", "7", "--count", "9"
    )
    assert [row["id"] for row in waiting(home)] == [id(2), id(4)]


async def test_some_are_dropped_with_a_reason(home: Path) -> None:
    said = beltline(
        *(home, "buffer", "drop", "calls", "--reason", "a mistake"),
        *("--id", id(2), "--id", id(4)),
    )
    assert "2 dropped" in said
    store = await open_store(store_url(home))
    _, run = await store.run(key(2))
    assert run is not None
    assert b"a mistake" in run.messages[0].body
    assert len(await store.runs(RunFilter(source="calls"), 9)) == 4
    await store.close()


def test_requests_are_chosen_by_their_time(home: Path) -> None:
    # By the test's keys the second came at 2 ms of 1970, and so on.
    second, third = "1970-01-01T00:00:00.002Z", "1970-01-01T03:00:00.003+03:00"
    listed = beltline(home, "buffer", "requests", "calls", "--since", third, "--json")
    assert [row["id"] for row in json.loads(listed)] == [id(3), id(4)]
    dropped = beltline(home, "buffer", "drop", "calls", "--reason", "old", "--until", second)
    assert "1 dropped" in dropped
    released = beltline(home, "buffer", "release", "calls", "--since", third, "--count", "all")
    assert "2 released" in released
    assert [row["id"] for row in waiting(home)] == [id(2)]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("requests", "nowhere"), "there is no source 'nowhere'; there are: calls"),
        (("release", "calls", "--id", "x"), "'x' is no run id"),
    ],
)
def test_what_is_wrong_is_told(home: Path, words: tuple[str, ...], told: str) -> None:
    assert told in beltline(home, "buffer", *words, code=1)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--since", "2026-11-25T10:00"), "has no offset from UTC"),
        (("--count", "0"), "'0' is no number from 1 on"),
        (("--count", "many"), "'many' is no number from 1 on"),
    ],
)
def test_a_wrong_choice_is_told(home: Path, words: tuple[str, ...], told: str) -> None:
    said = beltline(home, "buffer", "release", "calls", *words, code=2)
    assert told in " ".join(said.replace("│", " ").split())


def test_a_reason_is_needed(home: Path) -> None:
    assert "--reason" in beltline(home, "buffer", "drop", "calls", code=2)

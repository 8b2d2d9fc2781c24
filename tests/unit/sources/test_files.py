"""Files of a folder: what of them comes in, once, and what becomes of them."""

from __future__ import annotations

import json
import os
import tracemalloc
from pathlib import Path
from typing import Any

import msgspec
import pytest

from beltline.core.limits import PRODUCTION, TINY
from beltline.engine.ports import StoreAway
from beltline.sources.door import FeedTrouble, NotTaken
from beltline.sources.files.folder import LocalFolder
from beltline.sources.files.place import Entry
from beltline.sources.files.rows import read_rows, text_of
from tests.unit.api.stage import Stage
from tests.unit.sources.looking import Looking

HEAD = "source: drop\nkind: files\nprocess: lead\nfolder: in\nevery: 10s\nsettle: none\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "in"
    path.mkdir()
    return path


def names(folder: Path) -> list[str]:
    """What stands in a folder."""
    return sorted(path.name for path in folder.iterdir())


def looking(stage: Stage, folder: Path, rest: str = "", **more: Any) -> Looking:
    return Looking(stage, HEAD + rest, folder.parent, **more)


async def test_a_file_is_one_request_and_is_moved(stage: Stage, folder: Path) -> None:
    (folder / "a.json").write_text('\ufeff{"name": "Anna", "id": 9007199254740993}')
    (folder / "b.txt").write_text("Good day")
    os.utime(folder / "a.json", (1_764_000_000, 1_764_000_000))
    drop = looking(stage, folder)
    await drop.look()
    first, second = await drop.requests()
    assert first["request"] == {"name": "Anna", "id": 9007199254740993}
    assert first["meta"]["file"] == {
        "name": "a.json",
        "size": 43,
        "modified": "2025-11-24T16:00:00.000+00:00",
    }
    assert second["request"] == {"text": "Good day"}
    assert names(folder) == ["done"]
    assert (folder / "done/b.txt").read_text() == "Good day"
    await drop.look()
    assert len(await drop.bodies()) == 2


async def test_rows_are_requests_of_their_own(stage: Stage, folder: Path) -> None:
    (folder / "a.csv").write_bytes(
        'name;note\r\nАнна;"two\r\nlines"\r\n\r\nBob;x\r\n'.encode("cp1251")
    )
    (folder / "b.jsonl").write_text('{"name": "Eva"}\n\n[1]\n')
    rest = 'each: row\nencoding: windows-1251\ndelimiter: ";"\npattern: "*.csv"\n'
    await looking(stage, folder, rest).look()
    drop = looking(stage, folder, 'each: row\npattern: "*.jsonl"\nthen: delete\n')
    await drop.look()
    found = await drop.requests()
    assert [one["request"] for one in found] == [
        {"name": "Анна", "note": "two\r\nlines"},
        {"name": "Bob", "note": "x"},
        {"name": "Eva"},
        [1],
    ]
    assert [one["meta"]["file"]["row"] for one in found] == [1, 2, 1, 2]
    assert names(folder) == ["done"]


async def test_a_file_that_still_changes_is_left_alone(stage: Stage, folder: Path) -> None:
    drop = looking(stage, folder)
    drop.source = msgspec.structs.replace(
        drop.source, way=msgspec.structs.replace(drop.source.way, settle_ms=10_000)
    )
    drop.again()
    (folder / "a.txt").write_text("one")
    await drop.look()
    await drop.pass_ms(9_999)
    (folder / "a.txt").write_text("one two")
    await drop.look()
    await drop.pass_ms(9_999)
    drop.again()  # what was seen is known to every start, and to every node
    await drop.look()
    assert await drop.bodies() == []
    await drop.pass_ms(1)
    await drop.look()
    assert await drop.bodies() == [{"text": "one two"}]


async def test_kept_files_come_once_and_changed_ones_again(stage: Stage, folder: Path) -> None:
    drop = looking(stage, folder, "then: keep\n")
    (folder / "a.txt").write_text("one")
    await drop.look()
    drop.again()
    await drop.look()
    await drop.pass_ms(40 * 86_400_000)  # longer than identities are known
    await stage.store.purge_identities(stage.clock.now(), 100)
    await drop.look()
    assert await drop.bodies() == [{"text": "one"}]
    (folder / "a.txt").write_text("two!")
    await drop.look()
    assert await drop.bodies() == [{"text": "one"}, {"text": "two!"}]
    (folder / "a.txt").unlink()
    await drop.look()
    assert (await drop.door.cursor()) == {"seen": {}, "done": {}}


async def test_only_files_of_the_folder_whose_names_fit(stage: Stage, folder: Path) -> None:
    secret = folder.parent / "secret.csv"
    secret.write_text("a\n1\n")
    (folder / "link.csv").symlink_to(secret)
    os.mkfifo(folder / "pipe.csv")
    (folder / "deeper.csv").mkdir()
    for name in (".hidden.csv", "a.CSV", "a.csv.part"):
        (folder / name).write_text("a\n1\n")
    drop = looking(stage, folder, 'pattern: "*.csv"\neach: row\n')
    await drop.look()
    assert await drop.bodies() == []
    assert len(names(folder)) == 6
    with pytest.raises(OSError, match="symbolic links"):
        await LocalFolder(folder).open(Entry("link.csv", 4, 0, ""))


@pytest.mark.parametrize(
    ("name", "content", "rest", "reason"),
    [
        ("a.json", b'{"a": 1, "a": 2}', "", 'The key "a" stands twice'),
        ("a.json", b"{" * 3, "", "not JSON"),
        ("a.bin", b"\xff\xfe", "", "it is not utf-8"),
        ("a.txt", b"x" * 2_049, "", "more than 2,048 (limit request_body_bytes)"),
        ("a.json", b"[" * 9 + b"]" * 9, "", "request_depth"),
        ("a.txt", b"a\n1\n", "each: row\n", "it has no rows"),
        ("a.csv", b"", "each: row\n", "it is empty"),
        ("a.csv", b"a,,b\n", "each: row\n", "column 2 has no name"),
        ("a.csv", b"a,b,a\n", "each: row\n", "names the column 'a' twice"),
        ("a.csv", b"a\n" + b"x" * 17_000, "each: row\n", "16,384 (limit source_file_bytes)"),
        ("a.csv", b"a\n" + b"x" * 2_050, "each: row\n", "more than 2,048 characters"),
        ("a.csv", b'a\n"' + b"x,\n" * 900, "each: row\n", "more than 2,048 characters"),
        ("a.csv", b'a\n"x"y\n', "each: row\n", "line 2 is no CSV"),
        ("a.csv", b"a\n\xff\n", "each: row\n", "is not utf-8"),
        ("a.jsonl", b"x" * 2_050, "each: row\n", "more than 2,048 characters"),
    ],
)
async def test_what_cannot_be_taken_is_set_aside_with_its_reason(
    stage: Stage, folder: Path, name: str, content: bytes, rest: str, reason: str
) -> None:
    (folder / name).write_bytes(content)
    drop = looking(stage, folder, rest + "then: delete\n", limits=TINY)
    await drop.look()
    assert await drop.bodies() == []
    assert (folder / "failed" / name).read_bytes() == content
    assert reason in (folder / "failed" / f"{name}.reason.txt").read_text()
    assert drop.door.state.refused == 1
    assert reason in drop.door.state.refusal
    [verdict] = await drop.verdicts()
    assert reason in verdict.detail


async def test_the_good_rows_of_a_bad_file_are_taken(stage: Stage, folder: Path) -> None:
    rows = "a,b\n1,2\n3\n4,5\n6,7,8\n9,10\n"
    (folder / "a.csv").write_text(rows + '"')
    drop = looking(stage, folder, "each: row\n", limits=TINY)
    await drop.look()
    assert [one["a"] for one in await drop.bodies()] == ["1", "4", "9"]
    note = (folder / "failed/a.csv.reason.txt").read_text()
    assert note.splitlines() == [
        "row 2: line 3 has 1 cells, and the first line names 2",
        "row 4: line 5 has 3 cells, and the first line names 2",
        "line 7 is no CSV: unexpected end of data; nothing after it was read",
    ]
    assert drop.door.state.refused == 3
    broken, *unfit = await drop.verdicts()
    assert "is no CSV" in broken.detail
    assert [json.loads(one.meta)["file"]["row"] for one in unfit] == [4, 2]


async def test_names_in_done_are_never_taken_twice(stage: Stage, folder: Path) -> None:
    drop = looking(stage, folder)
    for text in ("one", "two", "three"):
        (folder / "a.txt").write_text(text)
        await drop.look()
    texts = sorted(path.read_text() for path in (folder / "done").iterdir())
    assert texts == ["one", "three", "two"]


class Stopped(Exception):
    """What a crash looks like from inside: nothing after it happens."""


@pytest.mark.parametrize("at", range(1, 20))
async def test_a_crash_at_any_point_brings_nothing_twice_and_loses_nothing(
    stage: Stage, folder: Path, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each way to the store and to the folder is a place to crash, before and after."""
    (folder / "a.csv").write_text("n\n" + "".join(f"{n}\n" for n in range(5)))
    (folder / "b.csv").write_text("n\n5\n6\n")
    drop = looking(stage, folder, "each: row\n", limits=TINY)
    steps = 0

    def crashing(call: Any) -> Any:
        async def called(*given: Any, **named: Any) -> Any:
            nonlocal steps
            steps += 1
            if steps == at:
                raise Stopped
            answer = await call(*given, **named)
            steps += 1
            if steps == at:
                raise Stopped
            return answer

        return called

    monkeypatch.setattr(drop.door, "offer_many", crashing(drop.door.offer_many))
    monkeypatch.setattr(drop.door, "move_on", crashing(drop.door.move_on))
    monkeypatch.setattr(LocalFolder, "put_away", crashing(LocalFolder.put_away))
    try:
        await drop.look()
    except Stopped:
        monkeypatch.undo()
        drop.again()
        await drop.look()
    else:
        assert steps < at
    assert sorted(int(one["n"]) for one in await drop.bodies()) == list(range(7))
    assert sorted(path.name for path in (folder / "done").iterdir()) == ["a.csv", "b.csv"]


async def test_trouble_with_one_file_does_not_keep_the_others(
    stage: Stage, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        (folder / f"{name}.txt").write_text(name)
    put_away = LocalFolder._put_away

    def refusing(self: LocalFolder, entry: Entry, to: str, note: str) -> None:
        if entry.name == "a.txt":
            raise PermissionError(13, "Permission denied")
        put_away(self, entry, to, note)

    monkeypatch.setattr(LocalFolder, "_put_away", refusing)
    drop = looking(stage, folder)
    for _ in range(2):
        with pytest.raises(FeedTrouble, match=r"a\.txt: Permission denied"):
            await drop.look()
    assert len(await drop.bodies()) == 3
    await drop.pass_ms(40 * 86_400_000)
    await stage.store.purge_identities(stage.clock.now(), 100)
    monkeypatch.undo()
    await drop.look()  # only the move was left to do
    assert len(await drop.bodies()) == 3
    assert len(list((folder / "done").iterdir())) == 3


async def test_a_store_that_is_away_leaves_the_file(
    stage: Stage, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "a.txt").write_text("one")
    drop = looking(stage, folder)
    stage.hub.node.intake.is_closed = True
    with pytest.raises(NotTaken):
        await drop.look()
    stage.hub.node.intake.is_closed = False

    async def away(*given: Any) -> None:
        raise StoreAway("gone")

    with monkeypatch.context() as patch:
        patch.setattr(drop.door, "offer_many", away)
        with pytest.raises(StoreAway):
            await drop.look()
    assert (folder / "a.txt").exists()
    await drop.look()
    assert await drop.bodies() == [{"text": "one"}]


async def test_more_files_than_one_look_takes(stage: Stage, folder: Path) -> None:
    for n in range(8):
        (folder / f"{n}.txt").write_text(str(n))
    drop = looking(stage, folder, limits=TINY)
    for _ in range(3):
        await drop.look()
    assert len(await drop.bodies()) == 8
    for n in range(4):
        (folder / f"{n}.txt").write_text(str(n))
    kept = looking(stage, folder, "then: keep\n", limits=TINY)
    with pytest.raises(FeedTrouble, match="limit source_files"):
        await kept.look()


async def test_a_folder_that_is_not_there_says_so(stage: Stage, folder: Path) -> None:
    os.rmdir(folder)  # noqa: PTH106 - nothing waits for it
    with pytest.raises(FeedTrouble, match="there is no folder"):
        await looking(stage, folder).look()


def test_a_large_file_of_rows_costs_little_memory(folder: Path) -> None:
    big = folder / "big.csv"
    with big.open("w") as file:
        file.write("n,text\n")
        for n in range(50_000):
            file.write(f"{n},{'x' * 90}\n")
    tracemalloc.start()
    try:
        with text_of(big.open("rb"), "utf-8") as text:
            rows = read_rows(text, "csv", "", PRODUCTION)
            assert sum(1 for _ in rows) == 50_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert big.stat().st_size > 4_500_000
    assert peak < 500_000

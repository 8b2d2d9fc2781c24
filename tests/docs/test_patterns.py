"""The page of the control-flow patterns is so: what a file shows makes its pattern the pattern."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest

from beltline.cli.check import check_file, home_of
from beltline.core.model import Process
from beltline.home_files import HomeFiles, read_home
from tests.docs.played_processes import Play, process_of

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "patterns.md"
FOLDER = ROOT / "examples" / "patterns"
FILES = sorted(FOLDER.glob("*.yaml"))


class Case(msgspec.Struct, forbid_unknown_fields=True):
    """One play of `file`, as `pattern_plays.yaml` has it."""

    file: str
    play: str
    request: dict[str, Any] = {}
    said: list[str] | None = None
    result: Any = None


CASES = msgspec.yaml.decode(
    Path(__file__).with_name("pattern_plays.yaml").read_bytes(), type=list[Case]
)
# A row of the page: number, name, verdict, how or why not, the link to the file.
LINE = re.compile(
    r"^\| (\d+) \| ([^|]+) \| (yes|partly|no) \| ([^|]+) \|(?: ([^|]*))? \|$", re.MULTILINE
)
LINK = re.compile(r"\[(\d\d)\]\(\.\./\.\./examples/patterns/(\1-\S+)\.yaml\)")
# What the check warns of where a pattern wants it so.
WANTED = re.compile("can both lead to|reads its own result|may not have finished when")


@cache
def modules() -> HomeFiles:
    """What a file on its own may use."""
    return read_home(home_of(FILES[0]))


@cache
def processes() -> dict[str, Process]:
    """All files, by their names."""
    return {file.stem: process_of(file, modules()) for file in FILES}


def lines() -> list[tuple[str, ...]]:
    """The rows of the page."""
    found: list[tuple[str, ...]] = LINE.findall(PAGE.read_text("utf-8"))
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_checks_and_says_what_to_see(file: Path) -> None:
    found = check_file(file, home_of(file), modules())
    unwanted = [f for f in found if f.severity == "error" or not WANTED.search(f.message)]
    assert [str(finding) for finding in unwanted] == []
    assert file.read_text("utf-8").startswith("# ")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.file)
def test_a_file_plays_its_pattern(case: Case) -> None:
    play = Play(processes(), case.file, case.request)
    for line in case.play.splitlines():
        told, where = re.split(r" +-> ", line)
        play.move(told)
        assert f"{told} -> {play.where}" == f"{told} -> {where}"
    if case.said is not None:
        assert play.said == case.said
    if case.result is not None:
        assert play.first.last_result == case.result


def test_the_page_has_each_pattern_once_with_its_file_or_with_a_reason() -> None:
    assert [int(number) for number, *_ in lines()] == list(range(1, 44))
    for number, name, verdict, how, file in lines():
        assert len(how) > 20, f"{name}: the page does not say how, or why not"
        if verdict == "no":
            assert file == "", f"{name} cannot be said, and has a file"
            continue
        link = LINK.fullmatch(file)
        assert link, f"{name} has no file"
        assert int(link[1]) == int(number)
        assert link[2] in processes()


def test_the_page_counts_its_verdicts() -> None:
    told = re.search(r"(\d+) × yes, (\d+) × partly, (\d+) × no", PAGE.read_text("utf-8"))
    counted = Counter(verdict for _, _, verdict, *_ in lines())
    assert told
    assert [int(n) for n in told.groups()] == [counted[v] for v in ("yes", "partly", "no")]


def test_each_file_is_linked_and_played_or_called_by_one_that_is() -> None:
    linked = {link[2] for link in LINK.finditer(PAGE.read_text("utf-8"))}
    assert linked == {case.file for case in CASES}
    texts = [file.read_text("utf-8") for file in FILES]
    called = {name for name in processes() if any(f"{{process: {name}" in text for text in texts)}
    assert processes().keys() == linked | called

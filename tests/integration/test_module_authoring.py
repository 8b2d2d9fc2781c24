"""What an author of a module meets: a beginning that works as it comes, and mypy that refuses a
handler of the wrong types.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# As far as a project of the author's own would be from this one.
OWN = {**os.environ, "MYPYPATH": str(ROOT / "src"), "PYTHONDONTWRITEBYTECODE": "1"}


def ran(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=OWN,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("author") / "hub"
    assert ran(folder.parent, "beltline", "init", "hub").returncode == 0
    made = ran(folder, "beltline", "modules", "new", "loud-words")
    assert made.returncode == 0, made.stderr
    return folder


def test_a_new_module_has_its_test_and_its_page(home: Path) -> None:
    page = (home / "modules" / "loud_words.md").read_text(encoding="utf-8")
    assert page.startswith("# loud-words\n")
    assert "## Parameters" in page
    tested = ran(home, "pytest", "-q", "-p", "no:cacheprovider", "tests")
    assert tested.returncode == 0, tested.stdout
    assert "2 passed" in tested.stdout
    checked = ran(home, "beltline", "check", "--strict", ".")
    assert checked.returncode == 0, checked.stderr


def test_the_test_of_a_new_module_can_fail(home: Path, tmp_path: Path) -> None:
    for part in ("modules/loud_words.py", "tests/test_loud_words.py"):
        copy = tmp_path / part
        copy.parent.mkdir()
        text = (home / part).read_text(encoding="utf-8")
        copy.write_text(text.replace("upper()", "lower()"), encoding="utf-8")
    tested = ran(tmp_path, "pytest", "-q", "-p", "no:cacheprovider", "tests")
    assert "2 failed" in tested.stdout


def test_nothing_is_written_over(home: Path) -> None:
    again = ran(home, "beltline", "modules", "new", "loud-words")
    assert again.returncode == 1
    assert "is there already" in again.stderr
    assert ran(home, "beltline", "modules", "new", "Loud").returncode == 2
    assert ran(home, "beltline", "modules", "new", "class").returncode == 2


def test_an_openapi_document_becomes_modules(home: Path) -> None:
    document = ROOT / "tests" / "unit" / "modules" / "shop.yaml"
    command = ("beltline", "modules", "import", str(document), "--name", "shop")
    for _ in range(2):  # a newer document is put in the place of the old one
        made = ran(home, *command)
        assert made.returncode == 0, made.stderr
        assert "5 modules of Shop API 1.4.0" in made.stderr
        assert "left out: POST /files: it takes no JSON" in made.stderr
    listed = ran(home, "beltline", "modules", "list", "--json")
    assert "shop.create-order" in listed.stdout
    checked = ran(home, "beltline", "check", "--strict", ".")
    assert checked.returncode == 0, checked.stderr
    refused = ran(home, *command[:-1], "loud-words")
    assert "is a module of its own" in refused.stderr
    assert ran(home, *command[:3], "nowhere.yaml", "--name", "x").returncode == 1


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_mypy_takes_a_new_module_and_refuses_a_handler_of_the_wrong_types(
    home: Path, tmp_path: Path
) -> None:
    text = (home / "modules" / "loud_words.py").read_text(encoding="utf-8")
    (tmp_path / "right.py").write_text(text, encoding="utf-8")
    test = (home / "tests" / "test_loud_words.py").read_text(encoding="utf-8")
    (tmp_path / "test_right.py").write_text(test, encoding="utf-8")
    wrongs = {
        "config": ("(config: LoudWordsConfig,", "(config: LoudWordsOutput,"),
        "output": ("output=LoudWordsOutput,", "output=LoudWordsConfig,"),
        "result": ("return LoudWordsOutput(text=config.text.upper())", "return config.text"),
        "effect": ('effect="idempotent"', 'effect="twice"'),
    }
    for name, (right, wrong) in wrongs.items():
        assert right in text
        broken = text.replace(right, wrong, 1)
        (tmp_path / f"wrong_{name}.py").write_text(broken, encoding="utf-8")
    told = ran(tmp_path, "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), ".")
    places = {line.partition(":")[0] for line in told.stdout.splitlines() if ": error:" in line}
    assert places == {f"wrong_{name}.py" for name in wrongs}, told.stdout + told.stderr

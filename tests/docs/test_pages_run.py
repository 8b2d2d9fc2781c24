"""What the pages show is so: their files are written, their commands run, their output found.

A page is played from its top in a folder of its own:

- a block whose first line is a comment with a path is written to that file;
- in a `console` block the lines with `$` are run, and the lines below have to be found in the
  output, in this order; `…` stands for anything. `beltline serve` runs on to the page's end;
- `ID` in a command is the last id that was printed. What looks at a run is asked until its lines
  are there, since a hub works meanwhile.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PLAYED = [
    ROOT / "README.md",
    *sorted((ROOT / "docs" / "tutorial").glob("*.md")),
    *sorted((ROOT / "docs" / "how-to").glob("*.md")),
]
PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"(?:<\?php //|#) (\S+/\S+|\S+\.php)\n")
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """The language and text of each fenced block."""
    for _, language, text in BLOCK.findall(page.read_text("utf-8")):
        yield language, text


def said(expected: list[str], output: str) -> str:
    """The first expected line that the output does not hold after those before it; "" for none."""
    rest = " ".join(output.split())
    for line in expected:
        parts = [re.escape(" ".join(part.split())) for part in line.split("…")]
        # Columns of a table may hold more between the words than one space.
        found = re.search(".*?".join(parts).replace(r"\ ", r"\s.*?"), rest)
        if not found:
            return line
        rest = rest[found.end() :]
    return ""


class Player:
    """Plays one page in a folder, against one free port in place of 8080."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._servers: list[subprocess.Popen[str]] = []
        self._id = ""
        with closing(socket.create_server(("127.0.0.1", 0))) as free:
            self._port = str(free.getsockname()[1])
        programs = str(Path(sys.executable).parent)
        self._environment = {
            **os.environ,
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "BELTLINE_SERVER_PORT": self._port,
            "COLUMNS": "400",
        }

    def write(self, text: str) -> None:
        """Writes a block that names its file."""
        named = FILE.match(text)
        assert named, f"no file is named in the first line of:\n{text}"
        file = self._folder / named[1]
        if file.parts[len(self._folder.parts)] == "my-hub" and not file.parent.exists():
            file.parent.mkdir(parents=True)
        file.write_text(text, "utf-8")

    def play(self, block: str) -> None:
        """Runs the commands of a console block."""
        for part in re.split(r"^\$ ", block.replace(":8080", f":{self._port}"), flags=re.MULTILINE):
            command, *expected = part.rstrip("\n").split("\n")
            if not command:
                continue
            command = re.sub(r"\bID\b", self._id, command)
            if "beltline serve" in command:
                self._serve(command, expected)
                continue
            output = self.run(command)
            while "beltline runs" in command and said(expected, output):
                output = self.run(command)  # the test has a time limit
            missing = said(expected, output)
            assert not missing, f"{command}\ndoes not print\n{missing}\nbut\n{output}"

    def run(self, command: str) -> str:
        """What a command prints. It has to succeed."""
        done = subprocess.run(
            ["bash", "-c", command],  # noqa: S607 - the user's own shell, as a reader would use it
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        output = done.stdout + done.stderr
        assert done.returncode == 0, f"{command}\n{output}"
        self._id = [self._id, *UUID.findall(output)][-1]
        return output

    def _serve(self, command: str, expected: list[str]) -> None:
        setting, _, program = command.rpartition(" beltline ") if "=" in command else ("", "", "")
        program = f"beltline {program}" if setting else command
        given = dict(pair.split("=", 1) for pair in setting.split())
        server = subprocess.Popen(
            program.split(),
            cwd=self._folder,
            env={**self._environment, **given},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._servers.append(server)
        assert server.stderr is not None
        output = ""
        while "listens on" not in output:
            line = server.stderr.readline()
            assert line, f"{command} ended:\n{output}"
            output += line
        assert not said(expected, output), output

    def stop(self) -> None:
        """Ends the servers."""
        for server in self._servers:
            server.terminate()
            server.communicate(timeout=30)


@pytest.mark.slow
@pytest.mark.parametrize("page", PLAYED, ids=lambda page: page.stem)
def test_a_page_runs(page: Path, tmp_path: Path) -> None:
    player = Player(tmp_path)
    home = tmp_path / "my-hub"
    if page.parent.name == "how-to":  # these begin with a home, which the tutorial makes
        home.mkdir()
        (home / "processes").mkdir()
        if "process: hello" in page.read_text("utf-8"):
            (home / "processes" / "hello.yaml").write_text(
                "process: hello\nsteps: [{id: hello, module: log, with: {message: hello}}]\n"
            )
    try:
        played = 0
        for language, text in blocks(page):
            if language == "console":
                player.play(text)
                played += 1
            elif FILE.match(text):
                player.write(text)
        assert played
    finally:
        player.stop()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_yaml_of_a_page_can_be_read(page: Path) -> None:
    for language, text in blocks(page):
        if language == "yaml":
            assert yaml.safe_load(text)


@pytest.mark.slow
def test_the_processes_of_the_explanations_check_and_run(tmp_path: Path) -> None:
    player = Player(tmp_path)
    ways = {}
    for page in (ROOT / "docs" / "explanation").glob("*.md"):
        for _, text in blocks(page):
            if named := re.match(r"process: (\S+)\n", text):
                (tmp_path / f"{named[1]}.yaml").write_text(text, "utf-8")
                player.play(f"$ beltline check {named[1]}.yaml\n1 checked: 0 errors\n")
                ran = player.run(f"beltline run {named[1]}.yaml 2>/dev/null")
                ways[named[1]] = json.loads(ran)["path"]
    begin, *ways_between, last = ways["two-ways"]
    assert (begin, sorted(ways_between), last) == ("begin", ["price", "stock"], "offer")
    assert ways["until-enough"] == ["count", "count", "count", "done"]


def test_the_commands_of_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    commands = re.findall(r"^make (\w+)", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    assert {"demo", "test"} <= set(commands)
    for name in commands:
        assert re.search(rf"^{name}:", makefile, re.MULTILINE), name


def test_a_line_that_was_not_printed_is_noticed() -> None:
    assert said(["a … c", "b"], "a x c\nb") == ""
    assert said(["b", "a"], "a b") == "a"
    assert said(["call-back … stopped"], "call-back  source  completed") != ""

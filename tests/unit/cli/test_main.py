"""The list of commands: quick to show, and true to the commands behind it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from beltline.cli.main import COMMANDS, load_command

# What serving, storing and calling out need, and the list of commands must not wait for.
HEAVY = ("aiohttp", "apsw", "asyncio", "msgspec", "starlette", "structlog", "uvicorn", "yaml")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_says_of_itself_what_the_list_says(name: str) -> None:
    assert load_command(name).help == COMMANDS[name].help


def test_showing_the_commands_imports_none_of_them() -> None:
    script = (
        "import sys\n"
        "from beltline.cli.main import main\n"
        "sys.argv = ['beltline', '--help']\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        f"    print('heavy:', sorted(set({HEAVY!r}) & set(sys.modules)))\n"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.splitlines()[-1] == "heavy: []"
    for name in COMMANDS:
        assert f" {name} " in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["chekc"], 2, "Did you mean 'check'?"),
        (["check", "nowhere"], 1, "nowhere is not there"),
        (["runs", "show", "x", "--home", "nowhere"], 1, "nowhere is no folder"),
        (["token", "create"], 2, "--role"),
        (["token", "create", "--role", "king"], 2, "'king' is no role"),
    ],
)
def test_errors_are_told_in_words_with_their_code(
    arguments: list[str], code: int, told: str
) -> None:
    command = [sys.executable, "-m", "beltline", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == code
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr

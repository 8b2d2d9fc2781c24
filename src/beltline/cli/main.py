"""The command line's entry: puts the commands together and turns errors into words.

A command's file is imported when the command runs, so that `--help` and the small commands do not
pay for the server, the store and the outgoing client.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

from beltline import __version__
from beltline.cli.console import EXIT_FAILURE, EXIT_STORE_BROKEN, say


class Entry(NamedTuple):
    """Where a command is: `attribute` of `beltline.cli.file` is its function, or the `Typer` of
    its own commands; `help` is its line in the list, word for word as the command itself says it.
    """

    file: str
    attribute: str
    help: str


COMMANDS = {
    "serve": Entry(
        "serve", "serve", "Serve a home: accept requests and move runs until SIGTERM or Ctrl-C."
    ),
    "init": Entry("init", "init", "Make a home with a first process and a first source."),
    "check": Entry(
        "check", "check", "Check homes and process files. Exit 0 when all is well, else 1."
    ),
    "publish": Entry(
        "publish", "publish", "Publish the process files that differ from their newest version."
    ),
    "run": Entry(
        "run", "run", "Take one request through a process, for real, and print where it went."
    ),
    "import": Entry(
        "import_php",
        "import_php",
        "Turn a PHP array of settings into a process that checks and runs.",
    ),
    "runs": Entry("runs", "app", "Look at runs, and mend those that stopped."),
    "buffer": Entry("buffer", "app", "See, order, release and drop what sources hold back."),
    "request": Entry("request", "app", "See what came in lately, also what was refused."),
    "event": Entry("event", "app", "Bring events to runs that wait, and see who does."),
    "source": Entry("source", "app", "Have a schedule bring a request now."),
    "worker": Entry(
        "worker",
        "worker",
        "Serve modules by HTTP or a broker until SIGTERM or Ctrl-C; connections are the home's.",
    ),
    "connection": Entry("connection", "app", "Test the accounts of outside systems."),
    "modules": Entry("modules", "app", "See the modules, and begin your own."),
    "secret": Entry("secret", "app", "Keep secrets in the hub, encrypted."),
    "token": Entry("token", "app", "Access tokens for the API."),
    "backup": Entry("backup", "backup", "Copy the store into a new file."),
    "move": Entry(
        "move",
        "move",
        "Move everything to an empty store, and check it row by row. No hub may run meanwhile.",
    ),
    "doctor": Entry(
        "doctor",
        "doctor",
        "Look at the settings, the files, the secrets and the store. Exit 0 when all is well.",
    ),
}


class Commands(TyperGroup):
    """The commands of the table: known by name and help, imported when one is called."""

    def __init__(self, **attributes: Any) -> None:
        attributes["commands"] = {
            name: TyperCommand(name, help=entry.help) for name, entry in COMMANDS.items()
        }
        super().__init__(**attributes)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command that is called, in place of its entry."""
        name, known, rest = super().resolve_command(ctx, args)
        return name, known if name is None else load_command(name), rest


def load_command(name: str) -> Any:
    """The command itself, from its file."""
    entry = COMMANDS[name]
    found = getattr(import_module(f"beltline.cli.{entry.file}"), entry.attribute)
    if isinstance(found, typer.Typer):
        return typer.main.get_group(found)
    single = typer.Typer(add_completion=False)
    single.command(name)(found)
    return typer.main.get_command(single)


app = typer.Typer(
    cls=Commands,
    name="beltline",
    help="An integration hub that carries every accepted request to its end.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    pass


def main() -> None:
    """Runs a command. Exit codes: 0, 1 for a failure, 2 for usage, 70 for a broken store."""
    try:
        app()
    except Exception as error:
        code = exit_code(error)
        if code is None:
            raise
        sys.exit(code)


def exit_code(error: Exception) -> int | None:
    """Tells an error that people can do something about; None for a mistake of the program."""
    from beltline.engine.ports import NotFound, StoreAway, StoreBroken, StoreFull
    from beltline.settings import SettingsError
    from beltline.stores import StoreUnavailable

    if isinstance(error, StoreBroken):
        say(f"beltline: the store failed, and the process ends so that it can recover: {error}")
        return EXIT_STORE_BROKEN
    told = (
        *(SettingsError, StoreUnavailable, StoreAway, StoreFull),
        *(NotFound, ValueError, OSError),
    )
    if isinstance(error, told):
        say(f"beltline: {error}")
        return EXIT_FAILURE
    return None

"""The command line's entry: puts the commands together and turns errors into words."""

from __future__ import annotations

import sys

import typer

from beltline import __version__
from beltline.cli import (
    backup,
    buffer,
    check,
    doctor,
    import_php,
    init,
    modules,
    publish,
    run,
    runs,
    serve,
    token,
)
from beltline.cli.console import EXIT_FAILURE, EXIT_STORE_BROKEN, say
from beltline.engine.ports import NotFound, StoreBroken, StoreFull
from beltline.settings import SettingsError
from beltline.stores import StoreUnavailable

app = typer.Typer(
    name="beltline",
    help="An integration hub that carries every accepted request to its end.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("serve")(serve.serve)
app.command("init")(init.init)
app.command("check")(check.check)
app.command("publish")(publish.publish)
app.command("run")(run.run)
app.command("import")(import_php.import_php)
app.add_typer(runs.app, name="runs")
app.add_typer(buffer.app, name="buffer")
app.add_typer(modules.app, name="modules")
app.add_typer(token.app, name="token")
app.command("backup")(backup.backup)
app.command("doctor")(doctor.doctor)


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
    except StoreBroken as broken:
        say(f"beltline: the store failed, and the process ends so that it can recover: {broken}")
        sys.exit(EXIT_STORE_BROKEN)
    except (SettingsError, StoreUnavailable, StoreFull, NotFound, ValueError, OSError) as error:
        say(f"beltline: {error}")
        sys.exit(EXIT_FAILURE)

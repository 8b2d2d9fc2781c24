"""How commands speak: results on stdout, everything else on stderr, lists also as JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from beltline.definition.finding import Finding

EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_STORE_BROKEN = 70  # EX_SOFTWARE: the service manager starts the hub again, and it recovers

HomeOption = Annotated[
    Path, typer.Option("--home", help="The home: the folder with beltline.toml.", show_default=True)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
StoreOption = Annotated[
    str | None, typer.Option("--store", help="The store's URL, over the home's own.")
]


def say(text: str) -> None:
    """A line for a person, on stderr."""
    typer.echo(text, err=True)


def fail(text: str, code: int = EXIT_FAILURE) -> NoReturn:
    """Ends the command with a reason."""
    say(f"beltline: {text}")
    raise typer.Exit(code)


def print_json(value: Any) -> None:
    """The result as JSON, indented, one line at its end."""
    import msgspec

    encoded = msgspec.json.format(msgspec.json.encode(value), indent=2)
    sys.stdout.write(encoded.decode() + "\n")


def print_rows(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table for people; what stands in it is text and never markup."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    Console().print(table)


def print_findings(findings: Iterable[Finding]) -> int:
    """`file:line:column: message` a line; gives the number of errors."""
    errors = 0
    for finding in findings:
        typer.echo(str(finding))
        errors += finding.severity == "error"
    return errors

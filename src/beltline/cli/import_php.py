"""`beltline import FILE.php`: the array of the original settings becomes a process file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from beltline.cli.console import EXIT_FAILURE, HomeOption, fail, say
from beltline.definition.importing import import_php as convert
from beltline.home_files import read_home
from beltline.settings import open_home


def import_php(
    file: Annotated[Path, typer.Argument(metavar="FILE.php", help="The PHP file.")],
    output: Annotated[
        Path | None, typer.Option("--output", help="Where to write. Default: beside, as .yaml.")
    ] = None,
    home: HomeOption = Path(),
) -> None:
    """Turn a PHP array of settings into a process that checks and runs."""
    if not file.is_file():
        fail(f"{file} is not there")
    target = output or file.with_suffix(".yaml")
    if target.exists():
        fail(f"{target} is there already; name another with --output")
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as wrong:
        fail(f"{file} is not UTF-8 text: {wrong}")
    modules = read_home(open_home(home)).catalog
    imported = convert(text, file=str(file), output_name=target.stem, modules=modules)
    for note in imported.notes:
        say(str(note))
    if imported.text is None:
        fail(f"{file} was not carried over", EXIT_FAILURE)
    target.write_text(imported.text, encoding="utf-8")
    say(f"{target} is written. Next: beltline check {target}")

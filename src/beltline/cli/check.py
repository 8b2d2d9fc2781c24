"""`beltline check [PATH…]`: everything that is wrong, at once, each with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from beltline.cli.console import EXIT_FAILURE, fail, print_findings, say
from beltline.definition.finding import Finding
from beltline.definition.process import read_process
from beltline.home_files import DEFINITIONS, HomeFiles, read_home
from beltline.settings import Home, open_home


def check(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PATH]…", help="Homes, or single process files. Default: here."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings are errors too.")] = False,
) -> None:
    """Check homes and process files. Exit 0 when all is well, else 1."""
    findings: list[Finding] = []
    count = 0
    for path in paths or [Path()]:
        if path.is_dir():
            home = open_home(path)
            files = read_home(home)
            findings.extend(files.findings)
            processes = home.files("processes", *DEFINITIONS)
        elif path.is_file():
            home = home_of(path)
            files = read_home(home)
            processes = [path]
        else:
            fail(f"{path} is not there")
        count += len(processes)
        for process in processes:
            findings.extend(check_file(process, home, files))
    errors = print_findings(findings)
    warnings = len(findings) - errors
    say(f"{count} checked: {errors} errors, {warnings} warnings")
    if errors or (strict and warnings):
        raise typer.Exit(EXIT_FAILURE)


def home_of(file: Path) -> Home:
    """The home that a process file stands in; for a file on its own, an empty one around it."""
    folder = file.resolve().parent
    return open_home(folder.parent if folder.name == "processes" else folder)


def check_file(file: Path, home: Home, files: HomeFiles) -> list[Finding]:
    """The findings of one process file. A file outside a home's `processes` names connections
    that nobody can look up, so they are taken as they stand.
    """
    inside = file.resolve().parent == (home.path / "processes").resolve()
    checked = read_process(
        file.read_text(encoding="utf-8"),
        name=file.stem,
        file=str(file),
        modules=files.catalog,
        connections=files.connection_kinds() if inside else None,
    )
    return checked.findings

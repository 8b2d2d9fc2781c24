"""What a server's processes are and what they used, and the account and folder that it runs with.

PostgreSQL and PgBouncer refuse to run as root, so then they run as the user `postgres` of Debian's
packages, or else as `nobody`, who must be able to reach the folder.
"""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ACCOUNTS = ("postgres", "nobody")  # the first that there is runs the servers of root
TICKS = os.sysconf("SC_CLK_TCK")


class NoServer(Exception):
    """The operator: a server that a test needs is not installed, or did not start. The text says
    why.
    """


class Stat(NamedTuple):
    """A process's parent, its own CPU seconds, and those of its children that ended."""

    parent: int
    own_s: float
    ended_s: float


def stat(pid: int) -> Stat | None:
    """What the kernel tells of a process; None when it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rsplit(")", 1)[1].split()
    user, system, ended_user, ended_system = (int(field) for field in fields[11:15])
    return Stat(int(fields[1]), (user + system) / TICKS, (ended_user + ended_system) / TICKS)


def with_children(pid: int) -> dict[int, Stat]:
    """The process and its children, each with its figures; empty when it is gone."""
    own = stat(pid)
    if own is None:
        return {}
    found = {pid: own}
    for path in Path("/proc").iterdir():
        if path.name.isdecimal():
            one = stat(int(path.name))
            if one is not None and one.parent == pid:
                found[int(path.name)] = one
    return found


class Place(NamedTuple):
    """A folder of a server's own, and the user and group that it runs as; None: as we do."""

    folder: Path
    user: int | None
    group: int | None


@contextmanager
def place_for(name: str, folder: Path) -> Iterator[Place]:
    """Makes a folder for a server's files under `folder`, and removes it at the end. As root it
    belongs to the first of `ACCOUNTS`; where that user cannot reach `folder`, as below the folders
    of pytest, it is made among the system's temporary files. Raises `NoServer`.
    """
    if os.geteuid() != 0:
        made = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=folder.resolve()))
        place = Place(made, None, None)
    else:
        accounts = {one.pw_name: one for one in pwd.getpwall() if one.pw_name in ACCOUNTS}
        if not accounts:
            raise NoServer(f"there is no user {' or '.join(ACCOUNTS)} to run {name} as")
        account = accounts[min(accounts, key=ACCOUNTS.index)]
        within = Path(tempfile.gettempdir())
        if _all_may_pass(folder.parent):
            folder.chmod(folder.stat().st_mode | 0o011)
            within = folder.resolve()
        made = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=within))
        os.chown(made, account.pw_uid, account.pw_gid)
        place = Place(made, account.pw_uid, account.pw_gid)
    try:
        yield place
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _all_may_pass(folder: Path) -> bool:
    path = folder.resolve()
    return all(one.stat().st_mode & 0o001 for one in (path, *path.parents))

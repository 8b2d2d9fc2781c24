"""The lock file beside the database: one process serves a store.

SQLite's own locks let several processes write in turn, which the command line needs; that only one
moves the runs is the hub's rule. The system drops the lock when its holder ends, however it ends.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from beltline.stores.errors import StoreInUse


class ServerLock:
    """Holds the lock of the database at `path` until `release`. Raises `StoreInUse`."""

    def __init__(self, path: Path) -> None:
        lock_path = path.with_name(path.name + ".lock")
        self._file = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._file, 32, 0).decode("ascii", "replace").strip()
            os.close(self._file)
            raise StoreInUse(
                f"the store {path} is served by another process"
                f" ({f'process {holder}' if holder else 'it is just starting'}):"
                " stop that one first, or give this one a home of its own"
            ) from None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, b"%d\n" % os.getpid(), 0)

    def release(self) -> None:
        """Lets another process serve the store; doing it twice is safe."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

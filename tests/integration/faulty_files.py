"""A file system for SQLite that fails on purpose: the n-th write or sync, as the test says."""

from __future__ import annotations

import threading
from typing import Any

import apsw


class FaultyFiles(apsw.VFS):
    """Passes everything on to the usual files, but for the fault that is armed.

    It counts writes and syncs from `arm` on; `fired` tells whether the fault came up.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._gate = threading.Lock()
        self._left = 0
        self._fault: apsw.Error | None = None
        self._calls: tuple[str, ...] = ()
        self.fired = False
        super().__init__(name, "")

    def arm(self, n: int, fault: apsw.Error, *calls: str) -> None:
        """The n-th of these calls from now on raises `fault`, once.

        A call is the file and what is done with it: "log sync", "database write".
        """
        with self._gate:
            self._left, self._fault, self._calls, self.fired = n, fault, calls, False

    def note(self, call: str) -> None:
        """Counts a call, and raises if it is the one."""
        with self._gate:
            if self._fault is None or call not in self._calls:
                return
            self._left -= 1
            if self._left:
                return
            fault, self._fault, self.fired = self._fault, None, True
        raise fault

    def xOpen(self, name: Any, flags: list[int]) -> FaultyFile:  # noqa: N802 - apsw's name
        """Opens a file of this file system."""
        return FaultyFile(self, name, flags)


class FaultyFile(apsw.VFSFile):
    """One file; asks before each call whether it shall fail."""

    def __init__(self, files: FaultyFiles, name: Any, flags: list[int]) -> None:
        self._files = files
        self._kind = "log" if flags[0] & apsw.SQLITE_OPEN_WAL else "database"
        super().__init__("", name, flags)

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802 - apsw's name
        self._files.note(f"{self._kind} read")
        return super().xRead(amount, offset)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802 - apsw's name
        self._files.note(f"{self._kind} write")
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802 - apsw's name
        self._files.note(f"{self._kind} sync")
        super().xSync(flags)

    def xTruncate(self, size: int) -> None:  # noqa: N802 - apsw's name
        self._files.note(f"{self._kind} truncate")
        super().xTruncate(size)

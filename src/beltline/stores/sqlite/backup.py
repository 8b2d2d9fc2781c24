"""A consistent copy of the store while it is in use."""

from __future__ import annotations

import os
from pathlib import Path

from beltline.stores.sqlite.connection import open_writer, sync_folder

# Writes a compact copy as of one moment.
COPY = "VACUUM INTO ?"


def write_backup(path: Path, target: Path, *, vfs: str | None) -> None:
    """Copies the store at `path` to `target`, durably. Raises `FileExistsError`, `OSError`.

    The copy appears under its name only when it is whole.
    """
    if target.exists():
        raise FileExistsError(f"the backup {target} exists: give it a new name")
    unfinished = target.with_name(target.name + ".unfinished")
    unfinished.unlink(missing_ok=True)
    os.close(os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        db = open_writer(path, durable=True, vfs=vfs)
        try:
            db.execute(COPY, (str(unfinished),))
        finally:
            db.close()
        copy = os.open(unfinished, os.O_RDWR | os.O_CLOEXEC)
        try:
            os.fsync(copy)
        finally:
            os.close(copy)
        os.link(unfinished, target)
    finally:
        unfinished.unlink(missing_ok=True)
    sync_folder(target)

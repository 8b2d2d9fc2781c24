"""Files of requests in a folder, by the hash of their content: `ab/cdef…` for sha256:abcdef….

A file is written under another name, synced, renamed, and its folder synced: what has its name is
whole, after a loss of power too. Nothing is ever changed, so several programs may write at once.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import BinaryIO

Content = bytes | memoryview
_ID = re.compile(r"sha256:([0-9a-f]{2})([0-9a-f]{62})\Z")
_PIECE = 262_144
_FOLDER_MODE = 0o700
_FILE_MODE = 0o600


class BlobFolder:
    """A `BlobStore` in a folder, which is made when the first file comes."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def keep(self, contents: Mapping[str, Content]) -> None:
        await asyncio.to_thread(self._keep_all, contents)

    async def read(self, id: str) -> tuple[int, AsyncIterator[bytes]] | None:
        path = self._path(id)
        if path is None:
            return None
        try:
            file = await asyncio.to_thread(path.open, "rb")
        except FileNotFoundError:
            return None
        return os.fstat(file.fileno()).st_size, _pieces(file)

    def _path(self, id: str) -> Path | None:
        """Where the content of an id is; None for what is no id, so that none leads elsewhere."""
        found = _ID.match(id)
        return None if found is None else self._root / found[1] / found[2]

    def _keep_all(self, contents: Mapping[str, Content]) -> None:
        folders: set[Path] = set()
        for id, content in contents.items():
            path = self._path(id)
            assert path is not None, "content is kept under the hash that it has"
            self._make_folder(path.parent)
            if not path.exists():
                _write(path, content)
            # Also where it was there already: whoever wrote it may not have come this far.
            folders.add(path.parent)
        for folder in folders:
            _sync_folder(folder)

    def _make_folder(self, folder: Path) -> None:
        if folder.is_dir():
            return
        self._root.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        folder.mkdir(mode=_FOLDER_MODE, exist_ok=True)
        _sync_folder(self._root)
        _sync_folder(self._root.parent)


def _write(path: Path, content: Content) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - of a descriptor
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


async def _pieces(file: BinaryIO) -> AsyncIterator[bytes]:
    """The content in pieces; closes the file when all are read, or the reader leaves."""
    with file:
        while piece := await asyncio.to_thread(file.read, _PIECE):
            yield piece

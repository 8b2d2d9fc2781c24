"""What modules read and make files with: the hub's files, with bounds."""

from __future__ import annotations

from collections.abc import AsyncIterator

from beltline.core.limits import Limits
from beltline.engine.attachments import BlobStore, attachment
from beltline.sdk import FileRef, FilesAway, NoFile


class StoredFiles:
    """`sdk.Files` over the files of requests."""

    def __init__(self, blobs: BlobStore, limits: Limits) -> None:
        self._blobs = blobs
        self._limits = limits

    async def open(self, ref: FileRef) -> StoredFile:
        """Begins to read a file."""
        try:
            found = await self._blobs.read(ref.blob)
        except OSError as wrong:
            raise FilesAway(f"the files cannot be read now: {wrong}") from wrong
        if found is None:
            raise NoFile(f"there is no file {ref.blob[:100]}; it may have been removed since")
        size, pieces = found
        true = FileRef(blob=ref.blob, name=ref.name, type=ref.type, bytes=size)
        return StoredFile(true, pieces, self._limits.module_file_bytes)

    async def keep(self, content: bytes, name: str, type: str) -> FileRef:
        """Keeps a file."""
        _check_size(len(content), name, self._limits.module_file_bytes)
        kept = attachment(content, name, type, name_bytes=self._limits.file_name_bytes)
        try:
            await self._blobs.keep({kept.id: content})
        except OSError as wrong:
            raise FilesAway(f"the file cannot be kept now: {wrong}") from wrong
        return FileRef(blob=kept.id, name=kept.name, type=kept.type, bytes=len(content))


class StoredFile:
    """`sdk.OpenFile`."""

    def __init__(self, ref: FileRef, pieces: AsyncIterator[bytes], most: int) -> None:
        self.ref = ref
        self._pieces = pieces
        self._most = most

    async def pieces(self) -> AsyncIterator[bytes]:
        """The content in pieces."""
        try:
            async for piece in self._pieces:
                yield piece
        except OSError as wrong:
            raise FilesAway(f"the file cannot be read now: {wrong}") from wrong

    async def read(self) -> bytes:
        """The whole content."""
        read = []
        async for piece in self.pieces():
            # In here, since a file that was opened is closed when its reader leaves.
            _check_size(self.ref.bytes, self.ref.name, self._most)
            read.append(piece)
        return b"".join(read)


def _check_size(size: int, name: str, most: int) -> None:
    if size > most:
        raise NoFile(
            f"the file {name[:100]!r} has {size:,} bytes, and at most {most:,} are handled at once"
            " (limit module_file_bytes)"
        )

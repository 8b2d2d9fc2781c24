"""Files as handlers read and make them: by reference, within bounds, over a real folder."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from beltline.blobs.folder import BlobFolder
from beltline.core.limits import TINY
from beltline.engine.files import StoredFiles
from beltline.sdk import FileRef, FilesAway, NoFile


def files(folder: Path) -> StoredFiles:
    return StoredFiles(BlobFolder(folder / "blobs"), TINY)


async def test_what_is_kept_is_read_by_its_reference(tmp_path: Path) -> None:
    kept = await files(tmp_path).keep(b"a;b", "../Prices.CSV", "Text/CSV; charset=utf-8")
    assert kept == FileRef(
        blob=f"sha256:{hashlib.sha256(b'a;b').hexdigest()}",
        name="Prices.CSV",
        type="text/csv",
        bytes=3,
    )
    opened = await files(tmp_path).open(FileRef(blob=kept.blob, name="x", bytes=10**9))
    assert opened.ref == FileRef(blob=kept.blob, name="x", bytes=3)
    assert await opened.read() == b"a;b"


async def test_an_empty_file(tmp_path: Path) -> None:
    kept = await files(tmp_path).keep(b"", "", "text/plain")
    assert await (await files(tmp_path).open(kept)).read() == b""


async def test_a_large_file_comes_in_pieces_and_not_as_a_whole(tmp_path: Path) -> None:
    content = bytes(TINY.module_file_bytes + 1)
    id = f"sha256:{hashlib.sha256(content).hexdigest()}"
    await BlobFolder(tmp_path / "blobs").keep({id: content})
    opened = await files(tmp_path).open(FileRef(blob=id, name="film.mp4"))
    with pytest.raises(NoFile, match=r"'film\.mp4' has 16,385 bytes.*limit module_file_bytes"):
        await opened.read()
    again = await files(tmp_path).open(FileRef(blob=id))
    assert sum([len(piece) async for piece in again.pieces()]) == len(content)
    with pytest.raises(NoFile, match="limit module_file_bytes"):
        await files(tmp_path).keep(content, "x", "text/plain")


async def test_files_that_are_not_there_and_places_that_cannot_be_used(tmp_path: Path) -> None:
    for blob in ("sha256:" + "0" * 64, "../../etc/passwd"):
        with pytest.raises(NoFile, match="there is no file"):
            await files(tmp_path).open(FileRef(blob=blob))
    (tmp_path / "blobs").write_text("a file where a folder should be")
    with pytest.raises(FilesAway):
        await files(tmp_path).keep(b"x", "x", "text/plain")

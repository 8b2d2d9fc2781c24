"""Files of requests in a folder: whole or not there, and durable when `keep` returns."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from beltline.blobs.folder import BlobFolder


def id_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


async def content_of(blobs: BlobFolder, id: str) -> bytes | None:
    found = await blobs.read(id)
    if found is None:
        return None
    size, pieces = found
    content = b"".join([piece async for piece in pieces])
    assert len(content) == size
    return content


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


@pytest.mark.parametrize("content", [b"", b"x", os.urandom(1_000_000)])
async def test_what_is_kept_is_read(tmp_path: Path, content: bytes) -> None:
    blobs = BlobFolder(tmp_path / "data" / "blobs")
    await blobs.keep({id_of(content): memoryview(content)})
    assert await content_of(blobs, id_of(content)) == content
    digest = id_of(content).removeprefix("sha256:")
    assert files(tmp_path) == [f"data/blobs/{digest[:2]}/{digest[2:]}"]


async def test_the_same_is_kept_once_and_others_beside_it(tmp_path: Path) -> None:
    blobs = BlobFolder(tmp_path)
    both = {id_of(b"a"): b"a", id_of(b"b"): b"b"}
    await blobs.keep(both)
    await blobs.keep(both)
    assert len(files(tmp_path)) == 2


@pytest.mark.parametrize(
    "id",
    ["", "sha256:", "sha256:" + "0" * 64, "0" * 64, "sha256:" + "0" * 63, "sha256:" + "0" * 65,
     "sha256:" + "A" * 64, "md5:" + "0" * 64, "sha256:../../../etc/passwd", "sha256:" + "/" * 64,
     "sha256:" + "0" * 64 + "\n"],
)  # fmt: skip
async def test_what_is_no_id_of_a_file_gives_nothing(tmp_path: Path, id: str) -> None:
    assert await BlobFolder(tmp_path).read(id) is None


async def test_only_the_hub_may_read_them(tmp_path: Path) -> None:
    root = tmp_path / "blobs"
    await BlobFolder(root).keep({id_of(b"a"): b"a"})
    assert [path.stat().st_mode & 0o077 for path in (root, *root.rglob("*"))] == [0, 0, 0]


async def test_a_file_and_the_folders_that_name_it_are_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    root = tmp_path / "blobs"
    id = id_of(b"a")
    folder = str(root / id[7:9])
    await BlobFolder(root).keep({id: b"a"})
    assert synced[-2].startswith(f"{folder}/.")
    assert synced[-1] == folder
    assert {str(root), str(tmp_path)} <= set(synced)
    # One that is there already may have been renamed a moment ago, by another program.
    synced.clear()
    await BlobFolder(root).keep({id: b"a"})
    assert synced == [folder]


async def test_a_write_that_fails_leaves_nothing_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "no space left")

    blobs = BlobFolder(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="no space left"):
            await blobs.keep({id_of(b"a"): b"a"})
    assert files(tmp_path) == []
    assert await content_of(blobs, id_of(b"a")) is None


async def test_a_reader_that_leaves_closes_the_file(tmp_path: Path) -> None:
    blobs = BlobFolder(tmp_path)
    await blobs.keep({id_of(b"a" * 600_000): b"a" * 600_000})
    before = open_files()
    found = await blobs.read(id_of(b"a" * 600_000))
    assert found is not None
    pieces: Any = found[1]
    await anext(pieces)
    assert open_files() == before + 1
    await pieces.aclose()
    assert open_files() == before

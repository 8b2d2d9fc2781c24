"""Files of requests, as handlers read and make them: never by a path, always by a reference.

    {"blob": "sha256:…", "name": "prices.csv", "type": "text/csv", "bytes": 48213}

This is what stands in the document for a file. The content is its name, so nothing is ever changed
and the same file is kept once, however often it is made.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Protocol

import msgspec

from beltline.sdk.meta import field


class FileRef(msgspec.Struct):
    """A file in the document; what an author gives needs `blob` alone."""

    blob: Annotated[
        str,
        field(
            "File",
            "The name of the content.",
            examples=["sha256:" + "0" * 64],
            pattern="^sha256:[0-9a-f]{64}$",
        ),
    ]
    name: Annotated[str, field("Name", "What the file is called.")] = ""
    type: Annotated[str, field("Type", "Its media type.")] = "application/octet-stream"
    bytes: Annotated[int, field("Bytes", "How large it is.")] = 0


class NoFile(Exception):
    """The author: there is no such file here, or it passes a bound, which the text names."""


class FilesAway(Exception):
    """The world: files cannot be read or kept now. An exception like any other is tried again."""


class OpenFile(Protocol):
    """A file that is being read; `ref` says what it is, with its true size."""

    @property
    def ref(self) -> FileRef:
        """Its reference."""
        ...

    def pieces(self) -> AsyncIterator[bytes]:
        """Its content in pieces, once. Raises `FilesAway`."""
        ...

    async def read(self) -> bytes:
        """Its whole content. Raises `NoFile` where it is larger than the bound
        `module_file_bytes`, and `FilesAway`.
        """
        ...


class Files(Protocol):
    """Where files are kept."""

    async def open(self, ref: FileRef) -> OpenFile:
        """Begins to read a file. Raises `NoFile` and `FilesAway`."""
        ...

    async def keep(self, content: bytes, name: str, type: str) -> FileRef:
        """Keeps a file, durably, and gives what to put into the result. Raises `NoFile` where it
        is larger than the bound `module_file_bytes`, and `FilesAway`.
        """
        ...

"""Files that came with a request: kept beside it, and named in its document.

    {"blob": "sha256:…", "name": "passport.jpg", "type": "image/jpeg", "bytes": 48213}

The name of the content is its hash, so the same file is kept once. It is durable before the
request is: a document never names a file that is not there.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

import msgspec

_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,99}/[a-z0-9][a-z0-9!#$&^_.+-]{0,99}\Z")
_ANY_TYPE = "application/octet-stream"


class Attachment(msgspec.Struct, frozen=True):
    """One file: `id` is that of its `content`; `name` and `type` are what the sender called it."""

    id: str
    name: str
    type: str
    content: bytes | memoryview

    def reference(self) -> dict[str, Any]:
        """What stands in the document."""
        size = len(self.content)
        return {"blob": self.id, "name": self.name, "type": self.type, "bytes": size}


class BlobStore(Protocol):
    """Where files are kept, by the id of their content. All raise `OSError` where it cannot be used
    now.
    """

    async def keep(self, contents: Mapping[str, bytes | memoryview]) -> None:
        """Returns when all of them have survived a loss of power; keeping one again is nothing."""
        ...

    async def read(self, id: str) -> tuple[int, AsyncIterator[bytes]] | None:
        """How many bytes are kept under an id, and they, in pieces; None where there are none."""
        ...


def attachment(content: bytes | memoryview, name: str, type: str, *, name_bytes: int) -> Attachment:
    """A file that came in. Of its name only the last part counts, up to `name_bytes`: how folders
    are called at the sender's is nobody's business here.
    """
    last = name.replace("\\", "/").rpartition("/")[2]
    shown = "".join(letter if letter.isprintable() else "_" for letter in last).strip()
    short = shown.encode("utf-8", "replace")[-name_bytes:].decode("utf-8", "ignore")
    small = type.partition(";")[0].strip().lower()
    return Attachment(
        f"sha256:{hashlib.sha256(content).hexdigest()}",
        "" if short in (".", "..") else short,
        small if _TYPE.match(small) else _ANY_TYPE,
        content,
    )

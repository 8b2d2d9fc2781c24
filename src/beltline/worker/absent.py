"""What a worker does not have: the hub's memory, and its files."""

from __future__ import annotations

from typing import Any

from beltline.sdk import FileRef, NoFile, OpenFile


class NoMemory:
    """What modules remember lies in the hub's store, which a worker does not reach."""

    async def get(self, space: str, key: str) -> Any | None:
        """Refused."""
        raise _no_memory(space, key)

    async def put(
        self,
        space: str,
        key: str,
        value: Any,  # noqa: ARG002 - the shape of `sdk.KeyValue`
        *,
        ttl_s: float | None = None,  # noqa: ARG002 - the same
    ) -> None:
        """Refused."""
        raise _no_memory(space, key)

    async def put_if_absent(
        self,
        space: str,
        key: str,
        value: Any,  # noqa: ARG002 - the same
        *,
        ttl_s: float | None = None,  # noqa: ARG002 - the same
    ) -> Any:
        """Refused."""
        raise _no_memory(space, key)

    async def delete(self, space: str, key: str) -> bool:
        """Refused."""
        raise _no_memory(space, key)


def _no_memory(space: str, key: str) -> RuntimeError:
    return RuntimeError(
        f"a worker has no memory, so {key[:100]!r} of {space[:100]!r} cannot be asked for: write"
        " `remember` and `recall` as steps"
    )


class NoFiles:
    """The files of requests lie beside the hub, which a worker does not reach."""

    async def open(self, ref: FileRef) -> OpenFile:
        """Refused."""
        raise NoFile(f"a worker has no files of the hub, so {ref.blob[:100]!r} cannot be read here")

    async def keep(
        self,
        content: bytes,  # noqa: ARG002 - the shape of `sdk.Files`
        name: str,
        type: str,  # noqa: ARG002 - the same
    ) -> FileRef:
        """Refused."""
        raise NoFile(f"a worker keeps no files, so {name[:100]!r} cannot be given back as one")

"""What `remember`, `recall` and `forget` use: JSON values in the store, with expiry."""

from __future__ import annotations

from typing import Any

import msgspec

from beltline.engine.ports import Clock, Store

OWN_SPACES = "hub:"


class StoredMemory:
    """`sdk.KeyValue` over the store; shared by all runs and durable when a call returns. Spaces
    that begin with `hub:` are the hub's own, and raise `ValueError`.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def get(self, space: str, key: str) -> Any | None:
        """The live value, or None."""
        value = await self._store.value(_open(space), key, self._clock.now())
        return None if value is None else msgspec.json.decode(value)

    async def put(self, space: str, key: str, value: Any, *, ttl_s: float | None = None) -> None:
        """Sets the value."""
        expires_at = None if ttl_s is None else self._clock.now() + round(ttl_s * 1_000)
        await self._store.put_value(_open(space), key, msgspec.json.encode(value), expires_at)

    async def put_if_absent(
        self, space: str, key: str, value: Any, *, ttl_s: float | None = None
    ) -> Any:
        """Sets the value unless there is a live one; gives the one that is there then."""
        now = self._clock.now()
        expires_at = None if ttl_s is None else now + round(ttl_s * 1_000)
        encoded = msgspec.json.encode(value)
        first = await self._store.put_value_if_absent(_open(space), key, encoded, expires_at, now)
        return msgspec.json.decode(first)

    async def delete(self, space: str, key: str) -> bool:
        """Removes the value; tells whether there was a live one."""
        return await self._store.delete_value(_open(space), key, self._clock.now())


def _open(space: str) -> str:
    if space.startswith(OWN_SPACES):
        raise ValueError(f"the space {space[:100]!r} is the hub's own: choose another name")
    return space

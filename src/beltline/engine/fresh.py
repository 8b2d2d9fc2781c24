"""Values of the store that are asked for at every request, and may be a second old."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from beltline.engine.ports import Clock

T = TypeVar("T")

MAX_AGE_MS = 1_000  # other programs, such as the command line, change them too


class Fresh(Generic[T]):
    """A loaded value, loaded anew once it is older than `MAX_AGE_MS`.

    While one caller loads it anew, the others go on with the old one.
    """

    def __init__(self, load: Callable[[], Awaitable[T]], clock: Clock) -> None:
        self._load = load
        self._clock = clock
        self._value: T | None = None
        self._loaded_at = 0
        self._changes = 0

    async def get(self, max_age_ms: int = MAX_AGE_MS) -> T:
        """The value, at most so old."""
        now = self._clock.now()
        if self._value is not None and now - self._loaded_at < max_age_ms:
            return self._value
        before, self._loaded_at = self._loaded_at, now
        changes = self._changes
        try:
            value = await self._load()
        except BaseException:
            self._loaded_at = before
            raise
        if changes == self._changes:  # else it may have been read before the change
            self._value = value
        return value

    def forget(self) -> None:
        """The value has just been changed: the next caller loads it."""
        self._value = None
        self._changes += 1

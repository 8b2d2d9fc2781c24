"""Which files of a place are done with, and since when the others have not changed.

It is the feed's cursor, so that every node and every start knows it. It holds no more than what the
place lists.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from beltline.sources.files.place import Entry


class Seen(msgspec.Struct):
    """A version of a file that was there at `since` (Unix ms) and is not done with."""

    version: str
    since: int


class Done(msgspec.Struct):
    """A version of a file whose requests are durable; `note` tells what of it was not taken."""

    version: str
    note: str = ""


class _Kept(msgspec.Struct):
    seen: dict[str, Seen] = {}
    done: dict[str, Done] = {}


class Ledger:
    """Read from a cursor, and kept as one while `has_changed`."""

    def __init__(self, cursor: Any) -> None:
        kept = msgspec.convert(cursor or {}, _Kept)
        self._seen = kept.seen
        self._done = kept.done
        self.has_changed = False

    @property
    def cursor(self) -> Any:
        """What is to be kept."""
        return msgspec.to_builtins(_Kept(self._seen, self._done))

    def settled(self, entry: Entry, now: int, settle_ms: int) -> bool:
        """Whether the file has stayed as it is for `settle_ms`, as far as anybody saw."""
        seen = self._seen.get(entry.name)
        if seen is None or seen.version != entry.version:
            if not settle_ms:
                return True
            self._seen[entry.name] = Seen(entry.version, now)
            self.has_changed = True
            return False
        return now - seen.since >= settle_ms

    def done(self, entry: Entry) -> Done | None:
        """How this version of the file ended; None where it is to be read."""
        done = self._done.get(entry.name)
        return done if done is not None and done.version == entry.version else None

    def is_done(self, entry: Entry, note: str) -> Done:
        """All of this version is durable, or told by `note` why not."""
        done = self._done[entry.name] = Done(entry.version, note)
        self._seen.pop(entry.name, None)
        self.has_changed = True
        return done

    def is_gone(self, name: str) -> None:
        """The file is no longer there."""
        gone = [kept.pop(name, None) for kept in (self._seen, self._done)]
        self.has_changed = self.has_changed or any(gone)

    def keep_only(self, names: Iterable[str]) -> None:
        """These are all the files that there are."""
        for name in (self._seen.keys() | self._done.keys()) - set(names):
            self.is_gone(name)

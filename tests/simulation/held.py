"""What is durable of buffers: who is held, in which place, and behind whom."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from beltline.engine.records import HeldRequest, NewRequest, RunChange
from tests.simulation.waits import Waits


class Held(Waits, msgspec.Struct):
    """The tables of buffers. Of each line (a source and a key) `lines` has the head, and whether it
    is passed when it has stopped; `due` has the time that a source's schedule reached, and how many
    may still go for it.
    """

    held: dict[bytes, NewRequest] = {}
    places: dict[bytes, int] = {}
    lines: dict[tuple[str, str], tuple[bytes, bool]] = {}
    due: dict[str, tuple[int, int]] = {}

    def hold(self, request: NewRequest) -> None:
        """Puts a request into its buffer."""
        self.held[request.key] = request
        self.places[request.key] = request.place
        if request.line:
            line = (request.source, request.line)
            head, _ = self.lines.get(line, (request.key, False))
            self.lines[line] = (head, request.passes_stopped)

    def behind(self, key: bytes) -> bytes | None:
        """What a held request has to wait for."""
        request = self.held[key]
        head = self.lines[request.source, request.line][0] if request.line else key
        return None if head == key else head

    def move_line_on(self, change: RunChange) -> None:
        """Lets the next of a line go whose head has ended."""
        has_ended = change.status in ("completed", "cancelled") and not change.owned
        for line, (head, passes) in list(self.lines.items()):
            if head == change.key and (has_ended or (passes and change.status == "stopped")):
                rest = [k for k, r in self.held.items() if (r.source, r.line) == line]
                if rest:
                    self.lines[line] = (min(rest), passes)
                else:
                    del self.lines[line]

    def in_order(self, source: str) -> list[bytes]:
        """What a source holds, by place and key."""
        keys = [key for key, request in self.held.items() if request.source == source]
        return sorted(keys, key=lambda key: (self.places[key], key))

    def put_first(self, keys: Sequence[bytes], *, first: bool) -> int:
        """See `Store.put_first`."""
        there = [key for key in keys if key in self.held]
        for source in {self.held[key].source for key in there}:
            order = self.in_order(source)
            own = [key for key in order if key in there]
            begin = self.places[order[0]] - len(own) if first else self.places[order[-1]] + 1
            for number, key in enumerate(own):
                self.places[key] = begin + number
        return len(there)

    def waiting_request(self, key: bytes) -> HeldRequest:
        """A held request as lists show it."""
        request = self.held[key]
        return HeldRequest(
            key,
            request.source,
            request.process,
            request.line,
            self.places[key],
            request.expires_at,
            self.behind(key),
        )

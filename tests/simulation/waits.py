"""What is durable of events: what runs wait for, and the events that are kept for them."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from beltline.engine.event_store import OutsideEvent
from beltline.engine.records import Expectation
from tests.simulation.windows import Windows


class Waits(Windows, msgspec.Struct):
    """`awaited` is by (run, step, visit), `events` by their ids, with the number of runs that each
    was given to. It stands on windows since a Struct has one base.
    """

    awaited: dict[tuple[bytes, str, int], Expectation] = {}
    events: dict[str, tuple[OutsideEvent, int]] = {}

    def expect(self, one: Expectation, post: Callable[[bytes, bytes, int], int]) -> None:
        """A visit waits, or its run is given at once what was kept."""
        wanted = (one.name, one.event_key)
        kept = [
            (event.at, event.id.encode())
            for event, _ in self.events.values()
            if event.body and (event.name, event.key) == wanted and event.keep_until > one.at
        ]
        if not kept or one.kind != "event":
            self.awaited[one.key, one.step, one.visit] = one
            return
        event, runs = self.events[min(kept)[1].decode()]
        self.events[event.id] = (msgspec.structs.replace(event, body=b""), runs + 1)
        for place, other in list(self.awaited.items()):
            if (
                place[0] == one.key
                and other.kind == "event"
                and (other.name, other.event_key) == wanted
            ):
                del self.awaited[place]
        post(one.key, event.body, one.at)

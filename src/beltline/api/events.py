"""Operations on events from outside: bringing one to the runs, and seeing what runs wait for."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from beltline.api.access import Role
from beltline.api.operation import Call, Nothing, operation
from beltline.api.problem import Problem
from beltline.api.runs import PageLength, key_in_query, page_length
from beltline.core.duration import DurationError, parse_duration_ms
from beltline.core.explanation import moment
from beltline.core.inputs import EventArrived
from beltline.engine.event_store import ExpectationFilter
from beltline.engine.ids import id_of
from beltline.engine.outside_events import KEEP_MS, WrongEvent, give


class EventBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An event. The `id` is the sender's: the same event sent again under it is taken in once.
    `keep` is how long the event is kept where no run waits for it, an hour unless it says so.
    """

    name: Annotated[str, Meta(min_length=1)]
    key: str = ""
    id: str | None = None
    data: Any = None
    keep: str | None = None


class EventTold(msgspec.Struct, frozen=True):
    """The event is durable. It was given to so many `runs`; with none it is kept until
    `kept_until`, for the first that waits for it. `repeat`: it was taken in before, and this is
    what became of it then.
    """

    id: str
    runs: int
    kept_until: str | None
    repeat: bool


class WaitShown(msgspec.Struct, frozen=True):
    """A visit of a run that waits for an event, and since when."""

    run: str
    step: str
    visit: int
    name: str
    key: str
    since: str


class WaitPage(msgspec.Struct, frozen=True):
    """What runs wait for, the oldest run first; `next` is the `after` of the next page."""

    waits: list[WaitShown]
    next: str | None


class WaitQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which of them; `after` is what the page before gave as `next`."""

    name: str | None = None
    after: str | None = None
    limit: PageLength | None = None


@operation(
    needs=Role.OPERATOR,
    body=EventBody,
    answer=EventTold,
    status=202,
    problems=(409, 413, 415, 422),
)
async def send_event(call: Call[Nothing, EventBody]) -> EventTold:
    """Brings an event to every run that waits for its name and key; with none it is kept."""
    hub, body = call.hub, call.body
    keep_ms = KEEP_MS
    if body.keep is not None:
        try:
            keep_ms = parse_duration_ms(body.keep)
        except DurationError as wrong:
            raise Problem(422, "wrong-body", f"keep: {str(wrong)[:200]}.") from wrong
    key, now = hub.node.intake.new_key()
    arrived = EventArrived(body.id or id_of(key), body.name, body.key, body.data, now)
    try:
        taken = await give(hub.store, arrived, keep_ms, limits=hub.limits)
    except WrongEvent as wrong:
        raise Problem(422, "wrong-event", f"This is no event: {str(wrong)[:300]}.") from wrong
    if not taken.is_same:
        raise Problem(
            409,
            "event-id-taken",
            "Another event came in under this id. Send a new id, or the same event.",
        )
    if taken.runs:
        hub.wake_runs()
    kept = not taken.runs and not taken.is_repeat
    return EventTold(
        arrived.id, taken.runs, moment(now + keep_ms) if kept else None, taken.is_repeat
    )


@operation(needs=Role.VIEWER, query=WaitQuery, answer=WaitPage, problems=(400,))
async def list_waits(call: Call[WaitQuery, Nothing]) -> WaitPage:
    """Lists the events that runs wait for."""
    hub, query = call.hub, call.query
    limit = page_length(query.limit, hub.limits.page)
    after = None if query.after is None else place_of(query.after)
    found = await hub.store.expectations(ExpectationFilter("event", query.name, after), limit)
    waits = [
        WaitShown(id_of(one.key), one.step, one.visit, one.name, one.event_key, moment(one.at))
        for one in found
    ]
    last = waits[-1] if len(waits) == limit else None
    return WaitPage(waits, None if last is None else f"{last.run}/{last.step}/{last.visit}")


def place_of(text: str) -> tuple[bytes, str, int]:
    """A visit of a run, written `run/step/visit`. Raises `Problem` (400)."""
    run, _, rest = text.partition("/")
    step, _, visit = rest.rpartition("/")
    if not visit.isdigit() or len(visit) > 9:
        raise Problem(400, "wrong-query", "after is what the page before gave as `next`.")
    return key_in_query(run, "after"), step, int(visit)

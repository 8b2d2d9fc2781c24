"""Operations on sources that look for themselves: how they fare, and a schedule's "run now"."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from beltline.api.access import Role
from beltline.api.hub import Hub
from beltline.api.operation import Call, Nothing, operation
from beltline.api.problem import Problem, unavailable
from beltline.core.explanation import moment
from beltline.definition.schedule import ScheduleWay
from beltline.engine.ids import id_of
from beltline.sources.reception import NoProcess


class FeedView(msgspec.Struct, frozen=True):
    """How a source that looks for itself fares on the node that answers. `failing`: the last look
    went wrong, and it is tried again; `last_error` stays after that. `taken` and `refused` count
    requests since the node started. Times are ISO 8601, null for never.
    """

    state: Literal["running", "failing", "stopped"]
    last_look: str | None
    last_request: str | None
    last_error: str
    last_error_at: str | None
    taken: int
    refused: int
    last_refusal: str


class RunNow(msgspec.Struct, frozen=True):
    """The request that a schedule brought by hand; `run` is null while it waits in a buffer."""

    request: str
    run: str | None
    status: str


def feed_view(hub: Hub, source: str) -> FeedView | None:
    """How a source's feed fares; None where it has none on this node."""
    state = hub.feeds.state(source)
    if state is None:
        return None
    return FeedView(
        state="stopped"
        if not hub.feeds.is_running(source)
        else "failing"
        if state.is_failing
        else "running",
        last_look=_moment(state.looked_at),
        last_request=_moment(state.brought_at),
        last_error=state.error,
        last_error_at=_moment(state.error_at),
        taken=state.brought,
        refused=state.refused,
        last_refusal=state.refusal[:500],
    )


@operation(
    needs=Role.OPERATOR, body=Nothing, answer=RunNow, status=202, problems=(404, 409, 422, 503)
)
async def run_source_now(call: Call[Nothing, Nothing]) -> RunNow:
    """Has a schedule bring a request now, beside its times."""
    hub = call.hub
    source = hub.sources.get(call.path["source"])
    if source is None:
        raise Problem(404, "no-such-source", "There is no source of this name.")
    if not isinstance(source.way, ScheduleWay):
        raise Problem(
            409, "no-schedule", f"{source.name} is a {source.kind}: only a schedule runs by hand."
        )
    if reason := hub.node.intake.refusal():
        raise unavailable("not-accepting", f"No request can be accepted now: {reason}.")
    try:
        fired = await hub.firing(source).fire_now()
    except NoProcess as why:
        raise Problem(409, "no-such-process", f"{str(why)[:500]}. Publish it first.") from why
    hub.wake_runs()
    id = id_of(fired.key)
    return RunNow(id, None if fired.held else id, f"/api/v1/runs/{id}")


def _moment(at: int | None) -> Any:
    return None if at is None else moment(at)

"""Operations on connections: their limits and how much of them is used, outages, and tests."""

from __future__ import annotations

import msgspec

from beltline.api.access import Role
from beltline.api.operation import Call, Nothing, operation
from beltline.api.problem import Problem
from beltline.catalog.connection_tests import NoTest
from beltline.catalog.limiting import connection_rule, line_of
from beltline.core.explanation import moment
from beltline.definition.connection import ConnectionFile
from beltline.definition.finding import nearest
from beltline.engine.breaker import State


class ConnectionLimitsView(msgspec.Struct, frozen=True):
    """What the outside system bears; null: no limit."""

    rate_per_s: float | None
    burst: int | None
    concurrency: int | None
    batch: int | None
    quota: int | None
    timezone: str


class OutageView(msgspec.Struct, frozen=True):
    """Whether the other side can be reached, as this node sees it. `breaker` is null where the file
    says `outage: fail`. Moments are ISO 8601.

    While the breaker is `open` no step is called but a probe at `probe_at`; while it is `trying`,
    few at a time.
    """

    breaker: State | None
    since: str | None
    probe_at: str | None
    last_error: str
    last_error_at: str | None


class UseView(msgspec.Struct, frozen=True):
    """How much of a connection is used, as this node sees it: requests that are `left` of its burst
    (null: not limited, or not used yet), calls `under_way`, calls that wait here for a moment, and
    when the last of its parked steps is to have its turn.
    """

    left: float | None
    under_way: int
    waiting: int
    parked_until: str | None


class ConnectionView(msgspec.Struct, frozen=True):
    """A connection. Of its secret only this is told: the name, and whether it is set."""

    connection: str
    kind: str
    address: str
    secret: str | None
    secret_is_set: bool
    private_addresses: str
    limits: ConnectionLimitsView
    use: UseView
    outage: OutageView


class ConnectionList(msgspec.Struct, frozen=True):
    """All connections, by name."""

    connections: list[ConnectionView]


class ConnectionTested(msgspec.Struct, frozen=True):
    """What came of a test; `found` is what is there, or what has to be changed."""

    connection: str
    ok: bool
    found: str


@operation(needs=Role.VIEWER, answer=ConnectionList)
async def list_connections(call: Call[Nothing, Nothing]) -> ConnectionList:
    """Lists the connections."""
    return ConnectionList([_view(call, file) for _, file in sorted(call.hub.connections.items())])


@operation(needs=Role.OPERATOR, answer=ConnectionView, problems=(404, 409))
async def close_breaker(call: Call[Nothing, Nothing]) -> ConnectionView:
    """Calls a connection's steps again, whatever was: somebody knows that it is back."""
    name, connections = call.path["name"], call.hub.connections
    file = connections.get(name)
    if file is None:
        near = nearest(name[:200], connections)
        hint = f" Did you mean {near!r}?" if near else ""
        raise Problem(404, "no-such-connection", f"There is no connection of this name.{hint}")
    if not call.hub.node.dispatcher.close_breaker(line_of(name)):
        raise Problem(409, "no-outage", "This node calls the connection's steps: nothing is open.")
    return _view(call, file)


@operation(needs=Role.OPERATOR, answer=ConnectionTested, problems=(404, 409))
async def test_connection(call: Call[Nothing, Nothing]) -> ConnectionTested:
    """Connects as modules do, and tells what it found. It changes nothing on the other side."""
    name = call.path["name"]
    try:
        tested = await call.hub.test_connection(name)
    except LookupError as missing:
        raise Problem(404, "no-such-connection", str(missing)) from missing
    except NoTest as none:
        raise Problem(409, "no-test", str(none)) from none
    return ConnectionTested(name, tested.ok, tested.found)


def _view(call: Call[Nothing, Nothing], file: ConnectionFile) -> ConnectionView:
    hub, rule = call.hub, connection_rule(file)
    line = hub.node.dispatcher.view(line_of(file.name), () if rule is None else (rule,))
    is_limited = rule is not None and rule.rate_per_s is not None
    return ConnectionView(
        connection=file.name,
        kind=file.kind,
        address=file.address,
        secret=None if file.secret is None else file.secret.name,
        secret_is_set=file.secret is not None and bool(hub.secret(file.secret.name)),
        private_addresses=file.private_addresses,
        limits=ConnectionLimitsView(**msgspec.structs.asdict(file.limits)),
        use=UseView(
            left=line.left.get(line.name) if is_limited else None,
            under_way=line.under_way,
            waiting=line.waiting,
            parked_until=_moment(line.parked_until),
        ),
        outage=OutageView(
            breaker=line.breaker if file.outage == "wait" else None,
            since=_moment(line.since),
            probe_at=_moment(line.probe_at),
            last_error=line.last_error,
            last_error_at=_moment(line.last_error_at),
        ),
    )


def _moment(at: int | None) -> str | None:
    return None if at is None else moment(at)

"""The ASGI app: intake, API and health on one port.

    /in/…  ──> IntakeRoute (bare ASGI)
    else   ──> Router ──> _Address (one path) ──> permission ──> query, body ──> operation

Every error is a problem in JSON; what nobody foresaw is logged whole and told without details.
"""

from __future__ import annotations

import structlog
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from beltline.api.access import Role, permit
from beltline.api.answer import Answer, answer_of, send_answer
from beltline.api.approval_link import PREFIX as LINKS
from beltline.api.approval_link import ApprovalLinks
from beltline.api.body import SenderGone, read_whole
from beltline.api.hub import Hub
from beltline.api.intake_route import PREFIX, IntakeRoute
from beltline.api.openapi import openapi_endpoint
from beltline.api.operation import (
    Call,
    Endpoint,
    Operation,
    json_answer,
    read_query,
    read_sent,
)
from beltline.api.problem import Problem, problem_of, unavailable
from beltline.api.routes import ROUTES
from beltline.engine.ports import LeaseLost, StoreAway, StoreBroken, StoreFull
from beltline.sources.refusal import RequestRefused

_log = structlog.get_logger(__name__)


class PermissionUndeclared(TypeError):
    """The programmer: a route has no permission, so it must not be served."""


def create_app(hub: Hub, routes: tuple[Endpoint, ...] = ROUTES) -> ASGIApp:
    """The app of a hub. Raises `PermissionUndeclared`."""
    addresses: dict[str, dict[str, Operation]] = {}
    for endpoint in (*routes, openapi_endpoint(_checked(routes))):
        addresses.setdefault(endpoint.path, {})[endpoint.method] = endpoint.operation
    router = Router(
        [Route(path, _Address(hub, methods)) for path, methods in addresses.items()],
        redirect_slashes=False,
        default=_no_such_address,
    )
    return _App({PREFIX: IntakeRoute(hub), LINKS: ApprovalLinks(hub)}, router)


def _checked(routes: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
    for endpoint in routes:
        declared: object = endpoint.operation
        if not isinstance(declared, Operation) or not isinstance(declared.needs, Role):
            raise PermissionUndeclared(
                f"{endpoint.method} {endpoint.path} declares no permission: declare the handler an"
                " operation with `needs`"
            )
    return routes


class _App:
    """The outermost layer: tells the intake from the rest, and the last to catch an error."""

    def __init__(self, others: dict[str, ASGIApp], router: ASGIApp) -> None:
        self._others = others
        self._router = router

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await _serve_other(scope, receive, send)
            return
        app = self._router
        for prefix, other in self._others.items():
            if scope["path"].startswith(prefix):
                app = other
        try:
            await app(scope, receive, send)
        except SenderGone:
            return
        except RequestRefused as refused:
            problem = problem_of(refused)
        except Problem as raised:
            problem = raised
        except StoreFull:
            problem = unavailable("store-full", "The store has no room left. Try again later.")
        except (StoreAway, LeaseLost):
            problem = unavailable(
                "store-away", "The store cannot be reached now. Ask again.", retry_after_s=1
            )
        except StoreBroken:
            _log.exception("the store is broken; this process ends")
            problem = unavailable("store-broken", "The store failed, and the hub starts again.")
        except Exception:  # noqa: BLE001 - whatever it was, the caller gets an answer
            _log.exception("an error nobody foresaw", method=scope["method"], path=scope["path"])
            problem = Problem(500, "internal", "The hub made a mistake. Its log has the details.")
        else:
            return
        await send_answer(send, answer_of(problem))


class _Address:
    """One path of the API with its methods."""

    def __init__(self, hub: Hub, methods: dict[str, Operation]) -> None:
        self._hub = hub
        self._methods = methods
        if "GET" in methods:
            self._methods = {**methods, "HEAD": methods["GET"]}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send_answer(send, await self._answer(scope, receive))

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        operation = self._methods.get(scope["method"])
        if operation is None:
            allowed = ", ".join(sorted(self._methods))
            raise Problem(
                405,
                "wrong-method",
                f"This address takes {allowed}.",
                headers={"allow": allowed},
            )
        hub, headers = self._hub, scope["headers"]
        caller = await permit(hub, headers, operation.needs)
        query = read_query(operation, scope["query_string"])
        raw = b""
        if operation.text_media:
            raw = await read_whole(receive, headers, hub.limits, operation.text_limit)
        elif operation.body is not None:
            raw = await read_whole(receive, headers, hub.limits)
        body = read_sent(operation, headers, raw, depth=hub.limits.request_depth)
        call = Call(hub, caller, scope["path_params"], query, body)
        return json_answer(operation, await operation.handler(call))


async def _no_such_address(scope: Scope, receive: Receive, send: Send) -> None:
    raise Problem(
        404, "no-such-address", "There is nothing at this address. /api/v1/openapi.json lists all."
    )


async def _serve_other(scope: Scope, receive: Receive, send: Send) -> None:
    """The server's own start and stop; anything else, such as a web socket, is turned away."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    await send({"type": "websocket.close", "code": 1008})

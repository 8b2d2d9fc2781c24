"""The ASGI application: the REST API, the pages for people, and what tests read from outside."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib import resources

import aiohttp
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from bitrix24_portal.deliveries import Deliveries, delivery_list, sender
from bitrix24_portal.deliveries import Send as SendEvent
from bitrix24_portal.entities import BY_CODE
from bitrix24_portal.faults import read_fault
from bitrix24_portal.pages import board_page, element_page, missing_page
from bitrix24_portal.portal import Portal
from bitrix24_portal.rest import RestEndpoint
from bitrix24_portal.words import choose_language

FAULT_BODY_BYTES = 10_000
# Nothing but the page's own style and icon; no script at all.
PAGE_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


class PortalApp:
    """The portal over ASGI. `portal` is what tests reach into."""

    def __init__(self, portal: Portal, *, send_event: SendEvent | None = None) -> None:
        self.portal = portal
        self._send_event = send_event
        self._rest: ASGIApp = RestEndpoint(portal)
        self._others: ASGIApp = Starlette(
            routes=[
                Route("/", self._board),
                Route("/portal.css", _style),
                Route("/icon.svg", _icon),
                Route("/healthz", _health),
                Route("/ledger", self._ledger),
                Route("/ledger/events", self._events),
                Route("/faults", self._faults, methods=["POST", "DELETE"]),
                Route("/{entity}/{id:int}", self._element),
            ],
            lifespan=self._lifespan,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        under_rest = scope["type"] == "http" and scope["path"].startswith("/rest/")
        await (self._rest if under_rest else self._others)(scope, receive, send)

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        async with aiohttp.ClientSession() as session:
            deliveries = Deliveries(self.portal, self._send_event or sender(session))
            task = asyncio.create_task(deliveries.run())
            try:
                yield
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
                self.portal.close()

    async def _board(self, request: Request) -> Response:
        return HTMLResponse(board_page(self.portal, _language(request)), headers=PAGE_HEADERS)

    async def _element(self, request: Request) -> Response:
        language = _language(request)
        entity = BY_CODE.get(request.path_params["entity"].upper())
        id = int(request.path_params["id"])
        page = element_page(self.portal, entity, id, language) if entity else None
        if page is None:
            return HTMLResponse(missing_page(self.portal, language), 404, headers=PAGE_HEADERS)
        return HTMLResponse(page, headers=PAGE_HEADERS)

    async def _ledger(self, request: Request) -> Response:
        calls = self.portal.ledger(after=_after(request), method=request.query_params.get("method"))
        return JSONResponse({"calls": calls, "next": calls[-1]["id"] if calls else None})

    async def _events(self, request: Request) -> Response:
        events = delivery_list(self.portal, after=_after(request))
        return JSONResponse({"events": events, "next": events[-1]["id"] if events else None})

    async def _faults(self, request: Request) -> Response:
        if not self.portal.settings.faults_endpoint:
            return JSONResponse({"error": "start the portal with --faults to order faults"}, 403)
        if request.method == "DELETE":
            self.portal.faults.clear()
            return JSONResponse({"ordered": 0})
        body = await request.body()
        try:
            told = json.loads(body[:FAULT_BODY_BYTES])
            orders = [read_fault(one) for one in (told if isinstance(told, list) else [told])]
        except (ValueError, TypeError, AttributeError) as error:
            return JSONResponse({"error": str(error)}, 400)
        for fault in orders:
            self.portal.faults.order(fault)
        return JSONResponse({"ordered": len(orders)})


def create_app(portal: Portal, *, send_event: SendEvent | None = None) -> PortalApp:
    """The application of a portal; it closes the portal when the server stops.

    `send_event` takes the place of HTTP for outgoing events, in tests.
    """
    return PortalApp(portal, send_event=send_event)


def _language(request: Request) -> str:
    return choose_language(
        request.query_params.get("lang"), request.headers.get("accept-language", "")
    )


def _after(request: Request) -> int:
    text = request.query_params.get("after", "0")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0


async def _style(_request: Request) -> Response:
    return Response(_resource("portal.css"), media_type="text/css; charset=utf-8")


async def _icon(_request: Request) -> Response:
    return Response(_resource("icon.svg"), media_type="image/svg+xml")


async def _health(_request: Request) -> Response:
    return JSONResponse({"status": "ok"})


def _resource(name: str) -> str:
    return resources.files("bitrix24_portal").joinpath(name).read_text(encoding="utf-8")

"""`/rest/{user}/{code}/{method}` over ASGI: reading the request, writing the envelope.

It is plain ASGI rather than a route, because a fault may have to close the connection, which only
the server's own `send` can reach.
"""

from __future__ import annotations

import json
import logging
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from bitrix24_portal.batch import run_batch
from bitrix24_portal.errors import RestError
from bitrix24_portal.faults import Fault
from bitrix24_portal.php_forms import read_form
from bitrix24_portal.portal import Caller, Done, Portal

_LOG = logging.getLogger(__name__)
_PARTS_WITH_AUTH = 3


class RestEndpoint:
    """The REST API of one portal, as an ASGI application for paths under `/rest/`."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            status, body, fault = await self._answer(request)
        except RestError as error:
            status, body, fault = error.status, error.body(), None
        except ClientDisconnect:
            return
        except Exception:  # noqa: BLE001 - the caller is answered, and the mistake is logged
            _LOG.exception("a call failed by a mistake of the stand-in itself")
            mistake = RestError("INTERNAL_SERVER_ERROR", "Internal server error", 500)
            status, body, fault = mistake.status, mistake.body(), None
        if fault is not None and fault.kind in {"drop", "lose-answer"}:
            await drop_connection(receive, send)
            return
        text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        response = Response(text, status, media_type="application/json; charset=utf-8")
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> tuple[int, dict[str, Any], Fault | None]:
        caller, method = read_path(request)
        if request.method not in {"GET", "POST"}:
            raise RestError("INVALID_REQUEST", "Only GET and POST are accepted", 400)
        self._portal.admit(caller, method)
        given = await self._params(request)
        if method.lower() == "batch":
            return await self._batch(caller, given)
        done = await self._portal.perform(caller, method, given)
        if done.answer is None:
            assert done.error is not None, "a call ends with an answer or an error"
            return done.error.status, done.error.body(), done.fault
        return 200, {**done.answer.envelope(), "time": self._portal.time_block(done)}, done.fault

    async def _batch(
        self, caller: Caller, given: dict[str, Any]
    ) -> tuple[int, dict[str, Any], Fault | None]:
        started = self._portal.clock.now()
        fault = self._portal.faults.take("batch")
        if fault is not None:
            if fault.delay_s:
                await self._portal.clock.sleep(fault.delay_s)
            if fault.kind in {"error", "drop"}:
                error = fault.raised()
                with self._portal.storage.transaction():
                    self._portal.log(caller, "batch", given, error=error)
                return error.status, error.body(), fault
        body, inner = await run_batch(self._portal, caller, given)
        finished = self._portal.clock.now()
        done = Done(started, finished, 0.0, int(finished))
        return 200, {"result": body, "time": self._portal.time_block(done)}, fault or inner

    async def _params(self, request: Request) -> dict[str, Any]:
        """The query's parameters with those of the body over them."""
        given = read_form(request.url.query)
        if request.method == "GET":
            return given
        body = await _read_body(request, self._portal.settings.body_bytes)
        kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
        if not body.strip():
            return given
        if kind.startswith("multipart/"):
            raise RestError("INVALID_REQUEST", "Send JSON or application/x-www-form-urlencoded")
        try:
            text = body.decode("utf-8")
            told = json.loads(text) if kind.endswith("json") else read_form(text)
        except (ValueError, RecursionError) as error:
            raise RestError("INVALID_REQUEST", "The body is not valid JSON in UTF-8") from error
        if not isinstance(told, dict):
            raise RestError("INVALID_REQUEST", "The body must be a JSON object")
        return {**given, **told}


def read_path(request: Request) -> tuple[Caller, str]:
    """The caller and the method of `/rest/{user}/{code}/{method}[.json]`."""
    parts = [part for part in request.url.path.removeprefix("/rest/").split("/") if part]
    address = request.client.host if request.client else "unknown"
    method = parts[-1].removesuffix(".json") if parts else ""
    if len(parts) == _PARTS_WITH_AUTH:
        return Caller(address, parts[0], parts[1]), method
    return Caller(address, None, None), method


async def drop_connection(receive: Receive, send: Send) -> None:
    """Ends the connection without an answer.

    ASGI has no word for it, so the server's transport is asked for behind uvicorn's `send`; under
    another server the error that is raised here leaves the request without an answer.
    """
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        raise ConnectionAbortedError("the connection is dropped, as a fault ordered")
    transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass


async def _read_body(request: Request, limit: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise RestError("INVALID_REQUEST", f"The body is longer than {limit} bytes", 413)
    return bytes(body)

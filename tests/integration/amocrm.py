"""A stand-in of an amoCRM account, written from the public description of its API of version 4.

It has what the modules use: contacts, companies and leads with their fields and links, notes,
tasks, and the account; the search by text, the filter by ids, pages of up to 250; the limit of
seven calls a second, and the block of whoever goes on past it. It is in memory, and its clock is
given.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

RATE = 7
ENTRIES = 250  # of one page, and of one call that adds
BLOCKED_AFTER = 10  # calls past the limit, which is a number of ours: the service tells none
KINDS = ("leads", "contacts", "companies")
FIELDS = {412345: None, 412399: None, 1: "PHONE", 2: "EMAIL"}
TASK_KEYS = {"text", "complete_till", "task_type_id", "entity_id", "entity_type"} | {
    "responsible_user_id"
}


class Refused(Exception):
    """An answer that is a problem."""

    def __init__(self, status: int, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.response = JSONResponse(
            {"title": "Refused", "status": status, "detail": detail, **more},
            status,
            media_type="application/problem+json",
        )


class Account:
    """One account. `faults` are answers that come next instead of the right ones: before the call
    is carried out, or after it (`lost`).
    """

    def __init__(self, token: str, now: Callable[[], float] = lambda: 0.0) -> None:
        self.token = token
        self.now = now
        self.limited = False
        self.faults: list[Response] = []
        self.lost = 0
        self.entries: dict[str, dict[int, dict[str, Any]]] = {kind: {} for kind in KINDS}
        self.notes: list[dict[str, Any]] = []
        self.tasks: list[dict[str, Any]] = []
        self.calls: list[tuple[str, str]] = []
        self._recent: deque[float] = deque()
        self._past_limit = 0

    def app(self) -> Starlette:
        """The account as an ASGI application."""
        return Starlette(
            routes=[Route("/api/v4/{path:path}", self._answer, methods=["GET", "POST", "PATCH"])]
        )

    async def _answer(self, request: Request) -> Response:
        self.calls.append((request.method, request.url.path))
        try:
            self._check(request)
            if self.faults:
                return self.faults.pop(0)
            body = await request.json() if request.method != "GET" else None
            answer = self._carry_out(request, request.path_params["path"], body)
        except Refused as refused:
            return refused.response
        if self.lost:
            self.lost -= 1
            return Response(status_code=504)
        return JSONResponse(answer) if answer is not None else Response(status_code=204)

    def _check(self, request: Request) -> None:
        now = self.now()
        while self._recent and self._recent[0] <= now - 1:
            self._recent.popleft()
        if self._past_limit >= BLOCKED_AFTER:
            raise Refused(403, "Forbidden")
        if self.limited and len(self._recent) >= RATE:
            self._past_limit += 1
            raise Refused(429, "Too many requests")
        self._recent.append(now)
        if request.headers.get("authorization") != f"Bearer {self.token}":
            raise Refused(401, "Unauthorized", hint="Token has expired")

    def _carry_out(self, request: Request, path: str, body: Any) -> Any:
        match request.method, path.split("/"):
            case "GET", ["account"]:
                return {"id": 321, "name": "Veter", "subdomain": "veter"}
            case "GET", [kind] if kind in KINDS:
                return self._list(kind, request)
            case "GET", [kind, id] if kind in KINDS:
                return self._shown(kind, self._entry(kind, id))
            case "POST", [kind] if kind in KINDS:
                return self._embedded(kind, [self._add(kind, one) for one in _list_of(body)])
            case "PATCH", [kind, id] if kind in KINDS:
                entry = self._entry(kind, id)
                self._write(entry, body)
                return {"id": entry["id"], "updated_at": 1}
            case "POST", [kind, id, "notes"] if kind in KINDS:
                return self._embedded("notes", [self._note(kind, id, one) for one in body])
            case "POST", ["tasks"]:
                return self._embedded("tasks", [self._task(one) for one in _list_of(body)])
            case _:
                raise Refused(404, "Not found")

    def _list(self, kind: str, request: Request) -> Any:
        limit = int(request.query_params.get("limit", "50"))
        if limit > ENTRIES:
            raise _invalid("limit", f"This value should be {ENTRIES} or less.")
        found = list(self.entries[kind].values())
        ids = {int(id) for id in request.query_params.getlist("filter[id][]")}
        if ids:
            found = [one for one in found if one["id"] in ids]
        text = request.query_params.get("query", "").casefold()
        if text:
            found = [one for one in found if any(text in _plain(held) for held in _texts(one))]
        return self._embedded(kind, found[:limit]) if found else None

    def _entry(self, kind: str, id: str) -> dict[str, Any]:
        if not id.isdigit() or int(id) not in self.entries[kind]:
            raise Refused(404, "Not found")
        return self.entries[kind][int(id)]

    def _shown(self, kind: str, entry: dict[str, Any]) -> dict[str, Any]:
        if kind == "leads":
            return entry
        leads = [
            {"id": lead["id"]}
            for lead in self.entries["leads"].values()
            if {"id": entry["id"]} in lead["_embedded"].get(kind, [])
        ]
        return {**entry, "_embedded": {**entry["_embedded"], "leads": leads}}

    def _add(self, kind: str, given: dict[str, Any]) -> dict[str, Any]:
        id = len(self.entries[kind]) + 1
        entry: dict[str, Any] = {"id": id, "name": "", "_embedded": {}}
        if kind == "leads":
            entry |= {"status_id": 40, "pipeline_id": 7}
        self._write(entry, given)
        self.entries[kind][id] = entry
        return {"id": id, "request_id": "0"}

    def _write(self, entry: dict[str, Any], given: dict[str, Any]) -> None:
        own = {one["field_id"]: one for one in entry.get("custom_fields_values") or ()}
        for place, one in enumerate(given.get("custom_fields_values", ())):
            code = one.get("field_code")
            by_code = {known: number for number, known in FIELDS.items() if known}
            number = one.get("field_id") or by_code.get(code)
            if number not in FIELDS:
                raise _invalid(f"custom_fields_values.{place}.field_id", "Not a valid choice.")
            own[number] = {**one, "field_id": number, "field_code": FIELDS[number]}
        links = given.get("_embedded") or {}
        for kind in ("contacts", "companies"):
            for one in links.get(kind, ()):
                self._entry(kind, str(one["id"]))
        entry.update(given)
        entry["custom_fields_values"] = [one for one in own.values() if one["values"]] or None
        entry["_embedded"] = {**entry["_embedded"], **links}

    def _note(self, kind: str, id: str, given: dict[str, Any]) -> dict[str, Any]:
        self._entry(kind, id)
        if given.get("note_type") != "common" or not given.get("params", {}).get("text"):
            raise _invalid("params.text", "This field is missing.")
        self.notes.append({"id": len(self.notes) + 1, "kind": kind, "entry": int(id), **given})
        return self.notes[-1]

    def _task(self, given: dict[str, Any]) -> dict[str, Any]:
        for name in ("text", "complete_till"):
            if not given.get(name):
                raise _invalid(name, "This field is missing.")
        for name in given.keys() - TASK_KEYS:
            raise _invalid(name, "This field was not expected.")
        if "entity_id" in given:
            self._entry(given["entity_type"], str(given["entity_id"]))
        self.tasks.append({"id": len(self.tasks) + 1, **given})
        return self.tasks[-1]

    def _embedded(self, kind: str, entries: list[dict[str, Any]]) -> dict[str, Any]:
        return {"_page": 1, "_embedded": {kind: entries}}


def _list_of(body: Any) -> list[dict[str, Any]]:
    if not isinstance(body, list) or not 1 <= len(body) <= ENTRIES:
        raise _invalid("", f"A list of 1 to {ENTRIES} entries is expected.")
    return body


def _texts(entry: dict[str, Any]) -> list[str]:
    own = entry.get("custom_fields_values") or ()
    return [entry["name"], *(str(value["value"]) for one in own for value in one["values"])]


def _plain(text: str) -> str:
    """A text as it is searched in: a phone by its digits."""
    digits = re.sub(r"[ ()+-]", "", text)
    return digits if digits.isdigit() else text.casefold()


def _invalid(path: str, detail: str) -> Refused:
    errors = [{"request_id": "0", "errors": [{"code": "X", "path": path, "detail": detail}]}]
    return Refused(400, "Request validation failed", **{"validation-errors": errors})

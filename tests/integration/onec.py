"""A stand-in of the OData interface of an infobase of 1C, written from its public description.

Catalogues and documents with a few fields; conditions of `eq`, `ne` and `and`, read token by token,
so that a condition that was put together wrongly means something else here as it would there;
posting; a user with a password. It is in memory.
"""

from __future__ import annotations

import re
import uuid
from base64 import b64encode
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

ROOT = "/base/odata/standard.odata"
_TOKEN = re.compile(
    r"\s*(?:(guid|datetime)?'((?:[^']|'')*)'|(-?\d+(?:\.\d+)?)\b|(true|false|null)\b|(\w+))"
)
_ONE = re.compile(r"(\w+)\(guid'([0-9a-f-]{36})'\)(?:/(Post|Unpost))?")


class Refused(Exception):
    """An answer that is an error of 1C."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        error = {"code": "-1", "message": {"lang": "ru", "value": words}}
        self.response = JSONResponse({"odata.error": error}, status)


class Infobase:
    """One infobase. `entities` has what is published: fields by the names of entities. `lost` is
    how many answers get lost after the work was done, `unpostable` the documents that are refused.
    """

    def __init__(self, user: str, password: str, entities: dict[str, set[str]]) -> None:
        self.account = "Basic " + b64encode(f"{user}:{password}".encode()).decode()
        self.entities = entities
        self.rows: dict[str, list[dict[str, Any]]] = {name: [] for name in entities}
        self.lost = 0
        self.unpostable: set[str] = set()
        self.filters: list[str] = []

    def app(self) -> Starlette:
        """The infobase as an ASGI application."""
        methods = ["GET", "POST", "PATCH"]
        return Starlette(routes=[Route(ROOT + "/{path:path}", self._answer, methods=methods)])

    async def _answer(self, request: Request) -> Response:
        if request.headers.get("authorization") != self.account:
            return Response("<html>", 401, media_type="text/html")
        if "+" in request.url.query:  # a web server's path to 1C may take it for itself
            return Response("<html>", 400, media_type="text/html")
        if request.query_params.get("$format") != "json":
            return Response("<feed/>", media_type="application/atom+xml")
        raw = await request.body()
        body = await request.json() if raw else {}
        try:
            answer = self._carry_out(request, request.path_params["path"], body)
        except Refused as refused:
            return refused.response
        if self.lost:
            self.lost -= 1
            return Response(status_code=502)
        status = 201 if request.method == "POST" and "Ref_Key" in (answer or {}) else 200
        return JSONResponse(answer, status) if answer is not None else Response()

    def _carry_out(self, request: Request, path: str, body: dict[str, Any]) -> Any:
        if path == "":
            return {"value": [{"name": name, "url": name} for name in self.entities]}
        one = _ONE.fullmatch(path)
        name = one[1] if one else path
        if name not in self.entities:
            raise Refused(404, f"Сущность {name} не найдена")
        if one is None:
            return self._list(name, request) if request.method == "GET" else self._add(name, body)
        row = next((row for row in self.rows[name] if row["Ref_Key"] == one[2]), None)
        if row is None:
            raise Refused(404, "Экземпляр сущности не найден")
        if one[3] is None:
            self._write(name, row, body)
            return row
        if row["Ref_Key"] in self.unpostable:
            raise Refused(500, "Недостаточно товара")
        row["Posted"] = one[3] == "Post"
        return None

    def _list(self, name: str, request: Request) -> Any:
        asked = request.query_params
        rows = [row for row in self.rows[name] if self._fits(name, row, asked.get("$filter", ""))]
        if order := asked.get("$orderby"):
            field, _, way = order.partition(" ")
            rows = sorted(rows, key=lambda row: str(row[field]), reverse=way == "desc")
        rows = rows[int(asked.get("$skip", 0)) :][: int(asked.get("$top", 1_000))]
        if select := asked.get("$select"):
            rows = [{field: row[field] for field in select.split(",")} for row in rows]
        return {"odata.metadata": "…", "value": rows}

    def _fits(self, name: str, row: dict[str, Any], condition: str) -> bool:
        if not condition:
            return True
        self.filters.append(condition)
        tokens = _tokens(condition)
        holds = True
        while tokens:
            (_, field), (_, sign), (_, value) = (*tokens[:3], ("", ""), ("", ""), ("", ""))[:3]
            if field not in {*self.entities[name], "Ref_Key"} or sign not in ("eq", "ne"):
                raise Refused(400, f"Ошибка разбора условия: {condition}")
            holds = holds and (row.get(field) == value) == (sign == "eq")
            tokens = tokens[3:]
            if tokens and tokens.pop(0) != ("word", "and"):
                raise Refused(400, f"Ошибка разбора условия: {condition}")
        return holds

    def _add(self, name: str, given: dict[str, Any]) -> dict[str, Any]:
        row: dict[str, Any] = {"Ref_Key": str(uuid.uuid4()), "DeletionMark": False}
        self._write(name, row, given)
        self.rows[name].append(row)
        return row

    def _write(self, name: str, row: dict[str, Any], given: dict[str, Any]) -> None:
        for field, value in given.items():
            if field not in self.entities[name]:
                raise Refused(400, f"Свойство {field} не найдено")
            row[field] = value


def _tokens(text: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    at = 0
    while text[at:].strip():
        token = _TOKEN.match(text, at)
        if token is None:
            raise Refused(400, f"Ошибка разбора условия: {text}")
        kind, quoted, number, constant, word = token.groups()
        if quoted is not None:
            found.append((kind or "text", quoted.replace("''", "'")))
        elif number is not None:
            found.append(("number", float(number)))
        elif constant is not None:
            found.append(("constant", {"true": True, "false": False, "null": None}[constant]))
        else:
            found.append(("word", word))
        at = token.end()
    return found

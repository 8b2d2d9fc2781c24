"""`methods`, `scope`, `method.get`, `server.time`: what the portal can do, asked of itself."""

from __future__ import annotations

from collections.abc import Sequence

from bitrix24_portal.context import Answer, Context
from bitrix24_portal.registry import Method, Params, params


def listing(methods: Sequence[Method]) -> list[Method]:
    """The methods that tell about the given ones and about themselves."""

    def names(_context: Context, given: Params) -> Answer:
        scope = given.get("scope")
        told = {method.name for method in methods if scope in {None, method.scope}}
        return Answer(sorted(told | ({"batch"} | own if scope is None else set())))

    def scopes(_context: Context, _given: Params) -> Answer:
        return Answer(sorted({method.scope for method in methods} - {"basic"}))

    def one(_context: Context, given: Params) -> Answer:
        known = {method.name for method in methods} | own | {"batch"}
        available = given["name"] in known
        return Answer({"isExisting": available, "isAvailable": available})

    def time(context: Context, _given: Params) -> Answer:
        return Answer(context.moment)

    own = {"methods", "scope", "method.get", "server.time"}
    return [
        Method("methods", names, params("scope:string full:any")),
        Method("scope", scopes),
        Method("method.get", one, params("name:string*")),
        Method("server.time", time),
    ]

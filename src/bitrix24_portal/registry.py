"""The methods of the portal: each declared once with its parameters, then called by name.

A declaration says what is required and what shape it has; a call is checked against it before its
handler runs. The older methods take parameter names in any case, the newer ones only as written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bitrix24_portal.context import Answer, Context
from bitrix24_portal.errors import RestError, invalid_argument, missing_parameter, plain
from bitrix24_portal.php_forms import php_list

MAX_ID = 2**53
Params = dict[str, Any]
Handler = Callable[[Context, Params], Answer]


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter. `kind` is integer, string, boolean, object, array or any."""

    name: str
    kind: str = "any"
    required: bool = False


@dataclass(frozen=True, slots=True)
class Method:
    """One method of the REST API. `newer` ones name their errors and are strict about case."""

    name: str
    handler: Handler
    params: tuple[Param, ...] = ()
    newer: bool = False

    @property
    def scope(self) -> str:
        """The permission that a webhook needs for it."""
        first = self.name.split(".", 1)[0]
        if first == "tasks":
            return "task"
        return first if first in {"crm", "im", "user"} else "basic"


def params(text: str) -> tuple[Param, ...]:
    """Parameters from a line such as `id:integer* fields:object`; a star means required."""
    found = []
    for word in text.split():
        name, _, kind = word.partition(":")
        found.append(Param(name, kind.rstrip("*") or "any", word.endswith("*")))
    return tuple(found)


class Registry:
    """All methods by name."""

    def __init__(self, methods: Iterable[Method]) -> None:
        self._methods = {method.name.lower(): method for method in methods}

    def __iter__(self) -> Iterator[Method]:
        return iter(self._methods.values())

    def find(self, name: str) -> Method | None:
        """The method of this name, in any case, as the portal finds it."""
        return self._methods.get(name.lower())


def call(method: Method, context: Context, given: Mapping[str, Any]) -> Answer:
    """Checks the parameters and runs the method.

    Raises:
        RestError: a required parameter is missing or has the wrong shape, or the method refuses.
    """
    return method.handler(context, _checked(method, given))


def _checked(method: Method, given: Mapping[str, Any]) -> Params:
    lowered = {str(key).lower(): value for key, value in given.items()}
    checked: Params = {}
    for param in method.params:
        value = given.get(param.name) if method.newer else lowered.get(param.name.lower())
        if value is None or value == "":
            if param.required:
                raise _missing(method, param)
            continue
        checked[param.name] = _shaped(method, param, value)
    return checked


def _missing(method: Method, param: Param) -> RestError:
    if method.newer:
        return missing_parameter(param.name)
    if param.name.lower() == "id":
        return plain("ID is not defined or invalid.")
    if param.kind == "object":
        return plain(f"Parameter '{param.name}' must be array.")
    return RestError("ERROR_ARGUMENT", f"Argument '{param.name}' is null or empty")


def _shaped(method: Method, param: Param, value: object) -> object:
    match param.kind:
        case "integer":
            if (number := as_integer(value)) is not None:
                return number
            if method.newer:
                raise invalid_argument(
                    f"Invalid value {{{str(value)[:40]}}} to match with parameter "
                    f"{{{param.name}}}. Should be value of type int."
                )
            raise _missing(method, param)
        case "object":
            if isinstance(value, dict):
                return value
            if value == []:
                return {}  # PHP writes an empty object so
            raise plain(f"Parameter '{param.name}' must be array.")
        case "array":
            return php_list(value)
        case "string":
            if isinstance(value, dict | list):
                raise RestError("ERROR_ARGUMENT", f"Argument '{param.name}' must be a string")
            return str(value)
        case _:
            return value


def as_integer(value: object) -> int | None:
    """A whole number from what a form or JSON holds; None for anything else."""
    if isinstance(value, bool | dict | list):
        return None
    text = str(value).strip()
    if not text.removeprefix("-").isascii() or not text.removeprefix("-").isdigit():
        return None
    number = int(text) if len(text) < 20 else MAX_ID + 1
    return number if abs(number) <= MAX_ID else None

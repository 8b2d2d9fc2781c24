"""`batch`: up to fifty commands in one request, each able to use the results before it.

The request is one hit for the rate limit; each command counts for the operating limit of its own
method. Whatever the commands do, the answer has status 200; an empty part of it is `[]`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bitrix24_portal.errors import RestError, plain
from bitrix24_portal.faults import Fault
from bitrix24_portal.php_forms import php_true, read_form
from bitrix24_portal.portal import Caller, Done, Portal

MAX_COMMANDS = 50
_REFERENCE = re.compile(r"\$result((?:\[[^\[\]]*\])+)")
_BRACKET = re.compile(r"\[([^\[\]]*)\]")


@dataclass(slots=True)
class _Parts:
    """The five parts of a batch's result, by command."""

    result: dict[str, Any] = field(default_factory=dict)
    result_error: dict[str, Any] = field(default_factory=dict)
    result_total: dict[str, Any] = field(default_factory=dict)
    result_next: dict[str, Any] = field(default_factory=dict)
    result_time: dict[str, Any] = field(default_factory=dict)
    listed: bool = False  # commands without names: the parts are lists, as PHP has them
    fault: Fault | None = None

    def body(self) -> dict[str, Any]:
        parts = {
            "result": self.result,
            "result_error": self.result_error,
            "result_total": self.result_total,
            "result_next": self.result_next,
            "result_time": self.result_time,
        }
        return {name: _as_php(part, listed=self.listed) for name, part in parts.items()}


async def run_batch(
    portal: Portal, caller: Caller, given: Mapping[str, Any]
) -> tuple[dict[str, Any], Fault | None]:
    """Runs the commands in their order: the result's parts, and a fault that ends the connection.

    Raises:
        RestError: `cmd` is not a list or an object of texts.
    """
    commands = given.get("cmd")
    if not isinstance(commands, list | Mapping):
        raise plain("Parameter 'cmd' must be array.")
    with portal.storage.transaction():
        line = portal.log(caller, "batch", {"halt": given.get("halt"), "cmd": commands})
    named = _named(commands)
    parts = _Parts(listed=list(named) == [str(place) for place in range(len(named))])
    halt = php_true(given.get("halt", 0))
    for place, (key, command) in enumerate(named.items()):
        error = await _one(portal, caller, parts, line, place, key, command)
        if error is not None:
            parts.result_error[key] = error.body()
            if halt:
                break
        if parts.fault is not None:
            break
    return parts.body(), parts.fault


async def _one(
    portal: Portal,
    caller: Caller,
    parts: _Parts,
    line: int,
    place: int,
    key: str,
    command: object,
) -> RestError | None:
    if place >= MAX_COMMANDS:
        return RestError("ERROR_BATCH_LENGTH_EXCEEDED", f"Max batch length {MAX_COMMANDS} exceeded")
    try:
        method, params = read_command(command, parts.result)
    except RestError as error:
        return error
    if method.lower() == "batch":
        return RestError("ERROR_BATCH_METHOD_NOT_ALLOWED", "Method is not allowed for batch usage")
    done: Done = await portal.perform(caller, method, params, batch=line)
    if done.fault is not None and done.fault.kind in {"drop", "lose-answer"}:
        parts.fault = done.fault
    if done.answer is None:
        return done.error
    parts.result[key] = done.answer.result
    if done.answer.total is not None:
        parts.result_total[key] = done.answer.total
    if done.answer.next is not None:
        parts.result_next[key] = done.answer.next
    parts.result_time[key] = portal.time_block(done)
    return None


def read_command(command: object, results: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The method and the parameters of one command, its references replaced.

    A command is `method?query`; a reference may stand anywhere in a value, encoded or not. A value
    that is one reference and nothing else keeps the type of what it refers to.

    Raises:
        RestError: the command is not a text, or its parameters nest too deep.
    """
    if not isinstance(command, str):
        raise RestError("ERROR_BATCH_COMMAND", "A command must be a string 'method?query'")
    method, _, query = command.partition("?")
    params = read_form(query)
    return method.strip().removesuffix(".json"), _resolve(params, results)


def _resolve(value: Any, results: Mapping[str, Any]) -> Any:
    if isinstance(value, dict):
        return {key: _resolve(inner, results) for key, inner in value.items()}
    if not isinstance(value, str) or "$result" not in value:
        return value
    if whole := _REFERENCE.fullmatch(value):
        return _look_up(whole[1], results)
    return _REFERENCE.sub(lambda found: _as_text(_look_up(found[1], results)), value)


def _look_up(path: str, results: Mapping[str, Any]) -> Any:
    """What a path such as `[a][items][0][id]` leads to; None where it leads nowhere."""
    value: Any = results
    for key in _BRACKET.findall(path):
        if isinstance(value, Mapping):
            value = value.get(key)
        elif isinstance(value, list) and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


def _as_text(value: Any) -> str:
    return "" if value is None or isinstance(value, dict | list) else str(value)


def _named(commands: list[Any] | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(commands, list):
        return {str(place): command for place, command in enumerate(commands)}
    return {str(key): command for key, command in commands.items()}


def _as_php(part: dict[str, Any], *, listed: bool) -> Any:
    """An empty part is a list, and so is one whose keys are 0, 1, 2 and so on."""
    if not part:
        return []
    if listed and list(part) == [str(place) for place in range(len(part))]:
        return list(part.values())
    return part

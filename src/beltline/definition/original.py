"""The array of the original settings -> the data of a process, in place, with its offsets.

The original settings are a PHP array of steps by id. Their keys are those of a step here, so little
changes: the array becomes the list `steps`, `empty` becomes `php-empty`, PHP's looser forms of
lists become lists. What a change could alter in meaning is noted.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from beltline.core.limits import LIMITS, Limits
from beltline.core.path import PathError, compile_path
from beltline.definition.php_reader import read_php
from beltline.definition.tree import Document, Fault, Unreadable

LISTS_OF_IDS = ("next", "prev", "on_error")
_ITEMS = ("success", "failure", "and", "or", "not")
_PLAIN_SEGMENT = re.compile(r"[\w-]+\Z")


class Original(msgspec.Struct):
    """A process' data made from a PHP file. The document's `faults` are what could not be read,
    `notes` what was carried over in another form. `starts` are the steps that say themselves that
    nothing comes before them.
    """

    document: Document
    notes: list[Fault]
    starts: list[str]


def read_original(text: str, *, name: str, limits: Limits = LIMITS) -> Original:
    """Reads a PHP file of steps by id as the process `name`; a PHP array that already has the
    form of a process (`steps` with a name or a start) is kept. Raises `Unreadable`.
    """
    php = read_php(text, limits=limits)
    original = Original(php.document, php.notes, [])
    data = php.document.data
    if isinstance(data, dict) and "steps" in data and ("process" in data or "start" in data):
        _list_steps(original, data, "steps")
    else:
        whole: dict[str, Any] = {"process": name, "steps": data}
        root = php.document.offset(())
        php.document.graft(whole, [root] * 4)
        php.document.data = whole
        _list_steps(original, whole, "steps")
    return original


def _list_steps(original: Original, whole: dict[str, Any], key: str) -> None:
    """Makes the steps a list, each with its id."""
    document, steps = original.document, whole[key]
    if isinstance(steps, dict):
        offsets = document.offsets_in(steps)
        listed = list(steps.values())
        for (id, step), offset in zip(steps.items(), offsets, strict=True):
            if not isinstance(step, dict):
                continue
            if "id" not in step:
                document.set_key(step, "id", id, offset)
            elif step["id"] != id and not id.isdecimal():
                original.notes.append(
                    Fault(offset, f'the step\'s key "{id}" differs from its id; the id is used')
                )
        document.graft(listed, offsets)
        whole[key] = listed
    elif not isinstance(steps, list):
        raise Unreadable(Fault(document.offset(()), "the array holds no steps"))
    for index, step in enumerate(whole[key]):
        if isinstance(step, dict):
            _convert_step(original, step, document.offset((key, index)))


def _convert_step(original: Original, step: dict[str, Any], offset: int) -> None:
    document = original.document
    says_first = "prev" in step and step["prev"] in (None, "", [])
    if says_first and isinstance(step.get("id"), str):
        original.starts.append(step["id"])
    for key in list(step):
        if step[key] is None or (step[key] == "" and key in LISTS_OF_IDS):
            document.remove_key(step, key)
    for key in LISTS_OF_IDS:
        if key in step:
            _make_list(document, step, key, offset)
    if "condition" in step:
        condition = _make_list(document, step, "condition", offset)
        if isinstance(condition, list):
            _convert_conditions(original, condition, offset)


def _make_list(document: Document, container: dict[str, Any], key: str, offset: int) -> Any:
    """What PHP would go through as a list: numbered keys with gaps, or one item by itself."""
    value = container[key]
    if isinstance(value, dict) and value and all(name.isdecimal() for name in value):
        listed = list(value.values())
        document.graft(listed, document.offsets_in(value))
    elif isinstance(value, dict) and value:
        listed = [value]
        document.graft(listed, [offset])
    else:
        return value
    container[key] = listed
    return listed


def _convert_conditions(original: Original, condition: list[Any], offset: int) -> None:
    """Converts every item of a condition, at any depth."""
    document = original.document
    waiting: list[Any] = [condition]
    while waiting:
        node = waiting.pop()
        if not isinstance(node, (dict, list)):
            continue
        if isinstance(node, list):
            waiting.extend(child for child in node if isinstance(child, dict))
            continue
        waiting.extend(_make_list(document, node, key, offset) for key in _ITEMS if key in node)
        if isinstance(node.get("result"), dict):
            _make_list(document, node, "result", offset)
        if isinstance(node.get("operation"), str):
            node["operation"] = _php_operation(node["operation"])
        if isinstance(node.get("field"), str):
            node["field"] = _quoted_path(node["field"])


def _php_operation(operation: str) -> str:
    """An operation with PHP's `empty` for each `empty` in it."""
    return "|".join(
        part.replace("empty", "php-empty") if part.strip() == "empty" else part
        for part in operation.split("|")
    )


def _quoted_path(field: str) -> str:
    """A field whose names hold signs that a path needs backticks for."""
    try:
        compile_path(field)
    except PathError:
        quoted = ".".join(
            part if _PLAIN_SEGMENT.match(part) else f"`{part}`" for part in field.split(".")
        )
        try:
            compile_path(quoted)
        except PathError:
            return field
        return quoted
    return field

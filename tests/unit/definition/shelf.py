"""A small shelf of modules for the tests of definitions, and short ways to check a text."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from beltline.core.model import Effect, Process
from beltline.core.problem import Place, Problem
from beltline.definition.finding import Finding
from beltline.definition.modules import ModuleEntry
from beltline.definition.process import Checked, read_process
from beltline.definition.reading import Format


def takes_anything(_params: Any, _place: Place) -> list[Problem]:
    return []


def needs_phone(params: Any, place: Place) -> list[Problem]:
    """A module with one parameter, a text, that must be there."""
    problems = [
        Problem((*place, key), f'unknown parameter "{key}"') for key in params if key != "phone"
    ]
    phone = params.get("phone")
    if phone is None:
        problems.append(Problem(place, 'the parameter "phone" is missing'))
    elif not isinstance(phone, str):
        problems.append(Problem((*place, "phone"), "phone must be a text"))
    return problems


def entry(pinned: str, effect: Effect = "pure", connection: str | None = None) -> ModuleEntry:
    return ModuleEntry(pinned, effect, connection, takes_anything)


class Shelf:
    """Modules by name."""

    def __init__(self, entries: dict[str, ModuleEntry]) -> None:
        self._entries = entries

    def find(self, name: str) -> ModuleEntry | None:
        return self._entries.get(name)

    def names(self) -> Collection[str]:
        return self._entries.keys()


SHELF = Shelf(
    {
        "set": entry("set@1"),
        "log": entry("log@2", "idempotent"),
        "bitrix24.find-deal": entry("bitrix24.find-deal@1", "idempotent", "bitrix24"),
        "bitrix24.find-contact": ModuleEntry(
            "bitrix24.find-contact@1", "idempotent", "bitrix24", needs_phone
        ),
    }
)


def check(
    text: str,
    *,
    name: str | None = None,
    connections: Collection[str] | None = None,
    format: Format | None = None,
) -> Checked:
    """Checks a text as the file `p.yaml` against the shelf."""
    return read_process(
        text,
        name=name,
        file="p.yaml",
        modules=SHELF,
        connections=connections,
        format=format,
    )


def process_of(text: str, **options: Any) -> Process:
    """The process of a text that must check."""
    checked = check(text, **options)
    assert checked.process is not None, "\n".join(map(str, checked.findings))
    return checked.process


def lines(findings: list[Finding]) -> list[str]:
    return [str(finding) for finding in findings]


def nested_condition(levels: int, leaf: dict[str, Any]) -> list[Any]:
    """A condition of that many levels, built from the inside."""
    items: list[Any] = [leaf]
    for _ in range(levels - 1):
        items = [{"field": "request.x", "operation": "exists", "success": items}]
    return items

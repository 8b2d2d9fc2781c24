"""What the simulated hub works on: small processes of every shape, as their authors write them.

Some are written by hand, because they are the shapes that matter; most are drawn. Definitions are
plain data; the hub gets them as text, through the same reader as a home's files.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from functools import cache
from random import Random
from typing import Any

from beltline.core.model import Effect, Process
from beltline.definition.modules import ModuleEntry
from beltline.definition.process import read_process

DRAWN = 60
LIMITED = ("a", "c")  # these steps go out by the connection that has limits and outages
CALLED = "mended"  # what steps call: its result is that of its last step
MODULES = (
    "work", "note", "wait", "stop", "respond", "wait-event", "approve", "call", "for-each",
)  # fmt: skip

Definition = dict[str, Any]


class Shelf:
    """The modules of the simulation: `work` is done outside, `note` is pure."""

    def find(self, name: str) -> ModuleEntry | None:
        """The module of this name."""
        effect: Effect = "pure" if name == "note" else "idempotent"
        return ModuleEntry(f"{name}@1", effect, None, lambda params, place: [])

    def names(self) -> Collection[str]:
        """All names."""
        return MODULES


def definitions() -> list[Definition]:
    """All processes, always in the same order."""
    drawn = [_drawn(f"drawn-{number}", Random(number)) for number in range(DRAWN)]
    for number, definition in enumerate(drawn):
        _for_each(definition, Random(f"items {number}"))
    every = [*_by_hand(), *_by_hand_too(), *_with_others(), *drawn]
    for number, definition in enumerate(every):
        _undo(definition, Random(f"undo {number}"))
        for each in definition["steps"]:
            if each["module"] == "work" and each["id"] in LIMITED:
                each["connection"] = "crm"
    return every


@cache
def compiled(text: str, name: str, version: int) -> Process:
    """The process that a text defines."""
    checked = read_process(
        text,
        name=name,
        file=f"{name}.json",
        modules=Shelf(),
        connections=None,
        version=version,
        format="json",
    )
    assert checked.process is not None, checked.findings
    return checked.process


@cache
def texts() -> tuple[tuple[str, str], ...]:
    """Every definition's name and text."""
    return tuple((d["process"], json.dumps(d)) for d in definitions())


def step(id: str, module: str = "work", **keys: Any) -> dict[str, Any]:
    """One step; `next_` stands for `next`."""
    given = {key.rstrip("_"): value for key, value in keys.items()}
    base: dict[str, Any] = {"id": id, "module": module, "with": {}}
    if module == "work":
        base |= {
            "with": {
                "n": "{{ request.n }}",
                "dice": "{{ $random() }}",
                "poison": "{{ request.poison }}",
            },
            "retry": {"attempts": 3, "first": "1s", "factor": 2, "max": "5s"},
            "timeout": "4s",
            "max_visits": 4,
        }
    elif module == "wait":
        base["with"] = {"for": "3s"}
    elif module == "wait-event":
        base |= {"with": {"name": "paid", "key": "{{ request.n }}", "within": "5s"}}
        base |= {"max_visits": 4}
    elif module == "call":
        base |= {"with": {"process": CALLED, "request": {"n": "{{ request.n }}"}}, "max_visits": 2}
    elif module == "for-each":
        items = [{"n": number} for number in range(4)]
        base |= {"with": {"process": CALLED, "items": items, "concurrency": 2}, "max_visits": 2}
    elif module == "approve":
        base |= {"with": {"title": "is it right?", "within": "5s"}, "max_visits": 4}
    elif module == "respond":
        base |= {"with": {"body": "{{ request.n }}"}, "max_visits": 4}
    return base | given


def calls_others(definition: Definition) -> bool:
    """Whether a step of it calls `CALLED`."""
    return any(step["module"] in ("call", "for-each") for step in definition["steps"])


def _when(field: str, value: int, result: list[str]) -> dict[str, Any]:
    return {"field": field, "operation": "=", "value": value, "result": result}


def _by_hand() -> list[Definition]:
    """A line, a diamond with ways not taken, a loop, an error that is mended."""
    nested = {
        "field": "a.v",
        "operation": "!|empty",
        "success": [_when("a.v", 1, ["b"]), _when("a.v", 2, ["c", "b"])],
        "failure": [_when("request.n", 0, ["c"])],
    }
    return [
        {
            "process": "line",
            "steps": [step("a", next_=["b"]), step("b", next_=["c"]), step("c")],
            "output": "{{ c.v }}",
        },
        {
            "process": "diamond",
            "steps": [
                step("a", condition=[nested], next_=["b", "c"]),
                step("b", next_=["d"]),
                step("c", next_=["d"]),
                step("d", prev=["b", "c"]),
            ],
        },
        {
            "process": "loop",
            "steps": [
                step("a", next_=["b"]),
                step("b", condition=[_when("b.v", 0, ["a"]), _when("b.v", 1, ["b"])], next_=["c"]),
                step("c", "note"),
            ],
        },
        {
            "process": "mended",
            "steps": [
                step("a", on_error=["m"], next_=["z"], retry={"attempts": 1}),
                step("m", "note", next_=["z"]),
                step("z"),
            ],
        },
    ]


def _with_others() -> list[Definition]:
    """Events against timeouts, children with a stop beside them."""
    return [
        {
            "process": "paid",
            "start": ["p", "w"],
            "steps": [
                step("p", "wait-event", next_=["j"], on_timeout=["t"]),
                step("w", next_=["q"]),
                step("q", "wait-event", next_=["j"], on_error=["j"]),
                step("t", next_=["j"]),
                step("j", prev=["p", "q", "t"]),
            ],
        },
        {
            "process": "letting",
            "steps": [
                step("a", next_=["l"]),
                step("l", "call", with_={"process": CALLED, "wait": False}),
            ],
        },
        {
            "process": "caller",
            "start": ["a", "l", "f"],
            "steps": [
                step("a", condition=[_when("a.v", 0, ["s"])], next_=["c"]),
                step("f", "for-each", next_=["z"], on_error=["z"]),
                step("c", "call", next_=["z"], on_error=["z"]),
                step("l", "call", with_={"process": CALLED, "wait": False}, next_=["z"]),
                step("s", "stop", with_={"reason": "enough"}),
                step("z", prev=["c", "l", "f"]),
            ],
        },
    ]


def _by_hand_too() -> list[Definition]:
    """Joins with waits, a stop among branches, unions of conditions."""
    return [
        {
            "process": "patient",
            "start": ["a", "w"],
            "steps": [
                step("a", next_=["j"]),
                step("w", "wait", next_=["j"]),
                step("j", prev=["a", "w"], next_=["w2"]),
                step("w2", "wait"),
            ],
        },
        {
            "process": "halting",
            "start": ["a", "b"],
            "steps": [
                step("a", condition=[_when("a.v", 0, ["s"])], next_=["b"]),
                step("b", next_=["w"]),
                step("s", "stop", with_={"reason": "enough"}),
                step("w", "wait"),
            ],
        },
        {
            "process": "union",
            "steps": [
                step(
                    "a",
                    match="all",
                    condition=[
                        _when("request.n", 1, ["b"]),
                        _when("a.v", 1, ["c"]),
                        _when("a.v", 0, []),
                    ],
                    next_=["b", "c"],
                ),
                step("b", next_=["j"]),
                step("c", next_=["j", "d"]),
                step("d", next_=["j"]),
                step("j", "note", prev=["b", "c", "d"]),
            ],
        },
    ]


def _drawn(name: str, chance: Random) -> Definition:
    """A random process; back edges are conditions that mostly do not hold, so that runs end."""
    ids = [chr(ord("a") + number) for number in range(chance.randint(2, 6))]
    steps = [_drawn_step(id, ids, chance) for id in ids]
    pointed: dict[str, list[str]] = {id: [] for id in ids}
    for each in steps:
        for target in dict.fromkeys(_targets(each)):
            pointed[target].append(each["id"])
    for each in steps:
        if len(pointed[each["id"]]) > 1 and chance.random() < 0.6:
            each["prev"] = pointed[each["id"]]
    start = [ids[0]]
    if chance.random() < 0.3:
        start = chance.sample(ids, min(2, len(ids)))
    return {"process": name, "start": start, "steps": steps}


def _for_each(definition: Definition, chance: Random) -> None:
    """Some steps that call another process do so for each of several items."""
    for each in definition["steps"]:
        if each["module"] == "call" and chance.random() < 0.5:
            each |= {key: step("", "for-each")[key] for key in ("module", "with")}


def _undo(definition: Definition, chance: Random) -> None:
    """Some steps have another one that undoes them."""
    ids = [each["id"] for each in definition["steps"]]
    for each in definition["steps"]:
        others = [id for id in ids if id != each["id"]]
        if others and chance.random() < 0.4:
            each["undo"] = chance.choice(others)


def _drawn_step(id: str, ids: list[str], chance: Random) -> dict[str, Any]:
    later = ids[ids.index(id) + 1 :]
    module = chance.choices(MODULES[:8], (8, 2, 1.5, 0.5, 1, 1.5, 1, 0.7))[0]
    each = step(id, module)
    if later and chance.random() < 0.9:
        each["next"] = chance.sample(later, min(len(later), chance.randint(1, 3)))
    if module in ("work", "note") and chance.random() < 0.5:
        items = []
        for value in range(chance.randint(1, 3)):
            targets = ids if chance.random() < 0.4 else later
            count = min(len(targets), chance.randint(0, 2))
            items.append(_when(f"{id}.v", value, chance.sample(targets, count)))
        each["condition"] = items
        if chance.random() < 0.3:
            each["match"] = "all"
    if module in ("wait-event", "approve") and chance.random() < 0.6:
        # Onwards: times run out so often that a way back would be an endless loop.
        onwards = [target for target in chance.sample(ids, 1) if target in later] or later[:1]
        if onwards:
            each["on_timeout"] = onwards
    if module == "work" and chance.random() < 0.4:
        each["on_error"] = chance.sample(ids, 1)
    return each


def _targets(each: dict[str, Any]) -> list[str]:
    found = [*each.get("next", ()), *each.get("on_error", ()), *each.get("on_timeout", ())]
    for item in each.get("condition", ()):
        found.extend(item["result"])
    return found

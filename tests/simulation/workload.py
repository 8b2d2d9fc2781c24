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

Definition = dict[str, Any]


class Shelf:
    """The modules of the simulation: `work` is done outside, `note` is pure."""

    def find(self, name: str) -> ModuleEntry | None:
        """The module of this name."""
        effect: Effect = "pure" if name == "note" else "idempotent"
        return ModuleEntry(f"{name}@1", effect, None, lambda params, place: [])

    def names(self) -> Collection[str]:
        """All names."""
        return ("work", "note", "wait", "stop")


def definitions() -> list[Definition]:
    """All processes, always in the same order."""
    drawn = [_drawn(f"drawn-{number}", Random(number)) for number in range(DRAWN)]
    every = [*_by_hand(), *_by_hand_too(), *drawn]
    for definition in every:
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
    return base | given


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


def _drawn_step(id: str, ids: list[str], chance: Random) -> dict[str, Any]:
    later = ids[ids.index(id) + 1 :]
    module = chance.choices(("work", "note", "wait", "stop"), (8, 2, 1.5, 0.5))[0]
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
    if module == "work" and chance.random() < 0.4:
        each["on_error"] = chance.sample(ids, 1)
    return each


def _targets(each: dict[str, Any]) -> list[str]:
    found = [*each.get("next", ()), *each.get("on_error", ())]
    for item in each.get("condition", ()):
        found.extend(item["result"])
    return found

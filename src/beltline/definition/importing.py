"""`beltline import`: the PHP array of the original settings -> a process file that checks and runs.

What the file does not hold is written so that the process is whole (absent steps, modules that no
home has bound yet), marked by a comment, and listed, so that a person can finish it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

import msgspec

from beltline.core.template import compile_value
from beltline.definition.finding import Finding, finding_at, unreadable
from beltline.definition.mentions import root_of
from beltline.definition.modules import ModuleIndex
from beltline.definition.original import LISTS_OF_IDS, Original, read_original
from beltline.definition.step import RESERVED_IDS, STEP_KEYS
from beltline.definition.tree import Fault, Unreadable
from beltline.definition.yaml_writer import block, flow, item, scalar

_ITEM_KEYS = (
    "field", "operation", "value", "and", "or", "not", "if", "result", "success", "failure",
)  # fmt: skip
_NESTED = ("success", "failure", "and", "or", "not")
_LEADS_TO, _READS = "leads to", "reads from"
_PLACEHOLDER = "set"
_PROCESS_KEYS = ("title", "defaults", "output")


class Imported(msgspec.Struct, frozen=True):
    """The outcome of an import: the YAML text, or None where the file could not be read at all
    (one finding is an error then); and all that a person should look at, by place in the PHP
    file.
    """

    text: str | None
    notes: list[Finding]


def import_php(text: str, *, file: str, output_name: str, modules: ModuleIndex) -> Imported:
    """Converts the text of a PHP file; `output_name` (with or without a suffix) names the process.

    A subsystem that `modules` does not know becomes `module: set` with a comment.
    """
    path = PurePath(output_name)
    name = path.stem if path.suffix in (".yaml", ".yml", ".json", ".php") else path.name
    try:
        original = read_original(text, name=name)
    except Unreadable as error:
        return Imported(None, [unreadable(error, text, file)])
    importer = _Importer(original, name, modules)
    written = importer.convert()
    document = original.document
    faults = [*document.faults, *original.notes, *importer.notes]
    notes = [finding_at(document, fault, file, "warning") for fault in faults]
    return Imported(written, sorted(dict.fromkeys(notes)))


class _Taken(msgspec.Struct):
    """A step of the PHP file, and what becomes of it."""

    id: str
    source: dict[str, Any]
    offset: int
    data: dict[str, Any]
    left_out: list[str] = []


class _Importer:
    def __init__(self, original: Original, name: str, modules: ModuleIndex) -> None:
        self._original = original
        self._document = original.document
        self._name = name
        self._modules = modules
        self._comments: dict[tuple[int, str], str] = {}
        self.notes: list[Fault] = []

    def convert(self) -> str:
        data: dict[str, Any] = self._document.data
        taken = self._take_steps(data["steps"])
        for step in taken:
            self._convert_step(step)
        absent = self._find_absent(taken)
        followers = self._settle_prev(taken, absent)
        whole: dict[str, Any] = {"process": self._name}
        whole |= {key: data[key] for key in _PROCESS_KEYS if data.get(key) is not None}
        whole["start"] = data.get("start") or self._starts(taken)
        lines = [*block(whole), "steps:"]
        for step in taken:
            lines.extend(item(step.data, self._comments, 2))
            lines.extend(f"    # not carried over: {text}" for text in step.left_out)
        for id, user in absent.items():
            lines.extend(self._placeholder(id, user, followers.get(id, [])))
        return "\n".join([*lines, ""])

    def _note(self, offset: int, message: str, suggestion: str = "") -> None:
        self.notes.append(Fault(offset, message, suggestion))

    def _take_steps(self, steps: list[Any]) -> list[_Taken]:
        """The steps that are arrays with an id."""
        taken = []
        for index, step in enumerate(steps):
            offset = self._document.offset(("steps", index))
            if not isinstance(step, dict):
                self._note(offset, f"could not carry over: {flow(step)[:60]} is no step")
            elif not isinstance(step.get("id"), str):
                self._note(offset, "could not carry over: a step without an id")
            else:
                taken.append(_Taken(step["id"], step, offset, {"id": step["id"]}))
        return taken

    def _convert_step(self, step: _Taken) -> None:
        """Fills the step's data, with its keys in the order of the documentation."""
        source, data = step.source, step.data
        if "title" in source:
            data["title"] = source["title"]
        self._convert_module(step)
        for key in STEP_KEYS:
            if key in source and key not in ("id", "title", "module", "subsystem"):
                value = source[key]
                if key in LISTS_OF_IDS and isinstance(value, str):
                    value = [value]
                data[key] = {} if key == "with" and value == [] else value
        if isinstance(data.get("condition"), list):
            self._clean_items(data["condition"])
        for key in source:
            if key not in STEP_KEYS:
                step.left_out.append(_shortened(f"{scalar(key)}: {flow(source[key])}"))
                self._note(
                    self._document.offset_in(source, key, of_key=True),
                    f'could not carry over: the key "{key}" of step "{step.id}"',
                    "It stands in the file as a comment.",
                )

    def _convert_module(self, step: _Taken) -> None:
        source, data = step.source, step.data
        key = "module" if "module" in source else "subsystem"
        name = source.get(key)
        if isinstance(name, str) and self._modules.find(name) is not None:
            data["module"] = name
            return
        data["module"] = _PLACEHOLDER
        data["with"] = {}
        if not isinstance(name, str):
            self._comments[id(data), "module"] = "the PHP file names no subsystem"
            self._note(step.offset, f'step "{step.id}" has no subsystem: written as `module: set`')
            return
        alike = sorted(known for known in self._modules.names() if known.rpartition(".")[2] == name)
        advice = "bind it in beltline.toml" + (f" or write module: {alike[0]}" if alike else "")
        self._comments[id(data), "module"] = f"was {key}: {scalar(name)}; {advice}"
        self._note(
            self._document.offset_in(source, key),
            f'no module has the name "{name}": step "{step.id}" is written as `module: set`',
            f"{advice[0].upper()}{advice[1:]}.",
        )

    def _clean_items(self, condition: list[Any]) -> None:
        """Takes out of conditions what no item can have; a single id becomes a list."""
        waiting: list[Any] = [condition]
        while waiting:
            node = waiting.pop()
            if isinstance(node, list):
                waiting.extend(node)
            if not isinstance(node, dict):
                continue
            for key in [key for key in node if key not in _ITEM_KEYS]:
                self._note(
                    self._document.offset_in(node, key, of_key=True),
                    f'could not carry over: the key "{key}" of a condition',
                )
                self._document.remove_key(node, key)
            for key in ("result", "success", "failure"):
                if isinstance(node.get(key), str):
                    node[key] = [node[key]] if node[key] else []
            waiting.extend(node[key] for key in _NESTED if key in node)

    def _find_absent(self, taken: list[_Taken]) -> dict[str, str]:
        """The steps that are led to, or read from, and are not in the file, each with the first
        step that does so.
        """
        ids = frozenset(step.id for step in taken)
        absent: dict[str, str] = {}
        for step in taken:
            for name, use in _references(step.data, ids):
                if name in ids or name in absent or name in RESERVED_IDS or not name:
                    continue
                absent[name] = step.id
                self._note(
                    step.offset,
                    f'step "{step.id}" {use} "{name}", which the file does not hold: '
                    "written as `module: set`",
                    "Write out what it does.",
                )
        return absent

    def _settle_prev(self, taken: list[_Taken], absent: dict[str, str]) -> dict[str, list[str]]:
        """Drops the names from `prev` that nothing else speaks of; gives, for the absent steps,
        the steps that say to come after them.
        """
        known = {step.id for step in taken}.union(absent)
        followers: dict[str, list[str]] = {}
        for step in taken:
            prev = step.data.get("prev")
            if not isinstance(prev, list):
                continue
            for name in prev:
                if not isinstance(name, str):
                    continue
                if name not in known:
                    self._note(
                        self._document.offset_in(step.source, "prev"),
                        f'prev of step "{step.id}" names "{name}", which the file does not hold: '
                        "dropped",
                    )
                elif name in absent:
                    followers.setdefault(name, []).append(step.id)
            kept = [name for name in prev if not isinstance(name, str) or name in known]
            if kept:
                step.data["prev"] = kept
            else:
                del step.data["prev"]
        return followers

    def _starts(self, taken: list[_Taken]) -> list[str]:
        """The steps with an empty `prev`: those that say so, and those that say nothing and that
        no route leads to; else the first.
        """
        ids = frozenset(step.id for step in taken)
        led_to = {
            name for step in taken for name, use in _references(step.data, ids) if use == _LEADS_TO
        }
        said = set(self._original.starts)
        starts = [
            step.id
            for step in taken
            if step.id in said or ("prev" not in step.data and step.id not in led_to)
        ]
        return list(dict.fromkeys(starts)) or [step.id for step in taken[:1]]

    def _placeholder(self, id_: str, user: str, followers: list[str]) -> Iterator[str]:
        data: dict[str, Any] = {"id": id_, "module": _PLACEHOLDER, "with": {}}
        if followers:
            data["next"] = followers
        comment = f"the PHP file has no such step; {scalar(user)} refers to it"
        yield from item(data, {(id(data), "module"): comment}, 2)


def _references(step: dict[str, Any], ids: frozenset[str]) -> Iterator[tuple[str, str]]:
    """The steps that a step speaks of, and how: in its routes, fields and parameters."""
    for key in ("next", "on_error"):
        for name in _names(step.get(key)):
            yield name, _LEADS_TO
    waiting: list[Any] = [step.get("condition")]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting.extend(reversed(node))
        elif isinstance(node, dict):
            for key in ("field", "value"):
                text = node.get(key)
                if isinstance(text, str) and (key == "field" or "{{" in text):
                    root = root_of(text)
                    if root is not None:
                        yield root, _READS
            for key in ("result", "success", "failure"):
                for name in _names(node.get(key)):
                    yield name, _LEADS_TO
            waiting.extend(node[key] for key in reversed(_NESTED) if key in node)
    roots = compile_value(step.get("with", {}), ids, ())[0].roots
    for root in sorted(roots or ()):
        yield root, _READS


def _names(value: Any) -> list[str]:
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []


def _shortened(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}…"

"""A process file -> `core.model.Process`, with every mistake of it at once.

The text is read into a positioned tree, each step is read and compiled, and the routes between
them are checked as a graph. Nothing stops at the first error, and nothing recurses.
"""

from __future__ import annotations

import gc
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from beltline.core.limits import LIMITS
from beltline.core.model import Process
from beltline.core.problem import Place
from beltline.core.template import Template, compile_value
from beltline.definition.finding import Finding, Report, unreadable
from beltline.definition.flow import check_flow
from beltline.definition.mentions import mention_in_values
from beltline.definition.modules import ModuleIndex
from beltline.definition.policy import Policy, read_defaults
from beltline.definition.reading import Format, format_of, read_document
from beltline.definition.shape import (
    check_keys,
    kind_of,
    read_file_name,
    read_name,
    read_names,
    read_object,
    read_text,
)
from beltline.definition.step import (
    RESERVED_IDS,
    StepContext,
    check_targets,
    is_deeper,
    read_step,
    report_unknown_root,
    unknown_roots,
)
from beltline.definition.tree import Unreadable

PROCESS_KEYS = ("process", "title", "start", "defaults", "steps", "output")


class Checked(msgspec.Struct, frozen=True):
    """The outcome of a check: the process, or None where there is any error; and all findings,
    by place.
    """

    process: Process | None
    findings: list[Finding]

    @property
    def errors(self) -> list[Finding]:
        """The findings that keep the process from being published."""
        return [finding for finding in self.findings if finding.severity == "error"]


def read_process(
    text: str,
    *,
    name: str | None,
    file: str,
    modules: ModuleIndex,
    connections: Collection[str] | None,
    version: int = 0,
    format: Format | None = None,
) -> Checked:
    """Reads and checks one process.

    `name` is the file's stem, which `process:` must equal (None: anything goes). `connections` are
    the names that steps may use (a mapping gives their kinds too; None: not checked). `format`
    None is taken from the ending of `file`. Never raises for what stands in `text`.
    """
    form = format or format_of(file)
    with _collection_paused():
        try:
            document = read_document(text, form, name=name)
        except Unreadable as error:
            return Checked(None, [unreadable(error, text, file)])
        report = Report(document, file)
        reader = _ProcessReader(report, name, modules, connections, is_php=form == "php")
        process = reader.read(document.data)
        if report.errors or process is None:
            return Checked(None, report.findings())
        checked = msgspec.structs.replace(process, version=version, source_text=text)
        return Checked(checked, report.findings())


@contextmanager
def _collection_paused() -> Iterator[None]:
    """Without the collector of reference cycles, which would look again and again through the
    growing tree, that has none: a quarter of the time of a large process.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class _ProcessReader:
    def __init__(
        self,
        report: Report,
        name: str | None,
        modules: ModuleIndex,
        connections: Collection[str] | None,
        *,
        is_php: bool,
    ) -> None:
        self._report = report
        self._name = name
        self._modules = modules
        self._connections = connections
        self._is_php = is_php

    def read(self, data: Any) -> Process | None:
        report = self._report
        if not isinstance(data, dict):
            report.error((), f"a process is an object of keys, not {kind_of(data)}")
            return None
        check_keys(report, data, PROCESS_KEYS, (), "a process")
        name = read_file_name(report, data, "process", self._name)
        title = ""
        if "title" in data:
            title = read_text(report, data["title"], ("title",), "title") or ""
        policy = Policy()
        if "defaults" in data:
            policy = read_defaults(report, data["defaults"], ("defaults",))
        listed = self._list_steps(data)
        if listed is None:
            return None
        context = StepContext(
            report=report,
            step_ids=frozenset(listed),
            modules=self._modules,
            connections=self._connections,
            policy=policy,
            empty_list_is_object=self._is_php,
            routes_hold=not any(id.startswith("\0") for id in listed),
        )
        read = {
            id: read_step(context, step_data, id, place)
            for id, (step_data, place) in listed.items()
        }
        start = self._read_start(context, data, next(iter(listed)))
        output = self._read_output(context, data)
        if context.routes_hold and start:
            check_flow(report, start, read)
        return Process(
            name=name or "",
            version=0,
            start=start,
            steps={id: step.step for id, step in read.items()},
            title=title,
            output=output,
        )

    def _list_steps(self, data: dict[str, Any]) -> dict[str, tuple[dict[str, Any], Place]] | None:
        """The steps by id, in file order, each with its place."""
        report = self._report
        if "steps" not in data:
            report.error((), "the process has no steps", "Add `steps:` with a list of steps.")
            return None
        steps = data["steps"]
        if not isinstance(steps, list):
            report.error(("steps",), f"steps must be a list, not {kind_of(steps)}")
            return None
        if not steps:
            report.error(("steps",), "the process has no steps")
            return None
        if len(steps) > LIMITS.process_steps:
            report.error(
                ("steps", LIMITS.process_steps),
                f"more steps than a process may have (process_steps: {LIMITS.process_steps:,})",
            )
            return None
        listed: dict[str, tuple[dict[str, Any], Place]] = {}
        for index, value in enumerate(steps):
            place: Place = ("steps", index)
            step = read_object(report, value, place, "a step")
            if step is None:
                continue
            id = self._read_id(step, place, listed)
            listed[id if id is not None else f"\0{index}"] = (step, place)
        return listed or None

    def _read_id(
        self,
        step: dict[str, Any],
        place: Place,
        listed: dict[str, tuple[dict[str, Any], Place]],
    ) -> str | None:
        report, at = self._report, (*place, "id")
        if "id" not in step:
            report.error(place, "the step has no id", "Add `id: NAME`.")
            return None
        id = read_name(report, step["id"], at, "id")
        if id is None:
            return None
        if id in RESERVED_IDS:
            report.error(
                at,
                f'"{id}" cannot be the id of a step: it names a part of the document',
                f"Reserved are {', '.join(sorted(RESERVED_IDS))}.",
            )
        if id in listed:
            line, _ = report.document.position((*listed[id][1], "id"))
            report.error(
                at, f'the id "{id}" is taken by the step on line {line}', "Give each step its own."
            )
            return None
        return id

    def _read_start(
        self, context: StepContext, data: dict[str, Any], first: str
    ) -> tuple[str, ...]:
        if "start" not in data:
            return () if first.startswith("\0") else (first,)
        names = read_names(self._report, data["start"], ("start",), "start")
        if names is None:
            return ()
        if not names:
            self._report.error(
                ("start",),
                "start names no step",
                "Name the first step, or leave start out for the first step listed.",
            )
        check_targets(context, names)
        return tuple(dict.fromkeys(name for name, _ in names))

    def _read_output(self, context: StepContext, data: dict[str, Any]) -> Template | None:
        if "output" not in data:
            return None
        if is_deeper([data["output"]], LIMITS.request_depth):
            self._report.error(
                ("output",),
                f"output is nested deeper than {LIMITS.request_depth} levels (request_depth)",
            )
            return None
        template, problems = compile_value(data["output"], context.step_ids, ("output",))
        self._report.take(problems)
        for root in unknown_roots(context, template.roots):
            place = mention_in_values(data["output"], ("output",), root)
            report_unknown_root(context, root, place)
        return template

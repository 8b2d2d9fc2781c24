"""Operations on processes: what is published, and publishing."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from beltline.api.access import Role
from beltline.api.operation import Call, Nothing, Text, operation
from beltline.api.problem import Problem
from beltline.core.explanation import moment
from beltline.engine.loader import VersionUnusable
from beltline.engine.ports import NotFound
from beltline.engine.processes import Refusal
from beltline.engine.records import Format, StoredVersion

YAML_MEDIA = ("text/yaml", "application/yaml", "application/x-yaml")
DEFINITION_MEDIA = (*YAML_MEDIA, "application/json")


class ProcessSummary(msgspec.Struct, frozen=True):
    """A process in its newest version. `unusable` says why this hub cannot run it, if so."""

    process: str
    version: int
    title: str
    published_at: str
    hash: str
    unusable: str


class ProcessList(msgspec.Struct, frozen=True):
    """All published processes, by name."""

    processes: list[ProcessSummary]


class ProcessView(msgspec.Struct, frozen=True):
    """A version of a process; `text` is the definition as its author wrote it."""

    process: str
    version: int
    title: str
    published_at: str
    hash: str
    unusable: str
    format: str
    text: str
    start: list[str]
    steps: list[str]


class VersionQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which version; the newest where it is left out."""

    version: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None = None


class FindingView(msgspec.Struct, frozen=True):
    """A finding of the check; `line` and `column` count from 1."""

    file: str
    line: int
    column: int
    severity: str
    message: str
    suggestion: str


class Published(msgspec.Struct, frozen=True):
    """The version that new requests go through from now on, and the warnings of its check."""

    process: str
    version: int
    hash: str
    published_at: str
    warnings: list[FindingView]


@operation(needs=Role.VIEWER, answer=ProcessList)
async def list_processes(call: Call[Nothing, Nothing]) -> ProcessList:
    """Lists the published processes."""
    versions = await call.hub.store.newest_versions()
    views = [await _view(call, stored) for stored in versions]
    return ProcessList(
        [
            ProcessSummary(v.process, v.version, v.title, v.published_at, v.hash, v.unusable)
            for v in views
        ]
    )


@operation(needs=Role.VIEWER, query=VersionQuery, answer=ProcessView, problems=(400, 404))
async def show_process(call: Call[VersionQuery, Nothing]) -> ProcessView:
    """Shows a version of a process with its definition."""
    try:
        stored = await call.hub.store.version(call.path["name"], call.query.version)
    except NotFound:
        which = "" if call.query.version is None else f" in version {call.query.version}"
        raise Problem(
            404, "no-such-process", f"There is no published process of this name{which}."
        ) from None
    return await _view(call, stored)


@operation(
    needs=Role.EDITOR, text_media=DEFINITION_MEDIA, answer=Published, problems=(400, 413, 415, 422)
)
async def publish_process(call: Call[Nothing, Text]) -> Published:
    """Checks a definition and publishes it as the newest version."""
    name, most = call.path["name"], call.hub.limits.told_findings
    format: Format = "json" if call.body.media == "application/json" else "yaml"
    try:
        stored, findings = await call.hub.processes.publish(
            name, call.body.text, format, f"{name}.{format}"
        )
    except Refusal as refusal:
        raise Problem(
            422,
            "definition-refused",
            f"The definition has errors, and nothing was published.{_how_many(refusal, most)}"
            f" The first: {str(refusal.findings[0])[:500]}",
            findings=[msgspec.to_builtins(found) for found in refusal.findings[:most]],
        ) from refusal
    warnings: Any = [msgspec.structs.asdict(found) for found in findings[:most]]
    return Published(
        process=stored.process,
        version=stored.version,
        hash=stored.hash,
        published_at=moment(stored.published_at),
        warnings=[FindingView(**warning) for warning in warnings],
    )


def _how_many(refusal: Refusal, most: int) -> str:
    """Says so where not all findings are told."""
    count = len(refusal.findings)
    if count <= most:
        return ""
    return f" It has {count:,} findings; {most:,} are told (limit told_findings)."


async def _view(call: Call[Any, Nothing], stored: StoredVersion) -> ProcessView:
    unusable, title, start, steps = "", "", [], []
    try:
        process = await call.hub.processes.by_id(stored.id)
    except VersionUnusable as why:
        unusable = str(why)
    else:
        title, start, steps = process.title, list(process.start), list(process.steps)
    return ProcessView(
        process=stored.process,
        version=stored.version,
        title=title,
        published_at=moment(stored.published_at),
        hash=stored.hash,
        unusable=unusable,
        format=stored.format,
        text=stored.text,
        start=start,
        steps=steps,
    )

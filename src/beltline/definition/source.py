"""A source file (`sources/*.yaml`) -> `Source`: the way in, and what becomes of what comes.

kind and its own keys     who may send, or where to look      webhook.py and its siblings
process, condition        which process carries a request     here
identity                  what makes a request a repeat       here
schema                    what every request must fit         request_schema.py
release, key, ...         how requests wait                   buffering.py
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import msgspec

from beltline.core.condition import Routing, compile_routing
from beltline.core.limits import LIMITS
from beltline.core.problem import Place
from beltline.core.template import Template
from beltline.definition.bitrix24 import BITRIX24_KEYS, Bitrix24Way, read_bitrix24
from beltline.definition.buffering import BUFFER_KEYS, Buffering, read_buffering
from beltline.definition.files import FILES_KEYS, FilesWay, read_files
from beltline.definition.finding import Finding, Report, unreadable
from beltline.definition.mail import MAIL_KEYS, MailWay, read_mail
from beltline.definition.poll import POLL_KEYS, PollWay, read_poll
from beltline.definition.queue import QUEUE_KEYS, QueueWay, read_queue
from beltline.definition.reading import Format, format_of, read_document
from beltline.definition.request_schema import RequestSchema, read_schema
from beltline.definition.request_value import ROOTS, read_request_value
from beltline.definition.schedule import SCHEDULE_KEYS, ScheduleWay, read_schedule
from beltline.definition.shape import (
    check_keys,
    read_duration_ms,
    read_file_name,
    read_name,
    read_object,
    read_text,
)
from beltline.definition.tree import Unreadable
from beltline.definition.webhook import WEBHOOK_KEYS, WebhookWay, read_webhook

_KEYS = ("source", "kind", "process", "condition", "identity", "schema", *BUFFER_KEYS)
_IDENTITY_KEYS = ("by", "window")
_WINDOW_MS = 86_400_000

Way = WebhookWay | ScheduleWay | FilesWay | PollWay | MailWay | QueueWay | Bitrix24Way


class _Kind(msgspec.Struct, frozen=True):
    """The keys that only sources of one kind have, and what reads them."""

    keys: tuple[str, ...]
    read: Callable[[Report, dict[str, Any]], Way | None]


_KINDS = {
    "webhook": _Kind(WEBHOOK_KEYS, read_webhook),
    "schedule": _Kind(SCHEDULE_KEYS, read_schedule),
    "files": _Kind(FILES_KEYS, read_files),
    "poll": _Kind(POLL_KEYS, read_poll),
    "mail": _Kind(MAIL_KEYS, read_mail),
    "queue": _Kind(QUEUE_KEYS, read_queue),
    "bitrix24": _Kind(BITRIX24_KEYS, read_bitrix24),
}


class Identity(msgspec.Struct, frozen=True):
    """What makes a request the same as an earlier one: the value of `by`, for `window_ms` from
    the first's acceptance.
    """

    by: Template
    window_ms: int


class Source(msgspec.Struct, frozen=True):
    """A way in. A request goes to the process that `routing` names (it names one), else to
    `process`; it is refused where neither gives one.
    """

    name: str
    way: Way
    process: str | None
    routing: Routing | None = None
    identity: Identity | None = None
    buffering: Buffering = Buffering()
    schema: RequestSchema | None = None

    @property
    def kind(self) -> str:
        """The kind as the file calls it."""
        return self.way.kind

    @property
    def processes(self) -> tuple[str, ...]:
        """All processes that its requests can go to."""
        routed = self.routing.targets if self.routing else ()
        default = (self.process,) if self.process is not None else ()
        return tuple(dict.fromkeys((*default, *routed)))


class CheckedSource(msgspec.Struct, frozen=True):
    """The outcome of a check: the source, or None where there is any error; and all findings."""

    source: Source | None
    findings: list[Finding]


def read_source(
    text: str,
    *,
    name: str | None,
    file: str,
    processes: Collection[str] | None,
    connections: Collection[str] | None = None,
    format: Format | None = None,
) -> CheckedSource:
    """Reads and checks one source file.

    `name` is the file's stem, which `source:` must equal (None: anything goes); `processes` are
    the names of processes that there are, `connections` those of connections (None: not checked).
    Never raises for the text.
    """
    try:
        document = read_document(text, format or format_of(file))
    except Unreadable as error:
        return CheckedSource(None, [unreadable(error, text, file)])
    report = Report(document, file, connections)
    data = read_object(report, document.data, (), "a source")
    source = _read(report, data, name, processes) if data is not None else None
    return CheckedSource(None if report.errors else source, report.findings())


def _read(
    report: Report, data: dict[str, Any], stem: str | None, processes: Collection[str] | None
) -> Source | None:
    kind = _read_kind(report, data)
    if kind is not None:
        check_keys(report, data, (*_KEYS, *kind.keys), (), "a source")
    name = read_file_name(report, data, "source", stem)
    process = _read_process(report, data, processes)
    routing = _read_routing(report, data["condition"], processes) if "condition" in data else None
    schema = read_schema(report, data["schema"]) if "schema" in data else None
    way = kind.read(report, data) if kind is not None else None
    identity = _read_identity(report, data["identity"]) if "identity" in data else None
    buffering = read_buffering(report, data)
    if name is None or way is None:
        return None
    return Source(name, way, process, routing, identity, buffering, schema)


def _read_kind(report: Report, data: dict[str, Any]) -> _Kind | None:
    if "kind" not in data:
        report.error((), "the source has no kind", "Add `kind: webhook`.")
        return None
    name = read_text(report, data["kind"], ("kind",), "kind")
    if name is None:
        return None
    if name not in _KINDS:
        report.error(
            ("kind",),
            f'"{name[:100]}" is no kind of source',
            report.did_you_mean(name, _KINDS) or f"Kinds: {', '.join(_KINDS)}.",
        )
        return None
    return _KINDS[name]


def _read_process(
    report: Report, data: dict[str, Any], processes: Collection[str] | None
) -> str | None:
    if "process" not in data:
        if "condition" not in data:
            report.error((), "the source names no process", "Add `process: NAME`.")
        return None
    process = read_name(report, data["process"], ("process",), "process")
    if process is not None:
        _check_process(report, process, ("process",), processes)
    return process


def _check_process(report: Report, name: str, at: Place, processes: Collection[str] | None) -> None:
    if processes is not None and name not in processes:
        report.error(
            at, f'no process has the name "{name[:100]}"', report.did_you_mean(name, processes)
        )


def _read_routing(report: Report, value: Any, processes: Collection[str] | None) -> Routing | None:
    """The condition of a source gives a process where that of a step gives steps."""
    at: Place = ("condition",)
    routing, problems = compile_routing(value, match_all=False, step_ids=(), place=at)
    report.take(problems)
    if routing is None:
        return None
    report.take(routing.warnings)
    for root in sorted((routing.roots or frozenset()) - ROOTS):
        report.error(
            at,
            f'"{root[:100]}" is not known when a request is accepted',
            "A path starts with request or meta here.",
        )
    for target, place in routing.target_places:
        _check_process(report, target, place, processes)
        if place[-1] != 0:
            report.error(place, "a request goes to one process")
    return routing


def _read_identity(report: Report, value: Any) -> Identity | None:
    at: Place = ("identity",)
    data = read_object(report, value, at, "identity")
    if data is None:
        return None
    check_keys(report, data, _IDENTITY_KEYS, at, "identity")
    window_ms: int | None = _WINDOW_MS
    if "window" in data:
        window_ms = read_duration_ms(
            report,
            data["window"],
            (*at, "window"),
            "window",
            most_ms=LIMITS.wait_ms,
            limit="wait_ms",
        )
    if "by" not in data:
        report.error(at, "identity needs the value to go by", 'Add `by: "{{ request.NAME }}"`.')
        return None
    by = read_request_value(report, data["by"], (*at, "by"), "by")
    return Identity(by, window_ms) if by is not None and window_ms is not None else None

"""One step's data -> `core.model.Step`, with everything that is wrong in it reported."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from beltline.core.condition import Routing, compile_routing
from beltline.core.limits import LIMITS
from beltline.core.model import Step
from beltline.core.problem import Place
from beltline.core.template import Template, compile_value
from beltline.definition.finding import Report
from beltline.definition.mentions import field_with_root, mention_in_values
from beltline.definition.modules import ModuleEntry, ModuleIndex
from beltline.definition.policy import Policy, read_policy
from beltline.definition.shape import (
    check_keys,
    kind_of,
    read_integer,
    read_name,
    read_names,
    read_object,
    read_text,
)

STEP_KEYS = (
    "id", "title", "module", "subsystem", "connection", "with", "prev", "condition", "match",
    "next", "on_error", "on_timeout", "undo", "retry", "timeout", "max_visits",
)  # fmt: skip
WAITS_FOR_OTHERS = frozenset(("wait-event@1", "approve@1"))  # steps that may have `on_timeout`
RESERVED_IDS = frozenset(("request", "meta", "item", "parent"))


class StepContext(msgspec.Struct):
    """What the reading of all steps of one process shares.

    `routes_hold` becomes false where a route could not be read: what depends on all routes being
    known is not checked then. `found` remembers the look-ups of modules.
    """

    report: Report
    step_ids: frozenset[str]
    modules: ModuleIndex
    connections: Collection[str] | None
    policy: Policy
    empty_list_is_object: bool
    routes_hold: bool = True
    found: dict[str, ModuleEntry | None] = {}


class ReadStep(msgspec.Struct, frozen=True):
    """A step as far as it could be read.

    `outcomes` are the lists of steps that its condition can give.
    """

    step: Step
    place: Place
    outcomes: tuple[tuple[str, ...], ...]


def read_step(context: StepContext, data: dict[str, Any], id: str, place: Place) -> ReadStep:
    """Reads the step `id` at `place`."""
    report = context.report
    check_keys(report, data, STEP_KEYS, place, "a step")
    module, entry = _read_module(context, data, place)
    template = _read_with(context, data, entry, place)
    routing, outcomes = _read_condition(context, data, place)
    policy = read_policy(report, data, place, context.policy)
    max_visits = LIMITS.visits_per_step
    if "max_visits" in data:
        max_visits = (
            read_integer(
                report,
                data["max_visits"],
                (*place, "max_visits"),
                "max_visits",
                least=1,
                most=LIMITS.visits_per_step,
                limit="visits_per_step",
            )
            or max_visits
        )
    title = ""
    if "title" in data:
        title = read_text(report, data["title"], (*place, "title"), "title") or ""
    step = Step(
        id=id,
        module=module,
        implementation=entry.pinned if entry is not None else "",
        effect=entry.effect if entry is not None else "at-least-once",
        input=template,
        routing=routing,
        next=read_targets(context, data, "next", place),
        prev=read_targets(context, data, "prev", place),
        on_error=read_targets(context, data, "on_error", place),
        on_timeout=_read_on_timeout(context, data, entry, place),
        undo=_read_undo(context, data, id, place),
        connection=_read_connection(context, data, module, entry, place),
        retry=policy.retry,
        timeout_ms=policy.timeout_ms,
        max_visits=max_visits,
        title=title,
        transport=entry.transport if entry is not None else "event",
    )
    return ReadStep(step, place, outcomes)


def read_targets(
    context: StepContext, data: dict[str, Any], key: str, place: Place
) -> tuple[str, ...]:
    """The ids under `key`, without repetition; an id that no step has is an error."""
    if key not in data:
        return ()
    names = read_names(context.report, data[key], (*place, key), key)
    if names is None:
        context.routes_hold = False
        return ()
    if len(names) > LIMITS.step_targets:
        context.report.error(
            (*place, key),
            f"{key} names {len(names):,} steps; {LIMITS.step_targets:,} are allowed (step_targets)",
        )
    check_targets(context, names)
    return tuple(dict.fromkeys(name for name, _ in names))


def _read_on_timeout(
    context: StepContext, data: dict[str, Any], entry: ModuleEntry | None, place: Place
) -> tuple[str, ...]:
    """Where a step leads that waits for something from outside, when its time is over."""
    targets = read_targets(context, data, "on_timeout", place)
    if "on_timeout" not in data or entry is None:
        return targets
    at, given = (*place, "on_timeout"), data.get("with")
    if entry.pinned not in WAITS_FOR_OTHERS:
        names = " and ".join(sorted(name.partition("@")[0] for name in WAITS_FOR_OTHERS))
        context.report.error(
            at,
            f"on_timeout is for steps that wait for something from outside: {names}",
            "What follows a call that failed is `on_error`.",
            of_key=True,
        )
    elif not isinstance(given, dict) or "within" not in given:
        context.report.error(
            at,
            "on_timeout is never reached: the step waits for as long as it takes",
            "Add `within: LENGTH OF TIME` to its `with`.",
            of_key=True,
        )
    return targets


def _read_undo(context: StepContext, data: dict[str, Any], id: str, place: Place) -> str:
    """The step that undoes this one; empty where nothing does."""
    if "undo" not in data:
        return ""
    at = (*place, "undo")
    name = read_name(context.report, data["undo"], at, "undo")
    if name is None:
        context.routes_hold = False
        return ""
    if name == id:
        context.report.error(at, "a step cannot undo itself", "Name another step.")
    check_targets(context, [(name, at)])
    return name


def check_targets(context: StepContext, names: list[tuple[str, Place]]) -> None:
    """Reports the ids that no step has."""
    for name, at in names:
        if name not in context.step_ids:
            context.routes_hold = False
            context.report.error(
                at,
                f'no step has the id "{name[:100]}"',
                context.report.did_you_mean(name, context.step_ids),
            )


def unknown_roots(context: StepContext, roots: frozenset[str] | None) -> list[str]:
    """The roots that are no part of the document: neither reserved nor a step's id."""
    return sorted(
        root for root in roots or () if root not in context.step_ids and root not in RESERVED_IDS
    )


def report_unknown_root(context: StepContext, root: str, at: Place) -> None:
    """Reports a path that starts from nothing that a run's document can hold."""
    known = [*RESERVED_IDS, *context.step_ids]
    context.report.error(
        at,
        f'"{root[:100]}" is neither a step\'s id nor request, meta, item or parent',
        context.report.did_you_mean(root, known),
    )


def _read_module(
    context: StepContext, data: dict[str, Any], place: Place
) -> tuple[str, ModuleEntry | None]:
    report = context.report
    if "module" in data and "subsystem" in data:
        report.error(
            (*place, "subsystem"),
            "`subsystem` is another name of `module`; a step has one of them",
            "Remove one of the two.",
            of_key=True,
        )
    key = "module" if "module" in data else "subsystem"
    if key not in data:
        report.error(place, "the step names no module", "Add `module: NAME`.")
        return "", None
    name = read_name(report, data[key], (*place, key), key)
    if name is None:
        return "", None
    if name not in context.found:
        context.found[name] = context.modules.find(name)
    entry = context.found[name]
    if entry is None:
        known = context.modules.names()
        report.error(
            (*place, key),
            f'no module has the name "{name}"',
            report.did_you_mean(name, known) or _same_last_part(name, known),
        )
    return name, entry


def _same_last_part(name: str, known: Collection[str]) -> str:
    """A name such as `find-deal` where a module `bitrix24.find-deal` exists."""
    alike = sorted(other for other in known if other.rpartition(".")[2] == name)
    return f'Did you mean "{alike[0]}"?' if alike else ""


def _read_with(
    context: StepContext, data: dict[str, Any], entry: ModuleEntry | None, place: Place
) -> Template:
    report, at = context.report, (*place, "with")
    given = data.get("with", {})
    if given == [] and context.empty_list_is_object:
        given = {}
    params = read_object(report, given, at, "with")
    if params is not None and is_deeper(params, LIMITS.request_depth):
        report.error(
            at, f"with is nested deeper than {LIMITS.request_depth} levels (request_depth)"
        )
        params = None
    if params is None:
        return compile_value({}, context.step_ids, at)[0]
    template, problems = compile_value(params, context.step_ids, at)
    report.take(problems)
    for root in unknown_roots(context, template.roots):
        report_unknown_root(context, root, mention_in_values(params, at, root))
    if entry is not None:
        report.take(entry.check(params, at))
    return template


def is_deeper(value: Any, levels: int) -> bool:
    """Whether lists and objects are nested in `value` deeper than `levels`."""
    layer = [value]
    for _ in range(levels + 1):
        layer = [
            child
            for container in layer
            for child in (container.values() if isinstance(container, dict) else container)
            if isinstance(child, (dict, list))
        ]
        if not layer:
            return False
    return True


def _read_condition(
    context: StepContext, data: dict[str, Any], place: Place
) -> tuple[Routing | None, tuple[tuple[str, ...], ...]]:
    report = context.report
    match_all = False
    if "match" in data:
        match_all = data["match"] == "all"
        if not match_all:
            report.error(
                (*place, "match"),
                "match can only be `all`",
                "Leave it out for the first item that gives an outcome.",
            )
    if "condition" not in data:
        return None, ()
    at = (*place, "condition")
    if not isinstance(data["condition"], list):
        report.error(at, f"condition must be a list of items, not {kind_of(data['condition'])}")
        context.routes_hold = False
        return None, ()
    if not data["condition"]:
        return None, ()
    routing, problems = compile_routing(
        data["condition"], match_all=match_all, step_ids=context.step_ids, place=at
    )
    report.take(problems)
    if routing is None or any(problem.severity == "error" for problem in problems):
        context.routes_hold = False
    if routing is None:
        return None, ()
    report.take(routing.warnings)
    if "next" not in data and not routing.always_decides:
        report.warning(
            at,
            "the condition leaves a gap: where no item gives an outcome, the branch ends here",
            "Add `next`; `next: []` says that it is meant to end.",
            of_key=True,
        )
    targets = list(routing.target_places)
    check_targets(context, targets)
    for root in unknown_roots(context, routing.roots):
        report_unknown_root(context, root, field_with_root(data["condition"], at, root))
    outcomes: dict[Place, list[str]] = {}
    for target, target_place in targets:
        outcomes.setdefault(target_place[:-1], []).append(target)
    return routing, tuple(tuple(outcome) for outcome in outcomes.values())


def _read_connection(
    context: StepContext,
    data: dict[str, Any],
    module: str,
    entry: ModuleEntry | None,
    place: Place,
) -> str | None:
    report, at = context.report, (*place, "connection")
    kind = entry.connection_kind if entry is not None else None
    if "connection" not in data:
        if kind is not None:
            report.error(
                place,
                f'module "{module}" needs a connection of the kind "{kind}"',
                "Add `connection: NAME`.",
            )
        return None
    name = read_name(report, data["connection"], at, "connection")
    if name is None or context.connections is None:
        return name
    if name not in context.connections:
        report.error(
            at,
            f'no connection has the name "{name}"',
            report.did_you_mean(name, context.connections)
            or f"Add the file connections/{name}.yaml.",
        )
    elif isinstance(context.connections, Mapping) and kind is not None:
        given = context.connections[name]
        if given != kind:
            report.error(
                at, f'connection "{name}" is of the kind "{given}"; the module needs "{kind}"'
            )
    return name

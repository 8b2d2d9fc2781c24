"""Conditions against a slow reference: random lists, documents and values.

The reference reads the data of the list itself, with recursion and without compiling; it shares
no code with `core`.
"""

from __future__ import annotations

import json
import operator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from beltline.core.comparisons import equal
from beltline.core.condition import compile_routing
from beltline.core.expression import Scope
from beltline.core.path import MISSING, compile_path
from beltline.core.template import compile_value

SCOPE = Scope(now_ms=0, run="r", seq=1)
FIELDS = ("a", "b", "c.d", "c.0")
STEPS = ("s1", "s2", "s3")

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.sampled_from([0.0, 1.0, 1.5]),
    st.sampled_from(["", "x", "X", "1"]),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["d", "e", "0"]), inner, max_size=2),
    ),
    max_leaves=6,
)
documents = st.dictionaries(st.sampled_from(["a", "b", "c"]), values, max_size=3)

comparisons = st.one_of(
    st.fixed_dictionaries(
        {
            "field": st.sampled_from(FIELDS),
            "operation": st.sampled_from(["empty", "!|empty", "exists", "!|exists", "!|!|empty"]),
        }
    ),
    st.fixed_dictionaries(
        {
            "field": st.sampled_from(FIELDS),
            "operation": st.sampled_from(
                ["=", "!=", "!|=", "any|=", "all|=", "!|any|=", "lower|="]
            ),
            "value": values,
        }
    ),
    st.fixed_dictionaries(
        {
            "field": st.sampled_from(FIELDS),
            "operation": st.sampled_from([">", "<=", "any|<"]),
            "value": st.one_of(st.integers(-2, 2), st.sampled_from(["", "x"])),
        }
    ),
    st.fixed_dictionaries(
        {
            "field": st.sampled_from(FIELDS),
            "operation": st.just("="),
            "value": st.sampled_from(FIELDS).map(lambda field: f"{{{{ {field} }}}}"),
        }
    ),
)
tests = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        *(
            st.fixed_dictionaries({key: st.lists(inner, min_size=1, max_size=3)})
            for key in ("and", "or", "not")
        )
    ),
    max_leaves=5,
)
targets = st.lists(st.sampled_from(STEPS), max_size=3)


def with_outcomes(lists: st.SearchStrategy[list[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    outcomes = st.one_of(
        st.fixed_dictionaries({"result": targets}),
        st.fixed_dictionaries({"result": targets, "failure": lists}),
        st.fixed_dictionaries({"success": lists}),
        st.fixed_dictionaries({"failure": lists}),
        st.fixed_dictionaries({"success": lists, "failure": lists}),
    )
    return st.builds(lambda test, outcome: {**test, **outcome}, tests, outcomes)


items = st.recursive(
    targets, lambda inner: st.lists(with_outcomes(inner), min_size=1, max_size=3), max_leaves=8
)
routings = st.lists(with_outcomes(items), max_size=4)


# The reference


class Gone:
    """No value."""


def look_up(document: Any, field: str) -> Any:
    for key in field.split("."):
        if isinstance(document, dict) and key in document:
            document = document[key]
        elif isinstance(document, list) and key.isdigit() and int(key) < len(document):
            document = document[int(key)]
        else:
            return Gone
    return document


def same(left: Any, right: Any) -> bool:
    """Equality by the canonical JSON text, in which 1.0 is written 1."""

    def canonical(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: canonical(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [canonical(inner) for inner in value]
        return int(value) if isinstance(value, float) and value.is_integer() else value

    if left is Gone or right is Gone:
        return False
    return json.dumps(canonical(left), sort_keys=True) == json.dumps(
        canonical(right), sort_keys=True
    )


def number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def ask(words: list[str], field: Any, value: Any) -> bool:
    word, *rest = words
    if word == "!":
        return not ask(rest, field, value)
    if word in ("any", "all"):
        elements = (
            field
            if isinstance(field, list)
            else ([] if field is None or field is Gone else [field])
        )
        answers = [ask(rest, element, value) for element in elements]
        return any(answers) if word == "any" else all(answers)
    if word == "lower":
        return ask(rest, field.lower() if isinstance(field, str) else field, value)
    if word == "empty":
        return (
            field is Gone or field is None or (isinstance(field, str | list | dict) and not field)
        )
    if word == "exists":
        return field is not Gone
    if word in ("=", "!="):
        return same(field, value) is (word == "=")
    if not (
        (number(field) and number(value)) or (isinstance(field, str) and isinstance(value, str))
    ):
        return False
    orders = {">": operator.gt, "<": operator.lt, "<=": operator.le}
    return bool(orders[word](field, value))


def holds(test: dict[str, Any], document: Any) -> bool:
    if "and" in test:
        return all(holds(inner, document) for inner in test["and"])
    if "or" in test:
        return any(holds(inner, document) for inner in test["or"])
    if "not" in test:
        return not any(holds(inner, document) for inner in test["not"])
    value = test.get("value")
    if isinstance(value, str) and value.startswith("{{"):
        value = look_up(document, value.strip("{} "))
    return ask(test["operation"].split("|"), look_up(document, test["field"]), value)


def outcomes_of(
    entries: list[Any], document: Any, path: str, *, match_all: bool
) -> list[tuple[list[str], str]]:
    """All outcomes that a list gives, with their paths; only the first one without match all."""
    if not entries or isinstance(entries[0], str):
        return [(entries, path)]
    found: list[tuple[list[str], str]] = []
    for index, entry in enumerate(entries):
        here = f"{path}[{index}]"
        if holds(entry, document):
            if "result" in entry:
                found.append((entry["result"], here))
            elif "success" in entry:
                found += outcomes_of(
                    entry["success"], document, f"{here}.success", match_all=match_all
                )
        elif "failure" in entry:
            found += outcomes_of(entry["failure"], document, f"{here}.failure", match_all=match_all)
        if found and not match_all:
            return found[:1]
    return found


# The properties


@settings(max_examples=400, deadline=None)
@given(routings, documents, st.booleans())
def test_routing_decides_as_the_reference_does(
    entries: list[Any], document: dict[str, Any], match_all: bool
) -> None:
    routing, problems = compile_routing(entries, match_all=match_all, step_ids=(), place=())
    assert problems == []
    assert routing is not None
    found = outcomes_of(entries, document, "condition", match_all=match_all) if entries else []
    before = json.dumps(document)
    verdict = routing.evaluate(document, SCOPE)
    to = tuple(dict.fromkeys(step for targets_, _ in found for step in targets_))
    assert verdict.to == (to if found else None)
    assert verdict.by == tuple(path for _, path in found)
    assert set(verdict.to or ()) <= set(routing.targets)
    assert json.dumps(document) == before
    json.dumps(verdict.saw)
    if routing.always_decides:
        assert verdict.to is not None


@settings(max_examples=300, deadline=None)
@given(routings, documents)
def test_what_is_warned_of_never_happens(entries: list[Any], document: dict[str, Any]) -> None:
    routing, _ = compile_routing(entries, match_all=False, step_ids=(), place=())
    assert routing is not None
    by = routing.evaluate(document, SCOPE).by
    for warning in routing.warnings:
        path = "condition" + "".join(
            f"[{key}]" if isinstance(key, int) else f".{key}" for key in warning.place
        )
        assert not any(
            decider == path or decider.startswith((f"{path}.", f"{path}[")) for decider in by
        ), warning


@given(values, values)
def test_equality_is_that_of_the_canonical_text(left: Any, right: Any) -> None:
    assert equal(left, right) is same(left, right)
    assert equal(left, left)


@given(documents, st.lists(st.sampled_from(["a", "b", "c", "d", "0", "1"]), min_size=1, max_size=4))
def test_paths_read_what_the_reference_reads(document: dict[str, Any], keys: list[str]) -> None:
    root, *rest = keys
    text = ".".join((f"`{root}`", *rest))
    expected = look_up(document, ".".join(keys))
    value = compile_path(text).read(document)
    if expected is Gone:
        assert value is MISSING
    else:
        assert value is expected


@given(values)
def test_a_value_without_braces_is_itself(value: Any) -> None:
    template, problems = compile_value(value, (), ())
    assert problems == []
    assert template.is_constant
    assert template.resolve({}, SCOPE) == value


@given(documents, st.dictionaries(st.sampled_from(["p", "q"]), st.sampled_from(FIELDS)))
def test_a_template_of_paths_reads_them(document: dict[str, Any], fields: dict[str, str]) -> None:
    template, _ = compile_value(
        {key: f"{{{{ {field} }}}}" for key, field in fields.items()}, (), ()
    )
    expected = {key: look_up(document, field) for key, field in fields.items()}
    resolved = template.resolve(document, SCOPE)
    assert resolved == {key: value for key, value in expected.items() if value is not Gone}

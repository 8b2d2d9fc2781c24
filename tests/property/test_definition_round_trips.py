"""What is written as YAML, JSON or PHP is read back as the same data, in every format."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from beltline.definition.json_reader import read_json
from beltline.definition.php_reader import read_php
from beltline.definition.tree import Document, Unreadable
from beltline.definition.yaml_reader import read_yaml
from beltline.definition.yaml_writer import block, flow

TEXTS = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=30),
    st.sampled_from(
        ["", "on", "No", "null", "~", "0123", "1e3", "!|empty", "{{ a }}", "a: b", "- a", "# x",
         " a", "a ", "a\tb", "\u2028", "\x85", "\ufeff", "\x7f", "'", '"', "\\", "$x", "?", "<<",
         "Звонок с сайта", "a" * 1_500, "=", ">", "|", "&a", "*a", "%a", "@a", "`a", "[", "}", ","]
    ),
)  # fmt: skip
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXTS,
)
DATA = st.recursive(
    SCALARS,
    lambda children: st.one_of(
        st.lists(children, max_size=4), st.dictionaries(TEXTS, children, max_size=4)
    ),
    max_leaves=25,
)
OBJECTS = st.dictionaries(TEXTS, DATA, min_size=1, max_size=5)


def same(one: Any, other: Any) -> bool:
    """Equal with the same types, so that 1, 1.0 and True differ; keys in the same order."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def data_of(document: Document) -> Any:
    assert document.faults == []
    return document.data


@settings(max_examples=400, deadline=None)
@given(OBJECTS)
def test_yaml_in_block_style(data: dict[str, Any]) -> None:
    assert same(data_of(read_yaml("\n".join(block(data)))), data)


@settings(max_examples=400, deadline=None)
@given(DATA)
def test_yaml_in_flow_style(data: Any) -> None:
    text = flow(data)
    assert "\n" not in text
    assert same(data_of(read_yaml(text)), data)


@settings(max_examples=300, deadline=None)
@given(DATA, st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_json(data: Any, ascii_only: bool, indent: int | str | None) -> None:
    text = json.dumps(data, ensure_ascii=ascii_only, indent=indent)
    assert same(data_of(read_json(text)), data)


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("[]{}:,\"\\ \n\t01-.eE/untrfals'#é"), max_size=20))
def test_json_is_refused_exactly_where_the_standard_library_refuses_it(text: str) -> None:
    """Beside what data cannot keep, which the reader reports as faults."""
    try:
        expected = json.loads(text, parse_constant=_refuse)
    except ValueError:
        expected = Unreadable
    try:
        document = read_json(text)
    except Unreadable:
        assert expected is Unreadable
    else:
        assert expected is not Unreadable
        assert document.faults or same(document.data, expected)


def _refuse(name: str) -> None:
    raise ValueError(name)


def php(value: Any, *, short: bool) -> str:
    """A value as a PHP literal."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "FALSE"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"'{escaped}'"
    if isinstance(value, list):
        inner = ", ".join(php(child, short=not short) for child in value)
    else:
        inner = ", ".join(
            f"{php(key, short=short)} => {php(child, short=not short)}"
            for key, child in value.items()
        )
    return f"[{inner}]" if short else f"array({inner})"


def as_php_keeps_it(value: Any) -> Any:
    """PHP has one kind of array: an object without keys, or with the keys 0, 1, 2, is a list."""
    if isinstance(value, list):
        return [as_php_keeps_it(child) for child in value]
    if not isinstance(value, dict):
        return value
    if list(value) == [str(index) for index in range(len(value))]:
        return [as_php_keeps_it(child) for child in value.values()]
    return {key: as_php_keeps_it(child) for key, child in value.items()}


@settings(max_examples=300, deadline=None)
@given(st.lists(DATA, max_size=4), st.booleans())
def test_php(data: list[Any], short: bool) -> None:
    text = f"<?php // {{}}\nreturn {php(data, short=short)};\n"
    assume("\0" not in text)  # PHP's grammar takes it for the end of the file
    assert same(data_of(read_php(text).document), as_php_keeps_it(data))


def places(data: Any) -> list[tuple[str | int, ...]]:
    found: list[tuple[str | int, ...]] = [()]
    entries = data.items() if isinstance(data, dict) else enumerate(data)
    for key, child in entries:
        if isinstance(child, (dict, list)):
            found.extend((key, *place) for place in places(child))
        else:
            found.append((key,))
    return found


@settings(max_examples=200, deadline=None)
@given(OBJECTS)
def test_every_position_leads_to_its_value(data: dict[str, Any]) -> None:
    """What stands at the position of a value, read by itself, is that value."""
    text = json.dumps(data, indent=1)
    document = read_json(text)
    starts = [0]
    for row in text.split("\n"):
        starts.append(starts[-1] + len(row) + 1)
    for place in places(data):
        line, column = document.position(place)
        value = data
        for part in place:
            value = value[part]  # type: ignore[index]
        found, _ = json.JSONDecoder().raw_decode(text, starts[line - 1] + column - 1)
        assert same(found, value)

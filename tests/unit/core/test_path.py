"""Field paths: how they are written, and that they read without a copy."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from beltline.core.limits import LIMITS
from beltline.core.path import MISSING, PathError, compile_path

DOCUMENT: dict[str, Any] = {
    "request": {
        "phone": "+7",
        "none": None,
        "items": [{"price": 5}, {"price": 7}],
        "by_year": {"2026": "now"},
        "unit price": 3,
        "имя": "Аня",
        "id": 2**70 + 1,
        "deep": {"a": {"b": {"c": [[1, [2]]]}}},
    },
    "get-deal_1": {"value": 0},
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("request.phone", "+7"),
        ("request.none", None),
        ("request.items.1.price", 7),
        ("request.by_year.2026", "now"),
        ("request.`unit price`", 3),
        ("request.имя", "Аня"),
        ("request.id", 2**70 + 1),
        ("request.deep.a.b.c.0.1.0", 2),
        ("get-deal_1.value", 0),
        ("`get-deal_1`.value", 0),
        ("nothing", MISSING),
        ("request.nothing", MISSING),
        ("request.phone.more", MISSING),
        ("request.none.more", MISSING),
        ("request.nothing.more.still", MISSING),
        ("request.items.2", MISSING),
        ("request.items.01", MISSING),
        ("request.items.`0`", MISSING),
        ("request.phone.0", MISSING),
    ],
)
def test_reads_one_value(text: str, expected: object) -> None:
    value = compile_path(text).read(DOCUMENT)
    assert value == expected
    assert type(value) is type(expected)


def test_never_maps_over_a_list() -> None:
    assert compile_path("request.items.price").read(DOCUMENT) is MISSING
    assert compile_path("request.items.length").read(DOCUMENT) is MISSING


def test_gives_the_value_itself_and_changes_nothing() -> None:
    before = copy.deepcopy(DOCUMENT)
    for text in ("request", "request.items", "request.deep.a", "request.deep.a.b.c"):
        path = compile_path(text)
        assert path.read(DOCUMENT) is path.read(DOCUMENT)
    assert compile_path("request").read(DOCUMENT) is DOCUMENT["request"]
    assert before == DOCUMENT


def test_segments_and_root() -> None:
    path = compile_path("get-deal.items.0.`a.b`.x-1")
    assert path.segments == ("get-deal", "items", 0, "a.b", "x-1")
    assert path.root == "get-deal"
    assert path.text == "get-deal.items.0.`a.b`.x-1"
    assert compile_path("`12`.a").root == "12"


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("", 0),
        (".a", 0),
        ("a.", 1),
        ("a..b", 2),
        ("a b", 1),
        ("a[0]", 1),
        ("0.a", 0),
        ("5", 0),
        ("`a", 0),
        ("a.``", 2),
        ("a.b + 1", 3),
        ("a.$b", 2),
        (" a", 0),
        ("1.5", 0),
        ("a.`b`c", 5),
        ("-2", 0),
        ("a.-1", 2),
    ],
)
def test_refuses_what_is_no_path_and_says_where(text: str, offset: int) -> None:
    with pytest.raises(PathError) as caught:
        compile_path(text)
    assert caught.value.offset == offset
    assert str(caught.value)


def test_length_is_bounded_in_bytes() -> None:
    compile_path("a" * LIMITS.expression_bytes)
    with pytest.raises(PathError, match="expression_bytes"):
        compile_path("я" * (LIMITS.expression_bytes // 2 + 1))


def test_missing_is_one_falsy_value() -> None:
    assert not MISSING
    assert repr(MISSING) == "MISSING"
    assert copy.deepcopy(MISSING) is MISSING
    assert copy.copy(MISSING) is MISSING


def test_an_index_too_long_for_any_list_is_a_key() -> None:
    digits = "9" * 60
    assert compile_path(f"a.{digits}").read({"a": {digits: 1}}) == 1
    assert compile_path(f"a.{digits}").read({"a": [1]}) is MISSING

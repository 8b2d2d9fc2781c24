"""The check of a step's `with`: every problem, at its place, with what to write instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
import pytest

from beltline.catalog.parameters import check_parameters, explain
from beltline.sdk import Config, Duration, field

PLACE = ("steps", 0, "with")


class Address(msgspec.Struct, forbid_unknown_fields=True):
    city: Annotated[str, field("City", "The city.")]
    zip: Annotated[int | None, field("Zip", "The code.")] = None


class SampleConfig(Config, rename={"from_": "from"}):
    name: Annotated[str, field("Name", "The name.", examples=["Anna"], min_length=1)]
    from_: Annotated[str | None, field("From", "Where from.")] = None
    count: Annotated[int, field("Count", "How many.", ge=1)] = 1
    share: Annotated[float, field("Share", "A part.")] = 0.5
    is_new: Annotated[bool, field("New", "Whether new.")] = False
    level: Annotated[Literal["info", "warning"], field("Level", "How loud.")] = "info"
    wait: Annotated[Duration | None, field("Wait", "How long.", examples=["5m"])] = None
    tags: Annotated[Sequence[str], field("Tags", "Words.")] = ()
    sizes: Annotated[tuple[int, ...], field("Sizes", "Numbers.")] = ()
    headers: Annotated[Mapping[str, str], field("Headers", "Headers.")] = {}
    address: Annotated[Address | None, field("Address", "Where.")] = None
    addresses: Annotated[list[Address] | None, field("Addresses", "Where else.")] = None
    names: Annotated[dict[str, str] | None, field("Names", "Names.")] = None
    anything: Annotated[Any, field("Anything", "Anything.")] = None
    query: Annotated[str | None, field("Query", "A query.", constant="value")] = None
    columns: Annotated[tuple[str, ...], field("Columns", "Columns.", constant="value")] = ()
    values: Annotated[Mapping[str, Any], field("Values", "Values.", constant="keys")] = {}

    def __post_init__(self) -> None:
        if self.from_ == "nowhere" and self.count > 1:
            raise ValueError("`from` nowhere comes only one")


def found(**params: Any) -> list[tuple[Any, str, str]]:
    """(place below `with`, message, suggestion) of each problem."""
    problems = check_parameters(SampleConfig, {"name": "Anna", **params}, PLACE)
    for problem in problems:
        assert problem.place[:3] == PLACE
        assert problem.severity == "error"
    return [(problem.place[3:], problem.message, problem.suggestion) for problem in problems]


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"from": "Moscow", "count": 2, "share": 1, "is_new": True, "level": "warning"},
        {"wait": "1h30m", "tags": ["a"], "sizes": [1, 2], "headers": {"a": "b"}},
        {"address": {"city": "Moscow"}, "addresses": [{"city": "Omsk", "zip": 644}]},
        {"anything": [{"a": None}]},
        # Whole expressions may become anything.
        {"count": "{{ request.count }}", "is_new": "{{ a }}", "level": "{{ a }}", "tags": "{{a}}"},
        {"address": "{{ a }}", "wait": "{{ a }}", "headers": "{{ a }}", "sizes": "{{ a }}"},
        {"name": '{{ "}} as text" }}', "count": '{{ "}}" }}'},
        # Text around an expression becomes text.
        {"name": "Call of {{ a }}", "from": " {{ a }}", "level": "in{{ a }}", "wait": "{{ a }}s"},
        {"tags": ["a", "{{ a }}", "b {{ a }}"], "headers": {"x": "{{ a }}", "y": "b{{ a }}"}},
        {"sizes": [1, "{{ a }}"], "addresses": ["{{ a }}", {"city": "{{ a }}", "zip": "{{ b }}"}]},
        {"anything": {"deep": ["{{ a }} b"]}},
        {"from": "nowhere", "count": "{{ a }}"},
    ],
)
def test_what_fits_passes(params: dict[str, Any]) -> None:
    assert found(**params) == []


@pytest.mark.parametrize(
    ("params", "place", "message", "suggestion"),
    [
        ({"coutn": 1}, ("coutn",), 'unknown parameter "coutn"', 'Did you mean "count"?'),
        ({"from_": "x"}, ("from_",), 'unknown parameter "from_"', 'Did you mean "from"?'),
        (
            {"name": 7},
            ("name",),
            "`name`: expected text, got a whole number",
            'Write it like "Anna".',
        ),
        ({"name": ""}, ("name",), "`name`: too short: at least 1 characters", "Anna"),
        ({"count": "7"}, ("count",), "`count`: expected a whole number, got text", "How many."),
        ({"count": 1.5}, ("count",), "`count`: expected a whole number, got a number", ""),
        ({"count": 0}, ("count",), "`count`: expected a whole number >= 1", "How many."),
        ({"count": "{{ a }} b"}, ("count",), "`count`: expected a whole number, got text", ""),
        ({"is_new": "yes"}, ("is_new",), "`is_new`: expected true or false, got text", ""),
        ({"is_new": None}, ("is_new",), "`is_new`: expected true or false, got null", ""),
        ({"level": "warnin"}, ("level",), '"warnin" is none of info, warning', '"warning"?'),
        ({"level": 3}, ("level",), "3 is none of info, warning", ""),
        ({"wait": "five"}, ("wait",), "`wait`: the text has not the form", 'Write it like "5m".'),
        ({"tags": "a"}, ("tags",), "`tags`: expected a list, got text", ""),
        ({"tags": "a {{ b }}"}, ("tags",), "`tags`: expected a list, got text", ""),
        ({"tags": ["{{ a }}", 1]}, ("tags", 1), "expected text, got a whole number", ""),
        ({"tags": [1]}, ("tags",), "`tags`: expected text, got a whole number", ""),
        ({"sizes": ["{{ a }}", "x"]}, ("sizes", 1), "expected a whole number, got text", ""),
        ({"headers": {"a": 1}}, ("headers",), "`headers`: expected text, got a whole", ""),
        ({"headers": {"a": 1, "b": "{{ c }}"}}, ("headers", "a"), "expected text", ""),
        ({"names": {"a": 1, "b": "{{ c }}"}}, ("names", "a"), "expected text", ""),
        ({"headers": ["{{ a }}"]}, ("headers",), "`headers`: expected an object, got a list", ""),
        ({"address": {}}, ("address",), "the parameter `city` is missing", "The city."),
        ({"address": {"city": 1}}, ("address", "city"), "`city`: expected text", "The city."),
        ({"address": {"city": "{{ a }}", "zp": 1}}, ("address", "zp"), "unknown", '"zip"?'),
        ({"addresses": [{"city": "{{ a }}"}, {}]}, ("addresses", 1), "`city` is missing", ""),
        ({"from": "nowhere", "count": 2}, (), "`from` nowhere comes only one", ""),
    ],
)
def test_what_does_not_fit_is_told_at_its_place(
    params: dict[str, Any], place: tuple[Any, ...], message: str, suggestion: str
) -> None:
    ((at, said, advice),) = found(**params)
    assert at == place
    assert message in said
    assert suggestion in advice


def test_all_problems_are_told_at_once() -> None:
    problems = check_parameters(
        SampleConfig, {"count": "x", "level": "loud", "other": 1, "address": {"zip": "x"}}, PLACE
    )
    assert {problem.place[3:] for problem in problems} == {
        (),
        ("count",),
        ("level",),
        ("other",),
        ("address",),
        ("address", "zip"),
    }


def test_no_parameters_are_an_empty_object() -> None:
    problems = check_parameters(SampleConfig, None, PLACE)
    assert [problem.message for problem in problems] == ["the parameter `name` is missing"]


@pytest.mark.parametrize("params", [[], "x", 3])
def test_parameters_that_are_no_object(params: Any) -> None:
    (problem,) = check_parameters(SampleConfig, params, PLACE)
    assert problem.place == PLACE
    assert "expected an object" in problem.message


def test_plain_parameters_have_any_names() -> None:
    assert check_parameters(dict[str, Any], {"a": {"b": "{{ c }}"}}, PLACE) == []


@pytest.mark.parametrize("text", ["{{ a }} {{ b }}", "{{ a }}!", " {{ a }}", "{{ a"])
def test_a_text_that_is_more_than_one_expression_is_a_text(text: str) -> None:
    ((place, message, _),) = found(count=text)
    assert place == ("count",)
    assert "expected a whole number, got text" in message


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"name": 1}, "`name`: expected text, got a whole number"),
        ({}, "the parameter `name` is missing"),
        ({"name": "x", "b": 1}, "unknown parameter `b`"),
        ({"name": "x", "address": {"city": 2}}, "`address.city`: expected text, got a whole"),
        ({"name": "x", "from": "nowhere", "count": 2}, "`from` nowhere comes only one"),
    ],
)
def test_a_refusal_at_run_time_has_the_same_words(params: Any, words: str) -> None:
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.convert(params, SampleConfig)
    assert words in explain(refused.value)


@pytest.mark.parametrize(
    ("params", "place", "message"),
    [
        ({"query": "{{ request.q }}"}, ("query",), "`query` takes no expressions"),
        ({"query": "select {{ request.q }}"}, ("query",), "`query` takes no expressions"),
        ({"columns": ["a", "{{ request.b }}"]}, ("columns",), "`columns` takes no expressions"),
        ({"columns": "{{ request.b }}"}, ("columns",), "`columns` takes no expressions"),
        ({"values": "{{ request }}"}, ("values",), "the names in `values` must be written out"),
        ({"values": {"{{ request.a }}": 1}}, ("values",), "the names in `values` must be"),
    ],
)
def test_what_must_not_come_out_of_a_request_takes_no_expressions(
    params: dict[str, Any], place: Any, message: str
) -> None:
    (problem,) = found(**params)
    assert problem[0] == place
    assert problem[1].startswith(message)
    assert found(query="select 1", columns=["a"], values={"a": "{{ request.a }}"}) == []

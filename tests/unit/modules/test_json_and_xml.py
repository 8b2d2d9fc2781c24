"""`json.parse`, `json.build`, `xml.parse`, `xml.build`: strict in reading, the same in writing."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given as each
from hypothesis import settings
from hypothesis import strategies as st

from beltline.modules.json import build as json_build
from beltline.modules.json import parse as json_parse
from beltline.modules.xml import build as xml_build
from beltline.modules.xml import parse as xml_parse
from beltline.sdk import Reject
from beltline.sdk.testing import Files, answer, given

NAME = st.from_regex(r"[A-Za-z_а-я][A-Za-z0-9_.-]{0,5}", fullmatch=True)
LETTER = st.characters(
    exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp"), exclude_characters="\ufffe\uffff"
)
TEXT = st.text(LETTER, min_size=1, max_size=9)
LEAF = st.just("") | TEXT
ELEMENT = st.recursive(
    LEAF,
    lambda inner: st.dictionaries(
        NAME, inner | st.lists(inner, min_size=2, max_size=3), min_size=1, max_size=3
    ),
    max_leaves=8,
)


async def value_of(module: Any, text: str) -> Any:
    outcome = await answer(module, {"text": text}, given())
    return outcome if isinstance(outcome, Reject) else outcome["value"]


async def refusal(module: Any, text: str) -> str:
    outcome = await value_of(module, text)
    assert isinstance(outcome, Reject), outcome
    return outcome.reason


@pytest.mark.parametrize(
    "value", [None, 0, -1.5, "é\u2028", [], {}, {"a": [1, {"b": None}]}, 2**63, -(2**63)]
)
async def test_json_is_read_and_written_without_loss(value: Any) -> None:
    text = (await answer(json_build.module, {"value": value}, given()))["text"]
    assert json.loads(text) == value
    assert await value_of(json_parse.module, text) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is not JSON"),
        ('{"a": 1,}', "line 1 column"),
        ('{"a": 1, "a": 2}', "the key 'a' twice"),
        ("NaN", "NaN is no JSON"),
        ("[-Infinity]", "-Infinity is no JSON"),
        ("1e999", "too large"),
        ("18446744073709551616", "has to be sent as a text"),
        ("9" * 5_000, "too large"),
        ('"\\ud800"', "half of a character"),
        ("[" * 100_000, "too deep"),
        ("[1] [2]", "is not JSON"),
        (json.dumps("x" * 70_000), "limit result_bytes"),
    ],
)
async def test_json_that_readers_disagree_on_is_refused(text: str, reason: str) -> None:
    assert reason in await refusal(json_parse.module, text)


async def test_json_of_a_file() -> None:
    files = Files()
    made = await answer(
        json_build.module, {"value": {"b": 1, "a": 2}, "name": "x.json"}, given(files=files)
    )
    assert made["file"]["type"] == "application/json"
    read = await answer(json_parse.module, {"file": made["file"]}, given(files=files))
    assert read == {"value": {"b": 1, "a": 2}}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        ("<a>", "is not XML"),
        ("<a/><b/>", "is not XML"),
        ("<!DOCTYPE a><a/>", "document type (DTD)"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "document type (DTD)"),
        ('<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', "document type (DTD)"),
        ("<a>" * 30 + "</a>" * 30, "more than 20 deep"),
        ("<a>" + "<b/>" * 100 + "</a>", "limit xml_nodes"),
        (f"<a>{'x' * 70_000}</a>", "limit result_bytes"),
        ("<a>\x00</a>", "NUL"),
    ],
)
async def test_xml_that_is_refused(text: str, reason: str) -> None:
    assert reason in await refusal(xml_parse.module, text)


async def test_the_encoding_is_the_files_and_not_that_of_its_declaration() -> None:
    files = Files()
    text = '<?xml version="1.0" encoding="windows-1251"?><a>Анна</a>'
    ref = msgspec.to_builtins(files.put(text.encode("windows-1251")))
    config = {"file": ref, "encoding": "windows-1251"}
    read = await answer(xml_parse.module, config, given(files=files))
    assert read == {"value": {"a": "Анна"}}
    assert await value_of(xml_parse.module, text) == {"a": "Анна"}
    assert "column 51" in await refusal(xml_parse.module, text.replace("<a>", "<"))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({}, "one member"),
        ({"a": 1, "b": 2}, "one member"),
        ({"a": [1, 2]}, "must be no list"),
        ({"a b": 1}, "can name no element"),
        ({"a": {"@b><c": 1}}, "can name no element or attribute"),
        ({"": 1}, "can name no element"),
        ({"a": "\x01"}, "which XML cannot"),
        ({"a": {"@b": {"c": 1}}}, "a text is wanted here, not an object"),
        ({"a": {"b": [[1]]}}, "a list in a list"),
    ],
)
async def test_what_xml_cannot_hold(value: Any, reason: str) -> None:
    outcome = await answer(xml_build.module, {"value": value}, given())
    assert isinstance(outcome, Reject)
    assert reason in outcome.reason


async def test_markup_in_values_is_text() -> None:
    value = {"a": {"@x": '"<&>\n\t', "b": "]]><c/>\r&amp;", "#text": "</a>"}}
    text = (await answer(xml_build.module, {"value": value}, given()))["text"]
    assert await value_of(xml_parse.module, text) == value


@settings(max_examples=100, deadline=None)
@each(NAME, ELEMENT)
async def test_what_is_built_is_read_again(name: str, value: Any) -> None:
    text = (await answer(xml_build.module, {"value": {name: value}}, given()))["text"]
    assert await value_of(xml_parse.module, text) == {name: value}

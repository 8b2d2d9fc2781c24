"""XML as JSON: a plain mapping, and none of what XML can do to a reader."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beltline.core.limits import LIMITS
from beltline.sources.refusal import RequestRefused
from beltline.sources.xml_body import read_xml


def read(text: str | bytes, depth: int = 9) -> Any:
    value, body = read_xml(text if isinstance(text, bytes) else text.encode(), depth=depth)
    assert orjson.loads(body) == value
    return value


def refused(body: str | bytes, depth: int = 9) -> RequestRefused:
    with pytest.raises(RequestRefused) as caught:
        read(body, depth)
    return caught.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("<a/>", {"a": ""}),
        ("<a>1</a>", {"a": "1"}),
        ("<a>\n  Анна \n</a>", {"a": "Анна"}),
        ("<a><b>1</b><c/></a>", {"a": {"b": "1", "c": ""}}),
        ("<a><b>1</b><b>2</b><b>3</b></a>", {"a": {"b": ["1", "2", "3"]}}),
        ("<a><b/><c>x</c><b y='1'/></a>", {"a": {"b": ["", {"@y": "1"}], "c": "x"}}),
        ('<a id="7">x</a>', {"a": {"@id": "7", "#text": "x"}}),
        ('<a id="7"/>', {"a": {"@id": "7"}}),
        ("<a>x<b/>y</a>", {"a": {"b": "", "#text": "xy"}}),
        ("<a>&lt;&#65;&amp;<![CDATA[<&>]]></a>", {"a": "<A&<&>"}),
        ("<!-- c --><?pi x?><a><!-- c -->x</a>", {"a": "x"}),
        (
            '<s:E xmlns:s="urn:x"><s:B k:l="1" xmlns:k="urn:y"/></s:E>',
            {"s:E": {"@xmlns:s": "urn:x", "s:B": {"@k:l": "1", "@xmlns:k": "urn:y"}}},
        ),
        ('<?xml version="1.0" encoding="UTF-8"?><a>é</a>', {"a": "é"}),
        ("\ufeff<a>é</a>", {"a": "é"}),
    ],
)
def test_the_mapping(text: str, value: Any) -> None:
    assert read(text) == value


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"  \n",
        b"{}",
        b"<a>",
        b"<a></b>",
        b"<a/><b/>",
        b"<a b='1' b='2'/>",
        b"<a>&nope;</a>",
        b"<a>\xff</a>",
        b"<a>\x00</a>",
        b"<a>\x01</a>",
        b"<a>&#0;</a>",
        "<a/>".encode("utf-16"),
        "<a/>".encode("utf-16-be"),
        b'<!DOCTYPE a><a/>',
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
        b'<!DOCTYPE a [<!ENTITY % x SYSTEM "http://127.0.0.1/x"> %x;]><a/>',
        b'<!DOCTYPE l [<!ENTITY a "lol"><!ENTITY b "&a;&a;"><!ENTITY c "&b;&b;">]><l>&c;</l>',
    ],
)  # fmt: skip
def test_what_is_no_xml_or_has_a_dtd_is_refused(body: bytes) -> None:
    assert refused(body).status == 400


@pytest.mark.parametrize("encoding", ["windows-1251", "UTF-16", "utf-7", "koi8-r", "utf-8x"])
def test_another_encoding_is_told(encoding: str) -> None:
    told = refused(f'<?xml version="1.0" encoding="{encoding}"?><a/>')
    assert (told.status, encoding in told.detail) == (415, True)


def test_a_mistake_has_its_place() -> None:
    assert refused("<a>\n <b></c></a>").where == "line 2 column 7"


def test_depth_and_number_are_bounded_by_name() -> None:
    assert read("<a><b><c/></b></a>", depth=3)
    assert "request_depth" in refused("<a><b><c/></b></a>", depth=2).detail
    elements = "<a>" + "<b/>" * LIMITS.xml_nodes + "</a>"
    assert "xml_nodes" in refused(elements).detail
    attributes = "".join(f' a{n}=""' for n in range(LIMITS.xml_nodes))
    assert "xml_nodes" in refused(f"<a{attributes}/>").detail


NAMES = st.sampled_from(["a", "b", "c-d", "é"])
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)


def element(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(_element, NAMES, st.dictionaries(NAMES, TEXTS, max_size=2), TEXTS,
                     st.lists(children, max_size=3))  # fmt: skip


def _element(name: str, attributes: dict[str, str], text: str, children: list[Any]) -> Any:
    made = ET.Element(name, attributes)
    made.text = text
    made.extend(children)
    return made


TREES = st.recursive(st.builds(_element, NAMES, st.just({}), TEXTS, st.just([])), element,
                     max_leaves=8)  # fmt: skip


def shape(node: Any) -> Any:
    """The mapping once more, over another library's tree."""
    text = "".join([node.text or "", *(child.tail or "" for child in node)]).strip()
    if not node.attrib and not len(node):
        return text
    value: dict[str, Any] = {f"@{key}": one for key, one in node.attrib.items()}
    for name in dict.fromkeys(child.tag for child in node):
        same = [shape(child) for child in node if child.tag == name]
        value[name] = same[0] if len(same) == 1 else same
    return {**value, "#text": text} if text else value


@given(TREES)
def test_any_tree_is_read_as_the_mapping_says(tree: Any) -> None:
    assert read(ET.tostring(tree, "utf-8"), depth=50) == {tree.tag: shape(tree)}

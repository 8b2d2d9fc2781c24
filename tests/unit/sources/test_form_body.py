"""Form bodies: the bracket names of PHP, and nothing that PHP would settle by overwriting."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beltline.sources.form_body import read_form
from beltline.sources.refusal import RequestRefused


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"name=Anna&phone=%2B7+900", {"name": "Anna", "phone": "+7 900"}),
        ("имя=Анна".encode(), {"имя": "Анна"}),
        (b"a=&b", {"a": "", "b": ""}),
        (b"a=1=2", {"a": "1=2"}),
        (b"a[]=1&a[]=2", {"a": ["1", "2"]}),
        (b"a%5B%5D=1&a%5B%5D=2", {"a": ["1", "2"]}),
        (b"a[b][]=x&a[b][]=y&a[c]=z", {"a": {"b": ["x", "y"], "c": "z"}}),
        (b"a[0]=x&a[1]=y", {"a": ["x", "y"]}),
        (b"p[0][id]=1&p[0][n]=2&p[1][id]=3", {"p": [{"id": "1", "n": "2"}, {"id": "3"}]}),
        (b"a[][id]=1&a[][id]=2", {"a": [{"id": "1"}, {"id": "2"}]}),
        (b"a[2]=x&a[5]=y", {"a": {"2": "x", "5": "y"}}),
        (b"a[1]=x&a[0]=y", {"a": {"1": "x", "0": "y"}}),
        (b"a[00]=x", {"a": {"00": "x"}}),
        (b"event=ONCRMDEALADD&data[FIELDS][ID]=5", {"event": "ONCRMDEALADD",
                                                   "data": {"FIELDS": {"ID": "5"}}}),
        (b"leads[add][0][id]=7&leads[add][0][status_id]=40&account[subdomain]=veter",
         {"leads": {"add": [{"id": "7", "status_id": "40"}]}, "account": {"subdomain": "veter"}}),
        (b"&&a=1&&", {"a": "1"}),
    ],
)  # fmt: skip
def test_fields_become_the_object_that_php_makes_of_them(body: bytes, value: Any) -> None:
    read, compact = read_form(body, depth=100)
    assert read == value
    assert json.loads(compact) == value


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "no field"),
        (b"&&", "no field"),
        (b"a=1&a=2", "stands twice"),
        (b"a[b]=1&a[b]=2", "stands twice"),
        (b"a=1&a[b]=2", "both a text and a group"),
        (b"a[b]=1&a=2", "both a text and a group"),
        (b"a[b]=1&a[b][c]=2", "both a text and a group"),
        (b"a[]=1&a[b]=2", "numbered by [] in one place"),
        (b"a[0]=1&a[]=2", "numbered by [] in one place"),
        (b"a[b=1", "do not pair up"),
        (b"a]b=1", "do not pair up"),
        (b"a[b]c=1", "do not pair up"),
        (b"a[[b]]=1", "do not pair up"),
        (b"=1", "no name"),
        (b"[a]=1", "no name"),
        (b"a=%zz", "percent"),
        (b"a=100%", "percent"),
        (b"a%=1", "percent"),
        (b"a=%ff", "UTF-8"),
        (b"\xff=1", "UTF-8"),
        (b"a" + b"[b]" * 8 + b"=1", "request_depth"),
        (b"a=1&" * 10_001, "10,000 fields"),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(RequestRefused) as caught:
        read_form(body, depth=8)
    assert caught.value.status == 400
    assert reason in caught.value.detail


NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="[]"), min_size=1)
TREES = st.recursive(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3),
        st.dictionaries(NAMES.filter(lambda name: not name.isdigit()), inner, min_size=1),
    ),
    max_leaves=8,
)


def fields(name: str, value: Any) -> list[str]:
    """The fields that PHP's own http_build_query writes for a value."""
    if isinstance(value, str):
        return [f"{quote_plus(name)}={quote_plus(value)}"]
    members = enumerate(value) if isinstance(value, list) else value.items()
    return [field for key, one in members for field in fields(f"{name}[{key}]", one)]


@given(st.dictionaries(NAMES, TREES, min_size=1))
def test_what_is_written_as_a_form_is_read_back(value: dict[str, Any]) -> None:
    body = "&".join(field for name, one in value.items() for field in fields(name, one))
    assert read_form(body.encode(), depth=100)[0] == value


@given(st.text(st.sampled_from("ab[]=&%2+\x00é"), max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        value, compact = read_form(text.encode(), depth=4)
    except RequestRefused:
        return
    assert json.loads(compact) == value

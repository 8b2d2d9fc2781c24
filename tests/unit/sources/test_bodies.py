"""Which content types are read, and that nothing is sniffed."""

from __future__ import annotations

import pytest

from beltline.sources.bodies import read_body
from beltline.sources.refusal import RequestRefused


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
        "application/cloudevents+json",
        "application/ld+json; profile=x",
    ],
)
def test_json_under_its_content_types(content_type: str) -> None:
    assert read_body(content_type, b'{"a": 1}', depth=9) == ({"a": 1}, b'{"a":1}', [])


def test_a_form_is_read_as_a_form_also_where_it_looks_like_json() -> None:
    value, _, _ = read_body("application/x-www-form-urlencoded", b'{"a": 1}', depth=9)
    assert value == {'{"a": 1}': ""}


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/html",
        "text/json",
        "multipart/mixed; boundary=x",
        "application/json; charset=utf-8; charset=utf-8",
        "application/json; charset=windows-1251",
        "application/x-www-form-urlencoded; charset=koi8-r",
        "application/jsonp",
        "text/plain; charset=windows-1251",
    ],
)
def test_other_content_types_are_refused(content_type: str) -> None:
    with pytest.raises(RequestRefused) as caught:
        read_body(content_type, b"{}", depth=9)
    assert caught.value.status == 415

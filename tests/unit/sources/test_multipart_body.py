"""Multipart forms: fields with brackets, files as references, and nothing guessed."""

from __future__ import annotations

import hashlib

import orjson
import pytest

from beltline.core.limits import LIMITS
from beltline.sources.multipart_body import ReadForm, read_multipart
from beltline.sources.refusal import RequestRefused
from tests.unit.sources.parts import BOUNDARY, field, file, multipart, part

PNG = b"\x89PNG\r\n\x1a\n\x00--" + BOUNDARY.encode()


def read(body: bytes, boundary: str = BOUNDARY, depth: int = 9) -> ReadForm:
    return read_multipart(body, boundary, depth=depth)


def refused(body: bytes, boundary: str = BOUNDARY, depth: int = 9) -> RequestRefused:
    with pytest.raises(RequestRefused) as caught:
        read(body, boundary, depth)
    assert caught.value.status == 400
    return caught.value


def test_fields_and_files_make_one_object() -> None:
    form = read(
        multipart(
            field("contact[name]", "Анна"),
            field("contact[phones][]", "+1"),
            field("contact[phones][]", "+2"),
            file("contact[photo]", "me.png", PNG, "image/PNG; x=y"),
            file("docs[]", "a.txt", b"", "text/plain"),
        )
    )
    digest = hashlib.sha256(PNG).hexdigest()
    empty = hashlib.sha256(b"").hexdigest()
    photo = {"blob": f"sha256:{digest}", "name": "me.png", "type": "image/png", "bytes": len(PNG)}
    assert form.value == {
        "contact": {"name": "Анна", "phones": ["+1", "+2"], "photo": photo},
        "docs": [{"blob": f"sha256:{empty}", "name": "a.txt", "type": "text/plain", "bytes": 0}],
    }
    assert orjson.loads(form.body) == form.value
    assert [bytes(one.content) for one in form.files] == [PNG, b""]


def test_a_field_may_hold_line_breaks_and_what_looks_like_a_boundary() -> None:
    text = f"a\r\n--{BOUNDARY[:-1]}\r\n--{BOUNDARY}x\r\n\r\n"
    assert read(multipart(field("a", text))).value == {"a": text}


def test_a_file_field_that_was_left_empty_is_no_field() -> None:
    form = read(multipart(field("a", "1"), file("photo", "", b"", "application/octet-stream")))
    assert (form.value, form.files) == ({"a": "1"}, [])


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("C:\\\\fakepath\\\\me.png", "me.png"),
        ("../../etc/passwd", "passwd"),
        ("..", ""),
        ("/", ""),
        ("a%22b.png", 'a"b.png'),
        ('a\\"b.png', 'a"b.png'),
        ("паспорт.jpg", "паспорт.jpg"),
        ("x" * 300 + ".png", "x" * 251 + ".png"),
        ("a%0D%0Ab", "a__b"),
    ],
)
def test_of_a_file_s_name_only_the_last_part_is_kept(written: str, kept: str) -> None:
    assert read(multipart(file("f", written, b"x"))).value["f"]["name"] == kept


def test_an_extended_name_counts_where_there_is_one() -> None:
    told = "Content-Disposition: form-data; name=f; filename=\"a\"; filename*=UTF-8''%D1%84.txt"
    assert read(multipart(part(told, content=b"x"))).value["f"]["name"] == "ф.txt"


@pytest.mark.parametrize("type", ["", "text", "text/html\x01", "a/b/c", "../x", "x" * 200 + "/y"])
def test_a_type_that_is_none_is_not_kept(type: str) -> None:
    value = read(multipart(file("f", "a", b"x", type))).value
    assert value["f"]["type"] == "application/octet-stream"


GOOD = field("a", "1")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"a=1",
        GOOD,
        multipart(),
        multipart(GOOD)[:-6],
        multipart(GOOD) + b"more",
        b"before\r\n" + multipart(GOOD),
        multipart(GOOD, GOOD),
        multipart(GOOD, field("a[b]", "1")),
        multipart(field("a[]", "1"), field("a[x]", "2")),
        multipart(part("Content-Disposition: form-data", content=b"1")),
        multipart(part('Content-Disposition: attachment; name="a"', content=b"1")),
        multipart(part('Content-Disposition: form-data; name="a"; name="b"', content=b"1")),
        multipart(part('Content-Disposition: form-data; name="a', content=b"1")),
        multipart(part('Content-Disposition: form-data; name="a" b', content=b"1")),
        multipart(field("a", "1", 'Content-Disposition: form-data; name="b"')),
        multipart(field("a", "1", "Content-Transfer-Encoding: base64")),
        multipart(field("a", "1", "Content-Type: text/plain; charset=windows-1251")),
        multipart(field("a", b"\xff")),
        multipart(part("X\xff: y", content=b"1")),
        multipart(part("no colon here", content=b"1")),
        multipart(field("", "1")),
        multipart(field("a[b", "1")),
        multipart(part("Content-Disposition: form-data; name=f; filename*=koi8-r''%C1")),
        multipart(part("Content-Disposition: form-data; name=f; filename*=utf-8''%FF")),
        GOOD[:-2] + b"\n" + multipart(),
    ],
)  # fmt: skip
def test_what_cannot_be_told_for_sure_is_refused(body: bytes) -> None:
    refused(body)


@pytest.mark.parametrize("boundary", ["", " ", "x" * 71, 'a"b', "é", "a\r\n", "other"])
def test_a_boundary_that_parts_nothing_is_refused(boundary: str) -> None:
    refused(multipart(GOOD), boundary)


def test_depth_and_number_are_bounded_by_name() -> None:
    assert "request_depth" in refused(multipart(field("a[b][c]", "1")), depth=2).detail
    many = multipart(*(field(f"a{n}", "1") for n in range(LIMITS.multipart_parts + 1)))
    assert "multipart_parts" in refused(many).detail


def test_what_the_parser_warns_of_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    refused(multipart(part("no colon here", content=b"1")))
    assert caplog.records == []

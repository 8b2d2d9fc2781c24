"""JSON bodies are read strictly: what two readers would read differently is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beltline.sources.json_body import canonical, read_json
from beltline.sources.refusal import RequestRefused


def refusal(body: bytes, depth: int = 100) -> RequestRefused:
    with pytest.raises(RequestRefused) as caught:
        read_json(body, depth=depth)
    assert caught.value.status == 400
    return caught.value


@pytest.mark.parametrize(
    ("body", "reason", "where"),
    [
        (b"", "empty", ""),
        (b" \r\n\t", "empty", ""),
        (b"{", "not JSON", "line 1 column 2"),
        (b'{"a":1}x', "not JSON", "line 1 column 8"),
        (b'{"a":1,}', "trailing comma", "line 1 column 7"),
        (b"{'a':1}", "not JSON", "line 1 column 2"),
        (b'{"a":\n NaN}', "not JSON", "line 2 column 2"),
        (b"[Infinity]", "not JSON", "line 1 column 2"),
        (b"[-Infinity]", "not JSON", "line 1 column 3"),
        (b'{"a":1e999}', "infinity", "line 1 column 6"),
        (b"[" + b"9" * 400 + b"]", "infinity", "line 1 column 2"),
        (b'["\\ud800"]', "surrogate", "line 1 column 3"),
        (b'["\\udc00\\ud800"]', "surrogate", "line 1 column 3"),
        (b'["\xff"]', "not UTF-8", "byte 2"),
        (b'["\xed\xa0\x80"]', "not UTF-8", "byte 2"),
        (b'["\xc0\xaf"]', "not UTF-8", "byte 2"),
        (b'\xef\xbb\xbf{"a":1}', "byte order mark", "line 1 column 1"),
        ('{"a":1}'.encode("utf-16"), "UTF-16", ""),
        ('{"a":1}'.encode("utf-16-be"), "UTF-16", ""),
        ('{"a":1}'.encode("utf-32-le"), "UTF-16", ""),
        ('{"a":"\xe9"}'.encode("latin-1"), "not UTF-8", "byte 6"),
        (b'["a\x00b"]', "control character", "line 1 column 4"),
        (b'{"a":1,"a":1}', 'key "a" stands twice', "request"),
        (b'{"a":1,"\\u0061":2}', 'key "a" stands twice', "request"),
        (b'{"q":[0,{"b c":{"d":1,"d":2}}]}', 'key "d" stands twice', "request.q.1.`b c`"),
        (b'{"a":{"x":1,"x":2},"a":1}', 'key "a" stands twice', "request"),
        (b'{"n":[1,18446744073709551616]}', "64 bits", "request.n.1"),
        (b"-9223372036854775809", "64 bits", "request"),
        (b'{"n":' + b"1" * 300 + b"}", "64 bits", "request.n"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(body: bytes, reason: str, where: str) -> None:
    refused = refusal(body)
    assert reason in refused.detail
    assert refused.where == where


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a":1}', {"a": 1}),
        (b' {"a" : 1.0, "b":"\\u0410"} ', {"a": 1.0, "b": "А"}),
        (b'{"a":{"a":{"a":1}},"b":{"a":1}}', {"a": {"a": {"a": 1}}, "b": {"a": 1}}),
        (b"[18446744073709551615, -9223372036854775808]", [2**64 - 1, -(2**63)]),
        (b'["\\ud83d\\ude00"]', ["😀"]),
        (b"[1e5,-0.0,2E-3]", [1e5, -0.0, 0.002]),
        (b'"text"', "text"),
        (b"null", None),
        (b'{"":0}', {"": 0}),
    ],
)
def test_what_is_right_keeps_its_value(body: bytes, value: Any) -> None:
    read, compact = read_json(body, depth=100)
    assert read == value
    assert json.loads(compact) == value


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
@pytest.mark.parametrize("levels", [101, 1_023, 1_024, 10_000, 200_000])
def test_depth_past_the_limit_is_refused_by_its_name(opening: bytes, levels: int) -> None:
    closing = b"]" if opening == b"[" else b"}"
    assert "request_depth" in refusal(opening * levels + b"1" + closing * levels).detail


def test_depth_up_to_the_limit_is_read_however_wide_the_value_is() -> None:
    deep = b"[" * 100 + b"]" * 100
    assert read_json(deep, depth=100)[1] == deep
    wide = b"[" + b"[],{}," * 500 + b'"[[[["]'
    assert read_json(wide, depth=2)[1] == wide
    assert "request_depth" in refusal(wide, depth=1).detail


def test_a_large_wrong_body_is_refused_without_a_walk_for_its_place() -> None:
    refused = refusal(b"[" + b"[]," * 30_000 + b'{"a":1,"a":2}]')
    assert "A key stands twice" in refused.detail
    assert refused.where == ""


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=10),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), inner),
    ),
    max_leaves=20,
)


@given(VALUES, st.booleans(), st.sampled_from([None, 0, 2]))
def test_every_json_value_is_read_however_it_is_written(
    value: Any, ascii_only: bool, indent: int | None
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    read, compact = read_json(text.encode(), depth=100)
    assert read == value
    assert type(read) is type(value)
    assert read_json(compact, depth=100)[1] == compact


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        value, _ = read_json(body, depth=5)
    except RequestRefused:
        return
    assert json.loads(body) == value


@given(st.text(st.sampled_from('[]{}":,\\ud80a1-+.eE9 \n'), max_size=40))
def test_json_like_texts_are_read_as_the_plain_reader_reads_them_or_refused(text: str) -> None:
    try:
        value, compact = read_json(text.encode(), depth=5)
    except RequestRefused:
        return
    assert json.loads(text) == value == json.loads(compact)


def written(pairs: list[tuple[str, Any]]) -> str:
    """An object with these members, as they stand, repeated or not."""
    return "{" + ",".join(f"{json.dumps(key)}:{json.dumps(one)}" for key, one in pairs) + "}"


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 9)), max_size=5), st.integers(0, 2)
)
def test_a_repeated_key_is_found_wherever_the_object_stands(
    pairs: list[tuple[str, int]], around: int
) -> None:
    text = '{"in":[' * around + written(pairs) + "]}" * around
    if len({key for key, _ in pairs}) == len(pairs):
        assert read_json(text.encode(), depth=100)[0] == json.loads(text)
    else:
        assert refusal(text.encode()).where == ".".join(["request", *["in", "0"] * around])


def test_equal_values_have_equal_canonical_bytes() -> None:
    one, _ = read_json(b'{"b":1,"a":[1,2]}', depth=100)
    other, _ = read_json(b'{ "a" : [1, 2], "b" : 1 }', depth=100)
    assert canonical(one) == canonical(other)
    assert canonical({"a": [2, 1]}) != canonical({"a": [1, 2]})


KEYS = st.text(st.sampled_from('a":\\,{} é'), max_size=4)


@given(st.lists(st.tuples(KEYS, KEYS), min_size=1, max_size=4), st.booleans())
def test_a_repeated_key_is_found_whatever_stands_in_keys_and_texts(
    pairs: list[tuple[str, str]], ascii_only: bool
) -> None:
    members = [
        f"{json.dumps(key, ensure_ascii=ascii_only)} : {json.dumps(text)}" for key, text in pairs
    ]
    text = "{" + " , ".join(members) + "}"
    if len({key for key, _ in pairs}) == len(pairs):
        assert read_json(text.encode(), depth=9)[0] == dict(pairs)
    else:
        assert "stands twice" in refusal(text.encode()).detail


@pytest.mark.parametrize("digits", ["18446744073709551616", "-9223372036854775809", "1" * 5_000])
@pytest.mark.parametrize("form", ["%s", "[%s]", '{"a" : -0.5,"b":%s}', '["1", %s ,1e5]'])
def test_an_integer_beyond_64_bits_is_found_wherever_it_stands(digits: str, form: str) -> None:
    if len(digits) < 100:
        assert "64 bits" in refusal((form % digits).encode()).detail
    else:
        refusal((form % digits).encode())


@pytest.mark.parametrize(
    "text",
    ["18446744073709551615", "-9223372036854775808", '"18446744073709551616"',
     "0.18446744073709551616123", "1e-18446744073709551616", "-1.9223372036854775809e+3",
     '{"18446744073709551616": 1 }', "12345678901234567890123.0"],
)  # fmt: skip
def test_digits_of_other_things_are_no_integer(text: str) -> None:
    assert read_json(text.encode(), depth=9)[0] == json.loads(text)

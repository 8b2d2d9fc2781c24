"""Compressed bodies: what they say they are, and no larger than a body may be."""

from __future__ import annotations

import gzip
import zlib

import pytest

from beltline.sources.compression import uncompressed
from beltline.sources.refusal import RequestRefused

PLAIN = b'{"a": 1}' * 20


def read(body: bytes, encoding: bytes, most: int = 1_000) -> bytes:
    return uncompressed(body, encoding, most=most, limit="request_body_bytes")


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (PLAIN, b""),
        (PLAIN, b"identity"),
        (gzip.compress(PLAIN, mtime=0), b"gzip"),
        (gzip.compress(PLAIN, mtime=0), b" X-GZIP "),
        (zlib.compress(PLAIN), b"deflate"),
    ],
)
def test_a_body_is_unpacked(body: bytes, encoding: bytes) -> None:
    assert read(body, encoding) == PLAIN
    assert read(body, encoding, most=len(PLAIN)) == PLAIN


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (PLAIN, b"gzip"),
        (b"", b"gzip"),
        (zlib.compress(PLAIN), b"gzip"),
        (gzip.compress(PLAIN, mtime=0), b"deflate"),
        (gzip.compress(PLAIN, mtime=0)[:-1], b"gzip"),
        (
            gzip.compress(PLAIN, mtime=0)[:-6] + b"\0\0" + gzip.compress(PLAIN, mtime=0)[-4:],
            b"gzip",
        ),
        (gzip.compress(PLAIN, mtime=0) + b"x", b"gzip"),
        (gzip.compress(PLAIN, mtime=0) * 2, b"gzip"),
        (zlib.compress(PLAIN)[:-4], b"deflate"),
    ],
)
def test_a_body_that_is_not_what_it_says_is_refused(body: bytes, encoding: bytes) -> None:
    with pytest.raises(RequestRefused) as caught:
        read(body, encoding)
    assert caught.value.status == 400


@pytest.mark.parametrize("encoding", [b"br", b"zstd", b"gzip, gzip", b"gzip,deflate", b"\xff"])
def test_other_encodings_are_told(encoding: bytes) -> None:
    with pytest.raises(RequestRefused) as caught:
        read(PLAIN, encoding)
    assert caught.value.status == 415


def test_a_body_past_its_size_is_refused_by_the_limit_s_name() -> None:
    with pytest.raises(RequestRefused, match="request_body_bytes") as caught:
        read(gzip.compress(PLAIN, mtime=0), b"gzip", most=len(PLAIN) - 1)
    assert caught.value.status == 413

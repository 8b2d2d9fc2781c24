"""Bodies that are made to cost much: each is a 4xx within 100 ms a MiB, and in bounded memory.

The time is that of the processor, the best of six, with the garbage collector as `serve` sets it;
a body of less than a MiB has the time of a whole one. A machine that is slower than the one the
figure was set on has as much more: both are measured beside each other. Memory is what Python's
allocator was asked for beside the body.
"""

from __future__ import annotations

import gc
import gzip
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator

import orjson
import pytest

from beltline.cli.serve import GC_THRESHOLDS
from beltline.core.limits import PRODUCTION
from beltline.definition.source import read_source
from beltline.definition.webhook import WebhookWay
from beltline.sources.refusal import RequestRefused
from beltline.sources.request import new_request
from beltline.sources.verification import Received
from beltline.sources.webhook import Webhook

MIB = 1_048_576
MS_A_MIB = 100
READING_MS = 21  # of a MiB of empty lists, by orjson alone, where 100 ms were set as the bound
MEMORY = 160 * MIB  # a list costs 56 bytes and is written in three; a number is written in two
KEY = bytes(16)
SCHEMA = 'schema: {type: array, maxItems: 9, items: {anyOf: [{type: "null"}, {type: boolean}]}}\n'
JSON, XML = "application/json", "application/xml"
FORM, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"
PART = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n'


def filled(unit: bytes, head: bytes = b"", tail: bytes = b"") -> bytes:
    """A body of just under a MiB."""
    return head + unit * ((MIB - len(head) - len(tail)) // len(unit)) + tail


def numbered(form: bytes, joint: bytes, most: int) -> bytes:
    """Many unlike pieces, under a MiB together."""
    whole = joint.join(form % number for number in range(most))[: MIB - 100]
    return whole.rpartition(joint)[0]


LISTS = filled(b"[],", b"[", b"0]")
BOMBS: dict[str, tuple[str, bytes]] = {
    "lists in lists": (JSON, b"[" * MIB),
    "objects in objects": (JSON, filled(b'{"a":')),
    "lists just too deep, over and over": (
        JSON, filled(b"[" * 100 + b" " + b"]" * 100 + b",", b"[", b"0]")),
    "empty lists, and a key twice": (JSON, filled(b"[],", b'[{"a":1,"a":2},', b"0]")),
    "empty lists with spaces, and a key twice": (JSON, filled(b"[] ,", b'[{"a":1,"a":2},', b"0]")),
    "objects, and a key twice": (JSON, filled(b'{"a" :1},', b'[{"a":1,"a":2},', b"0]")),
    "many keys, and one twice": (JSON, b'{"0":0,' + numbered(b'"%x": 1', b",", 100_000) + b"}"),
    "a key twice, again and again": (JSON, filled(b'"a":1,', b"{", b'"b":1}')),
    "texts, and a key twice": (JSON, filled(b'"a" ,', b'[{"a":1,"a":2},', b"0]")),
    "integers too large": (JSON, filled(b"1" * 29 + b",", b"[", b"0]")),
    "an endless number": (JSON, b"1" * MIB),
    "an endless text": (JSON, b'"' + b"\\u00" * (MIB // 4 - 1)),
    "not a number": (JSON, filled(b"1,", b"[", b"NaN]")),
    "fields without end": (FORM, filled(b"a&")),
    "deep names": (FORM, numbered(b"a%d" + b"[b]" * 90 + b"=", b"&", 9_000)),
    "brackets": (FORM, filled(b"[]", b"a")),
    "opening brackets": (FORM, filled(b"[", b"a")),
    "a name again and again": (FORM, filled(b"a=" + b"1" * 200 + b"&")),
    "percent signs": (FORM, filled(b"%", b"a=")),
    "elements": (XML, filled(b"<a/>", b"<r>", b"</r>")),
    "elements in elements": (XML, filled(b"<a>")),
    "attributes": (XML, b"<r " + numbered(b'a%d=""', b" ", 95_000) + b"/>"),
    "an attribute again and again": (XML, filled(b'a="" ', b"<r ", b"/>")),
    "a billion laughs": (XML, (
        b"<!DOCTYPE l [<!ENTITY a0 'lol'>"
        + b"".join(b"<!ENTITY a%d '%b'>" % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 10))
        + b"]><l>&a9;</l>")),
    "one large entity": (XML, (
        b"<!DOCTYPE l [<!ENTITY a '" + b"x" * 500_000 + b"'>]><l>" + b"&a;" * 100_000 + b"</l>")),
    "an unclosed attribute": (XML, filled(b"x", b'<a b="')),
    "an endless name": (XML, filled(b"x", b"<")),
    "comments, never closed": (XML, filled(b"<!--a-->", b"<r>")),
    "parts": (MULTIPART, filled(PART + b"\r\n", b"", b"--b--")),
    "boundaries": (MULTIPART, filled(b"\r\n--b", PART, b"\r\n--b--")),
    "almost boundaries, and no end": (MULTIPART, filled(b"\r\n-", PART)),
    "headers of a part": (MULTIPART, filled(b"a:b\r\n", b"--b\r\n", b"\r\n--b--")),
    "an endless header": (MULTIPART, filled(b"x", b"--b\r\na:", b"\r\n\r\n\r\n--b--")),
    "an endless header name": (MULTIPART, filled(b"x", b"--b\r\n", b"\r\n--b--")),
    "parameters of a part": (MULTIPART, (
        b"--b\r\nContent-Disposition: form-data" + b";a=b" * 1_000 + b"\r\n\r\n\r\n--b--")),
    "backslashes in a name": (MULTIPART, (
        b'--b\r\nContent-Disposition: form-data; name="' + b"\\" * 4_001 + b'"\r\n\r\n\r\n--b--')),
    "many that do not fit": (JSON, filled(b"1,", b"[", b"0]")),
    "large ones that do not fit": (JSON, filled(b'{"a":[1,2,3]},', b"[", b"0]")),
    "one large that does not fit": (JSON, b"{" + numbered(b'"%x":1', b",", 100_000) + b"}"),
}  # fmt: skip
PACKED: dict[str, tuple[str, bytes]] = {
    "zeros in gzip": ("gzip", gzip.compress(bytes(200 * MIB), 9)),
    "zeros in deflate": ("deflate", zlib.compress(bytes(200 * MIB), 9)),
    "brackets in gzip": ("gzip", gzip.compress(b"[" * MIB, 9)),
    "gzip in gzip": ("gzip", gzip.compress(gzip.compress(bytes(50 * MIB)))),
    "gzip after gzip": ("gzip", gzip.compress(b"1") * 10_000),
    "no gzip at all": ("gzip", b"\x1f\x8b" + bytes(MIB - 2)),
}
CASES = {
    **{name: (type, "", body) for name, (type, body) in BOMBS.items()},
    **{name: (JSON, encoding, body) for name, (encoding, body) in PACKED.items()},
}


@pytest.fixture
def collector_of_serve() -> Iterator[None]:
    """What the tests before left is out of the collector's way."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


def source() -> Webhook:
    text = f"source: form\nkind: webhook\nprocess: lead\nverify: none\n{SCHEMA}"
    checked = read_source(text, name=None, file="form.yaml", processes=None)
    assert checked.source is not None, checked.findings
    assert isinstance(checked.source.way, WebhookWay)
    return Webhook(checked.source, checked.source.way, lambda _: None)


def refused(webhook: Webhook, content_type: str, encoding: str, body: bytes) -> int:
    """The status of the refusal, whatever it costs."""
    headers = [(b"content-type", content_type.encode())]
    if encoding:
        headers.append((b"content-encoding", encoding.encode()))
    received = Received(headers, body, 0)
    try:
        taken = webhook.read(received, KEY, PRODUCTION)
        new_request(webhook.source, taken.offered, held=False, limits=PRODUCTION)
    except RequestRefused as refusal:
        return refusal.status
    return 202


def cost_ms(reading: Callable[[], object]) -> float:
    """Of the processor, the best of three."""
    times: list[float] = []
    for _ in range(3):
        begin = time.process_time()
        reading()
        times.append(time.process_time() - begin)
    return min(times) * 1_000


@pytest.mark.usefixtures("collector_of_serve")
@pytest.mark.parametrize("name", CASES)
def test_a_bomb_is_refused_soon(name: str) -> None:
    webhook = source()
    slower = max(1.0, cost_ms(lambda: orjson.loads(LISTS)) / READING_MS)
    times: list[float] = []
    while len(times) < 6 and min(times, default=MS_A_MIB) >= MS_A_MIB:
        begin = time.process_time()
        status = refused(webhook, *CASES[name])
        times.append((time.process_time() - begin) * 1_000)
        assert 400 <= status < 500
    assert min(times) < MS_A_MIB * slower


@pytest.mark.parametrize(
    "name",
    [
        *PACKED,
        "many that do not fit",
        "empty lists, and a key twice",
        "lists in lists",
        "fields without end",
        "percent signs",
        "a billion laughs",
        "one large entity",
        "attributes",
        "elements in elements",
        "parts",
        "almost boundaries, and no end",
    ],
)
def test_a_bomb_is_refused_in_little_memory(name: str) -> None:
    webhook = source()
    tracemalloc.start()
    try:
        assert 400 <= refused(webhook, *CASES[name]) < 500
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MEMORY

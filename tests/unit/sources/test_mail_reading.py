"""Mails as senders write them: read as far as they can be, and never an error of ours."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beltline.core.limits import PRODUCTION, TINY
from beltline.sources.mail.reading import Mail, read_mail
from beltline.sources.refusal import RequestRefused


def read(raw: bytes) -> Mail:
    return read_mail(raw.replace(b"\n", b"\r\n"), PRODUCTION)


def fields(raw: bytes) -> dict[str, Any]:
    return read(raw).fields


def test_the_parts_of_a_usual_mail() -> None:
    mail = read(
        b"From: =?utf-8?B?0JDQvdC90LA=?= <anna@a.example>\n"
        b'To: "Hub, The" <hub@a.example>, other@a.example\nCc: third@a.example\n'
        b"Subject: =?koi8-r?B?+sHLwdo=?=\n =?utf-8?Q?_17?=\nDate: Mon, 24 Nov 2025 12:00:00 +0300\n"
        b"Message-ID: <1@a.example>\nReply-To: r@a.example\nX-Secret: s\nAuthorization: s\n"
        b"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=o\n\n"
        b"--o\nContent-Type: multipart/alternative; boundary=i\n\n"
        b"--i\nContent-Type: text/plain; charset=windows-1251\n"
        b"Content-Transfer-Encoding: 8bit\n\n\xcf\xf0\xe8\xe2\xe5\xf2\n"
        b"--i\nContent-Type: text/html\n\n<p>hi</p>\n--i--\n"
        b"--o\nContent-Type: text/plain\n"
        b"Content-Disposition: attachment; filename*=utf-8''%D1%84.txt\n\nfile\n"
        b"--o\nContent-Type: message/rfc822\n\nSubject: inner\n\ninside\n--o--\n"
    )
    assert mail.fields == {
        "from": {"name": "Анна", "address": "anna@a.example"},
        "to": [
            {"name": "Hub, The", "address": "hub@a.example"},
            {"name": "", "address": "other@a.example"},
        ],
        "cc": [{"name": "", "address": "third@a.example"}],
        "subject": "Заказ 17",
        "date": "2025-11-24T12:00:00+03:00",
        "message_id": "<1@a.example>",
        "headers": {"reply-to": "r@a.example"},
        "text": "Привет",
        "html": "<p>hi</p>",
    }
    assert [(one.name, one.type) for one in mail.attachments] == [
        ("ф.txt", "text/plain"),
        ("", "message/rfc822"),
    ]
    assert bytes(mail.attachments[0].content) == b"file"
    assert b"inside" in bytes(mail.attachments[1].content)


@pytest.mark.parametrize(
    ("raw", "field", "value"),
    [
        (b"\n", "subject", ""),
        (b"", "from", {"name": "", "address": ""}),
        (b"Subject: \xd0\x97\xd0\xb0\n\n", "subject", "За"),
        (b"Subject: \xcf\xf0\n\n", "subject", "\ufffd\ufffd"),
        (b"Subject: =?no-such?B?0JfQsA==?=\n\n", "subject", "За"),
        (b"Subject: =?utf-8?B?!!!?=\n\n", "subject", "=?utf-8?B?!!!?="),
        (b"Date: yesterday\n\n", "date", None),
        (b"Date: Mon, 99 Nov 2025 12:00:00 +0300\n\n", "date", None),
        (b"Date: Mon, 24 Nov 2025 12:00:00 -0000\n\n", "date", "2025-11-24T12:00:00+00:00"),
        (b"From: broken <a@b\n\n", "from", {"name": "broken", "address": "a@b"}),
        (b"Content-Type: text/plain; charset=no-such\n\n\xd0\x97", "text", "З"),
        (b"Content-Type: text/plain; charset=no-such\n\n\xff", "text", "ÿ"),
        (b"Content-Type: text/plain; charset=utf-8\n\n\xff!", "text", "\ufffd!"),
        (b"Content-Type: text/plain; charset=idna\n\nabc", "text", "abc"),
        (b"Content-Type: text/plain; charset=punycode\n\nabc", "text", "abc"),
        (b"Content-Type: text/plain; charset=unicode_escape\n\n\\ud800", "text", "\\ud800"),
        (b"Content-Type: text/plain; charset=hex\n\n6162", "text", "6162"),
        (b"Content-Type: text/plain; charset=utf-7\n\n+2AA-", "text", "?"),
        (b"Content-Type: text/plain; charset=\"a\x00b\"\n\nabc", "text", "abc"),
        (b"Content-Transfer-Encoding: base64\n\n!!notbase64", "text", "!!notbase64"),
        (b"Content-Transfer-Encoding: no-such\n\nabc", "text", "abc"),
        (b"Content-Type: multipart/mixed\n\nno boundary", "text", ""),
        (b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\nnever closed", "text",
         "never closed"),
        (b"Content-Type: ;;;\n\nabc", "text", "abc"),
        (b"no header at all", "text", "no header at all"),
    ],
)  # fmt: skip
def test_what_is_broken_is_read_as_far_as_it_goes(raw: bytes, field: str, value: Any) -> None:
    found = fields(raw)
    assert found[field] == value
    orjson.dumps(found)


def test_a_nameless_multipart_that_holds_nothing_is_a_file() -> None:
    [file] = read(b"Content-Type: multipart/mixed\n\nno boundary").attachments
    assert bytes(file.content) == b"no boundary"


def test_names_of_files_lead_nowhere() -> None:
    head = b"Content-Type: image/png\nContent-Disposition: attachment; filename="
    [file] = read(head + b'"../../etc/pa\tsswd"\n\nx').attachments
    assert file.name == "pa sswd"


def test_too_many_parts_are_refused() -> None:
    parts = b"--b\n\nx\n" * (TINY.mail_parts + 1)
    raw = b"Content-Type: multipart/mixed; boundary=b\n\n" + parts + b"--b--\n"
    with pytest.raises(RequestRefused, match="mail_parts"):
        read_mail(raw, TINY)


def test_parts_that_stand_too_deep_inside_each_other_are_refused() -> None:
    raw = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(3_000)
    )
    with pytest.raises(RequestRefused, match=r"cannot be read|mail_parts"):
        read_mail(raw, PRODUCTION)


def test_the_digest_is_of_what_is_said() -> None:
    raw = b"From: a@b\nSubject: s\nMessage-ID: <1>\n\nhello"
    one = read(raw)
    assert read(b"Received: from x\nTo: other\n" + raw).digest == one.digest
    assert read(raw + b"!").digest != one.digest


HEADERS = st.sampled_from(
    [b"From", b"To", b"Subject", b"Date", b"Content-Type", b"Content-Transfer-Encoding", b"Cc"]
)
PIECES = st.sampled_from(
    [
        *(b"=?utf-8?", b"B?", b"Q?", b"?=", b"multipart/mixed; boundary=b", b"message/rfc822"),
        *(b"text/plain; charset=", b"utf-16", b"base64", b"\xff\xfe", b"<", b">", b'"', b"@"),
        *(b"\n\n", b"--b", b"\n", b"quoted-printable", b"=", b"\x00", b" ", b"abc", b";"),
    ]
)


@given(st.lists(st.tuples(HEADERS, st.lists(PIECES).map(b"".join))), st.lists(PIECES))
def test_whatever_comes_is_json_or_refused(
    headers: list[tuple[bytes, bytes]], body: list[bytes]
) -> None:
    raw = b"".join(b"%b: %b\n" % header for header in headers) + b"\n" + b"".join(body)
    try:
        mail = read(raw)
    except RequestRefused:
        return
    orjson.dumps(mail.fields)
    assert msgspec.json.decode(msgspec.json.encode(mail.fields)) == mail.fields

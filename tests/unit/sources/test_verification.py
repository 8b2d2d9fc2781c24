"""Senders are verified over the raw bytes, and whatever is not plainly right is refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook as ReferenceWebhook

from beltline.definition.secret import SecretRef
from beltline.definition.verify import (
    Verify,
    VerifyBasic,
    VerifyBearer,
    VerifyBitrix24,
    VerifyHmac,
    VerifyNone,
    VerifySlack,
    VerifyStandardWebhooks,
)
from beltline.sources.refusal import RequestRefused, SecretMissing
from beltline.sources.verification import Received, challenge_of, own_headers, verifier_of

NOW_S = 1_764_000_000
KEY = "k"
BODY = b'{"lead": 1}'
REF = SecretRef("KEY")
Headers = list[tuple[bytes, bytes]]


def check(
    verify: Verify, headers: Headers, body: bytes = BODY, secret: str | None = KEY, at_s: float = 0
) -> None:
    verifier_of(verify, {"KEY": secret}.get)(Received(headers, body, int((at_s or NOW_S) * 1_000)))


def refused(
    verify: Verify, headers: Headers, body: bytes = BODY, secret: str = KEY, at_s: float = 0
) -> int:
    with pytest.raises(RequestRefused) as caught:
        check(verify, headers, body, secret, at_s)
    assert len(secret) == 1 or secret not in caught.value.detail
    return caught.value.status


def test_without_verification_everything_is_accepted() -> None:
    check(VerifyNone(), [], secret=None)


@pytest.mark.parametrize("verify", [VerifyBearer(REF), VerifyHmac("X-Signature", REF),
                                    VerifyStandardWebhooks(REF)])  # fmt: skip
@pytest.mark.parametrize("secret", [None, "", "  ", "\n\n"])
def test_without_a_secret_nothing_is_accepted(verify: Verify, secret: str | None) -> None:
    empty = hmac.new(b"", BODY, "sha256").hexdigest().encode()
    headers = [(b"authorization", b"Bearer "), (b"x-signature", empty), (b"webhook-id", b"a"),
               (b"webhook-timestamp", b"%d" % NOW_S), (b"webhook-signature", b"v1,")]  # fmt: skip
    with pytest.raises(SecretMissing, match="KEY"):
        check(verify, headers, secret=secret)


# Bearer


@pytest.mark.parametrize("value", [b"Bearer canary", b"bearer canary", b"BEARER  canary "])
def test_the_right_token_is_accepted(value: bytes) -> None:
    check(VerifyBearer(REF), [(b"authorization", value)], secret="canary")


@pytest.mark.parametrize(
    "value", [b"", b"Bearer", b"Bearer ", b"Bearer canar", b"Bearer canarys", b"Basic canary",
              b"canary", b"Bearer CANARY", b"Bearer can\xc3\xa9ry"],
)  # fmt: skip
def test_any_other_token_is_refused(value: bytes) -> None:
    assert refused(VerifyBearer(REF), [(b"authorization", value)], secret="canary") == 401
    assert refused(VerifyBearer(REF), [], secret="canary") == 401


def test_a_header_that_stands_twice_is_refused_even_if_both_are_right() -> None:
    twice = [(b"authorization", b"Bearer canary"), (b"authorization", b"Bearer canary")]
    assert refused(VerifyBearer(REF), twice, secret="canary") == 400
    signature = hmac.new(b"k", BODY, "sha256").hexdigest().encode()
    assert refused(VerifyHmac("X-Sig", REF), [(b"x-sig", signature), (b"x-sig", b"0")]) == 400


@pytest.mark.parametrize("token", [b"old", b"new"])
def test_during_a_change_of_secrets_both_hold(token: bytes) -> None:
    check(VerifyBearer(REF), [(b"authorization", b"Bearer " + token)], secret="old\nnew\n")
    assert refused(VerifyBearer(REF), [(b"authorization", b"Bearer old new")], secret="old\nnew")


# HMAC


@pytest.mark.parametrize("algorithm", ["sha256", "sha512", "sha1"])
@pytest.mark.parametrize("prefix", ["", "sha256="])
def test_a_signature_of_the_raw_body_is_accepted(algorithm: str, prefix: str) -> None:
    digest = hmac.new(b"k", BODY, algorithm)
    in_hex = VerifyHmac("X-Signature", REF, algorithm, "hex", prefix)  # type: ignore[arg-type]
    for written in (digest.hexdigest(), digest.hexdigest().upper()):
        check(in_hex, [(b"x-signature", (prefix + written).encode())])
    in_base64 = VerifyHmac("X-Signature", REF, algorithm, "base64", prefix)  # type: ignore[arg-type]
    check(in_base64, [(b"x-signature", prefix.encode() + base64.b64encode(digest.digest()))])


RIGHT = hmac.new(b"k", BODY, "sha256").hexdigest().encode()


@pytest.mark.parametrize(
    "value",
    [
        b"",
        RIGHT[:-1],
        RIGHT[:-2],
        RIGHT + b"00",
        b"0" + RIGHT[1:] if RIGHT[:1] != b"0" else b"1" + RIGHT[1:],
        b" " + RIGHT[1:],
        b"sha256=" + RIGHT,
        b"sha1=" + hmac.new(b"k", BODY, "sha1").hexdigest().encode(),
        hmac.new(b"k", BODY, "sha512").hexdigest().encode(),
        hmac.new(b"K", BODY, "sha256").hexdigest().encode(),
        hashlib.sha256(BODY).hexdigest().encode(),
        base64.b64encode(bytes.fromhex(RIGHT.decode())),
        b"\xff" * 64,
    ],
)
def test_any_other_signature_is_refused(value: bytes) -> None:
    assert refused(VerifyHmac("X-Signature", REF), [(b"x-signature", value)]) == 401


def test_a_signature_holds_for_these_very_bytes_only() -> None:
    headers = [(b"x-signature", RIGHT)]
    for body in (b'{"lead":1}', BODY + b" ", b"", BODY.replace(b"1", b"2")):
        assert refused(VerifyHmac("X-Signature", REF), headers, body) == 401


def test_a_signature_without_the_wanted_prefix_is_refused() -> None:
    verify = VerifyHmac("X-Signature", REF, prefix="sha256=")
    assert refused(verify, [(b"x-signature", RIGHT)]) == 401


def test_the_header_of_the_signature_is_the_source_s_own() -> None:
    assert own_headers(VerifyHmac("X-Signature", REF)) == {b"x-signature"}


# Standard Webhooks, signed by the library of its authors


SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()


def signed(
    body: bytes = BODY, *, at_s: int = NOW_S, id: str = "msg_1", secret: str = SECRET
) -> Headers:
    signature = ReferenceWebhook(secret).sign(id, datetime.fromtimestamp(at_s, UTC), body.decode())
    return [
        (b"webhook-id", id.encode()),
        (b"webhook-timestamp", b"%d" % at_s),
        (b"webhook-signature", signature.encode()),
    ]


def replaced(headers: Headers, name: bytes, value: bytes | None) -> Headers:
    others = [pair for pair in headers if pair[0] != name]
    return others if value is None else [*others, (name, value)]


STANDARD = VerifyStandardWebhooks(REF)


@pytest.mark.parametrize("age_s", [0, 299, -299])
def test_a_message_signed_by_the_reference_is_accepted(age_s: int) -> None:
    check(STANDARD, signed(at_s=NOW_S - age_s), secret=SECRET)


@pytest.mark.parametrize("age_s", [301, -301, 86_400, NOW_S])
def test_a_message_from_another_time_is_refused(age_s: int) -> None:
    assert refused(STANDARD, signed(at_s=NOW_S - age_s), secret=SECRET) == 401


def test_one_right_signature_among_several_is_enough() -> None:
    right = dict(signed())[b"webhook-signature"]
    other = dict(signed(secret="whsec_" + base64.b64encode(b"other").decode()))
    several = b"v1a,abc " + other[b"webhook-signature"] + b" " + right
    check(STANDARD, replaced(signed(), b"webhook-signature", several), secret=SECRET)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"webhook-id", None),
        (b"webhook-id", b""),
        (b"webhook-id", b"msg_2"),
        (b"webhook-timestamp", None),
        (b"webhook-timestamp", b"%d" % (NOW_S + 1)),
        (b"webhook-timestamp", b"-1"),
        (b"webhook-timestamp", b"1764000000.0"),
        (b"webhook-timestamp", b"9" * 400),
        (b"webhook-timestamp", "١٧٦٤".encode()),
        (b"webhook-signature", None),
        (b"webhook-signature", b""),
        (b"webhook-signature", b"v1,"),
        (b"webhook-signature", b"v1,%%%"),
        (b"webhook-signature", dict(signed())[b"webhook-signature"].replace(b"v1,", b"v0,")),
        (b"webhook-signature", dict(signed())[b"webhook-signature"].removeprefix(b"v1,")),
        (b"webhook-signature", dict(signed())[b"webhook-signature"][:-4]),
    ],
)
def test_any_other_message_is_refused(name: bytes, value: bytes | None) -> None:
    assert refused(STANDARD, replaced(signed(), name, value), secret=SECRET) == 401


def test_a_body_that_was_changed_is_refused() -> None:
    assert refused(STANDARD, signed(), BODY + b" ", SECRET) == 401


def test_a_dot_in_the_id_is_refused_since_one_signature_would_fit_two_messages() -> None:
    body = f"{NOW_S}.rest".encode()
    right = signed(body, id="a")
    # Without the rule, the signed text `a.TIME.TIME.rest` reads also as id `a.TIME`, body `rest`.
    shifted = replaced(right, b"webhook-id", f"a.{NOW_S}".encode())
    assert refused(STANDARD, shifted, b"rest", SECRET) == 401


def test_a_secret_that_is_no_key_is_the_operator_s_to_mend() -> None:
    with pytest.raises(SecretMissing, match="base64"):
        check(STANDARD, signed(), secret="whsec_***")


# Basic

BASIC = VerifyBasic("site", REF)


def basic(text: bytes, scheme: bytes = b"Basic") -> Headers:
    return [(b"authorization", scheme + b" " + base64.b64encode(text))]


@pytest.mark.parametrize("scheme", [b"Basic", b"basic", b"BASIC "])
def test_the_user_with_the_password_is_accepted(scheme: bytes) -> None:
    check(BASIC, basic(b"site:can:ary", scheme), secret="can:ary")
    check(VerifyBasic("сайт", REF), basic("сайт:canary".encode()), secret="canary")


@pytest.mark.parametrize(
    "text",
    [b"", b"site", b"site:", b"site:canar", b"site:canarys", b":canary", b"Site:canary", b"canary",
     b"sit:ecanary", b"site:canary\n"],
)  # fmt: skip
def test_any_other_user_or_password_is_refused(text: bytes) -> None:
    assert refused(BASIC, basic(text), secret="canary") == 401


@pytest.mark.parametrize("value", [b"", b"Basic", b"Basic !!!", b"Bearer c2l0ZTpjYW5hcnk=",
                                   b"c2l0ZTpjYW5hcnk="])  # fmt: skip
def test_what_is_no_basic_authorization_is_refused(value: bytes) -> None:
    assert refused(BASIC, [(b"authorization", value)], secret="canary") == 401
    assert refused(BASIC, [], secret="canary") == 401


# Slack: the example of its documentation

SLACK = VerifySlack(REF)
SLACK_SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
SLACK_AT_S = 1_531_420_618
SLACK_BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow"
    b"&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner"
    b"&command=%2Fwebhook-collect&text="
    b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554"
    b"%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
SLACK_HEADERS = [
    (b"x-slack-request-timestamp", b"1531420618"),
    (b"x-slack-signature", b"v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"),
]


def test_the_example_of_slack_is_accepted() -> None:
    check(SLACK, SLACK_HEADERS, SLACK_BODY, SLACK_SECRET, SLACK_AT_S + 299)


@pytest.mark.parametrize(
    ("headers", "body", "secret", "at_s"),
    [
        (SLACK_HEADERS, SLACK_BODY, SLACK_SECRET, SLACK_AT_S + 301),
        (SLACK_HEADERS, SLACK_BODY, SLACK_SECRET, SLACK_AT_S - 301),
        (SLACK_HEADERS, SLACK_BODY + b" ", SLACK_SECRET, SLACK_AT_S),
        (SLACK_HEADERS, SLACK_BODY, SLACK_SECRET + "x", SLACK_AT_S),
        (SLACK_HEADERS[:1], SLACK_BODY, SLACK_SECRET, SLACK_AT_S),
        (SLACK_HEADERS[1:], SLACK_BODY, SLACK_SECRET, SLACK_AT_S),
        (replaced(SLACK_HEADERS, b"x-slack-request-timestamp", b"1531420619"), SLACK_BODY,
         SLACK_SECRET, SLACK_AT_S),
        (replaced(SLACK_HEADERS, b"x-slack-request-timestamp", b"now"), SLACK_BODY, SLACK_SECRET,
         SLACK_AT_S),
        (replaced(SLACK_HEADERS, b"x-slack-signature", SLACK_HEADERS[1][1].replace(b"v0", b"v1")),
         SLACK_BODY, SLACK_SECRET, SLACK_AT_S),
        (replaced(SLACK_HEADERS, b"x-slack-signature", b"v0=zz"), SLACK_BODY, SLACK_SECRET,
         SLACK_AT_S),
    ],
)  # fmt: skip
def test_any_other_message_of_slack_is_refused(
    headers: Headers, body: bytes, secret: str, at_s: int
) -> None:
    assert refused(SLACK, headers, body, secret, at_s) == 401


# Bitrix24

BITRIX24 = VerifyBitrix24(REF)
FORM = [(b"content-type", b"application/x-www-form-urlencoded; charset=utf-8")]
EVENT = (
    b"event=ONCRMDEALUPDATE&data%5BFIELDS%5D%5BID%5D=7&ts=1764000000"
    b"&auth%5Bdomain%5D=example.bitrix24.ru&auth%5Bapplication_token%5D=canary"
)


@pytest.mark.parametrize("body", [EVENT, EVENT.replace(b"%5B", b"[").replace(b"%5D", b"]"),
                                  b"auth[application_token]=%63anary"])  # fmt: skip
def test_an_event_with_the_application_token_is_accepted(body: bytes) -> None:
    check(BITRIX24, FORM, body, "canary")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"event=ONCRMDEALUPDATE",
        EVENT[:-1],
        EVENT + b"s",
        EVENT + b"&auth[application_token]=canary",
        b"auth[application_token]=x&" + EVENT,
        EVENT.replace(b"application_token", b"application_tokens"),
        b"auth=canary",
        b"application_token=canary",
        b"auth[application_token][]=canary",
        b"auth[application_token]=",
        b"data[auth][application_token]=canary",
        EVENT.replace(b"canary", b"%zz"),
        b'{"auth": {"application_token": "canary"}}',
    ],
)
def test_any_other_event_is_refused(body: bytes) -> None:
    assert refused(BITRIX24, FORM, body, "canary") == 401


@pytest.mark.parametrize("type", [b"", b"application/json", b"multipart/form-data; boundary=x"])
def test_the_token_counts_in_a_form_only(type: bytes) -> None:
    assert refused(BITRIX24, [(b"content-type", type)], EVENT, "canary") == 401


# All of them


@pytest.mark.parametrize("secret", ["old\nnew", "new\nold\n", "\n old \n\n new "])
@pytest.mark.parametrize("held", ["old", "new"])
def test_two_secrets_hold_at_the_same_time_for_every_way(secret: str, held: str) -> None:
    check(BASIC, basic(b"site:" + held.encode()), secret=secret)
    check(BITRIX24, FORM, EVENT.replace(b"canary", held.encode()), secret)
    stamp = b"%d" % NOW_S
    signature = hmac.new(held.encode(), b"v0:%b:%b" % (stamp, BODY), "sha256").hexdigest().encode()
    slack = [(b"x-slack-request-timestamp", stamp), (b"x-slack-signature", b"v0=" + signature)]
    check(SLACK, slack, secret=secret)
    signed_hmac = hmac.new(held.encode(), BODY, "sha256").hexdigest().encode()
    check(VerifyHmac("X-Signature", REF), [(b"x-signature", signed_hmac)], secret=secret)


@pytest.mark.parametrize("verify", [BASIC, SLACK, BITRIX24])
@pytest.mark.parametrize("secret", [None, "", "\n\n"])
def test_without_a_secret_no_way_accepts_anything(verify: Verify, secret: str | None) -> None:
    empty = hmac.new(b"", b"v0:%d:%b" % (NOW_S, EVENT), "sha256").hexdigest().encode()
    headers = [*FORM, *basic(b"site:"), (b"x-slack-request-timestamp", b"%d" % NOW_S),
               (b"x-slack-signature", b"v0=" + empty)]  # fmt: skip
    with pytest.raises(SecretMissing, match="KEY"):
        check(verify, headers, EVENT.replace(b"canary", b""), secret=secret)


def test_only_schemes_of_http_are_asked_for() -> None:
    assert challenge_of(VerifyBearer(REF)) == "Bearer"
    assert challenge_of(BASIC).startswith("Basic realm=")
    assert challenge_of(BITRIX24) == ""

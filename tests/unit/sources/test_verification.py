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
    VerifyBearer,
    VerifyHmac,
    VerifyNone,
    VerifyStandardWebhooks,
)
from beltline.sources.refusal import RequestRefused, SecretMissing
from beltline.sources.verification import Received, own_headers, verifier_of

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

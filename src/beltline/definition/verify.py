"""`verify`: how a webhook source knows who may send.

    bearer, basic          what the header Authorization carries
    hmac, slack,           a signature of the raw body in headers
    standard-webhooks
    bitrix24               the application token that Bitrix24 writes into its form bodies

A source has exactly one of them, or says `none` in as many words.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from beltline.core.problem import Place
from beltline.definition.finding import Report
from beltline.definition.secret import SecretRef, read_secret
from beltline.definition.shape import check_keys, kind_of, read_object, read_text

_KEYS = {
    "bearer": ("secret",),
    "hmac": ("header", "secret", "algorithm", "encoding", "prefix"),
    "standard-webhooks": ("secret",),
    "slack": ("secret",),
    "bitrix24": ("secret",),
    "basic": ("user", "secret"),
}
_WAYS = tuple(_KEYS)
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}\Z")


class VerifyNone(msgspec.Struct, frozen=True):
    """Anybody may send; the file says so in as many words."""


class VerifyBearer(msgspec.Struct, frozen=True):
    """`Authorization: Bearer` with this token."""

    secret: SecretRef


class VerifyBasic(msgspec.Struct, frozen=True):
    """`Authorization: Basic` with this user and this password."""

    user: str
    secret: SecretRef


class VerifyHmac(msgspec.Struct, frozen=True):
    """A signature of the raw body in a header, perhaps behind a `prefix` such as `sha256=`."""

    header: str
    secret: SecretRef
    algorithm: Literal["sha256", "sha512", "sha1"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    prefix: str = ""


class VerifyStandardWebhooks(msgspec.Struct, frozen=True):
    """The Standard Webhooks signature: `webhook-id`, `webhook-timestamp`, `webhook-signature`."""

    secret: SecretRef


class VerifySlack(msgspec.Struct, frozen=True):
    """Slack's signature: `x-slack-request-timestamp`, `x-slack-signature`."""

    secret: SecretRef


class VerifyBitrix24(msgspec.Struct, frozen=True):
    """The application token in `auth[application_token]` of a form body."""

    secret: SecretRef


Verify = (
    VerifyNone
    | VerifyBearer
    | VerifyBasic
    | VerifyHmac
    | VerifyStandardWebhooks
    | VerifySlack
    | VerifyBitrix24
)

_BY_SECRET_ALONE: dict[str, Callable[[SecretRef], Verify]] = {
    "bearer": VerifyBearer,
    "standard-webhooks": VerifyStandardWebhooks,
    "slack": VerifySlack,
    "bitrix24": VerifyBitrix24,
}


def is_header_name(text: str) -> bool:
    """Whether a text can name an HTTP header."""
    return _HEADER.match(text) is not None


def read_verify(report: Report, data: dict[str, Any]) -> Verify | None:
    """Reads the key `verify`; None where it is wrong or missing, which is reported."""
    at: Place = ("verify",)
    advice = f"Write {', '.join(f'`{way}`' for way in _WAYS)}, or `verify: none` for anybody."
    if "verify" not in data:
        report.error((), "the source does not say how its senders are verified", advice)
        return None
    value = data["verify"]
    if value == "none":
        return VerifyNone()
    if isinstance(value, str):
        report.error(
            at,
            f'verify needs more than "{value[:100]}"' if value in _WAYS
            else f'verify cannot be "{value[:100]}"',
            f'Write `verify: {{{value}: {{secret: "${{NAME}}"}}}}`.' if value in _WAYS
            else report.did_you_mean(value, (*_WAYS, "none")) or advice,
        )  # fmt: skip
        return None
    if not isinstance(value, dict):
        report.error(at, f"verify cannot be {kind_of(value)}", advice)
        return None
    if len(value) != 1:
        report.error(at, "verify takes exactly one way", advice)
        return None
    way, given = next(iter(value.items()))
    if way not in _WAYS:
        check_keys(report, value, _WAYS, at, "verify")
        return None
    return _read_way(report, way, given, (*at, way))


def _read_way(report: Report, way: str, given: Any, at: Place) -> Verify | None:
    if isinstance(given, str) and way in _BY_SECRET_ALONE:
        secret_at, given = at, {"secret": given}
    else:
        secret_at = (*at, "secret")
    data = read_object(report, given, at, way)
    if data is None:
        return None
    check_keys(report, data, _KEYS[way], at, way)
    secret = None
    if "secret" not in data:
        report.error(at, f"{way} needs a secret", 'Add `secret: "${NAME}"`.')
    else:
        secret = read_secret(report, data["secret"], secret_at, "secret")
    if way == "hmac":
        return _read_hmac(report, data, secret, at)
    if way == "basic":
        return _read_basic(report, data, secret, at)
    if secret is None:
        return None
    return _BY_SECRET_ALONE[way](secret)


def _read_basic(
    report: Report, data: dict[str, Any], secret: SecretRef | None, at: Place
) -> VerifyBasic | None:
    if "user" not in data:
        report.error(at, "basic needs the name of the user", "Add `user: NAME`.")
        return None
    user = read_text(report, data["user"], (*at, "user"), "user")
    if user is None:
        return None
    if not user or len(user) > 100 or ":" in user or not user.isprintable():
        report.error((*at, "user"), "user must be a name of up to 100 characters, without a colon")
        return None
    return None if secret is None else VerifyBasic(user, secret)


def _read_hmac(
    report: Report, data: dict[str, Any], secret: SecretRef | None, at: Place
) -> VerifyHmac | None:
    header = None
    if "header" not in data:
        report.error(at, "hmac needs the header of the signature", "Add `header: X-Signature`.")
    else:
        header = read_text(report, data["header"], (*at, "header"), "header")
        if header is not None and not is_header_name(header):
            report.error((*at, "header"), f'"{header[:100]}" cannot name a header')
            header = None
    algorithm = data.get("algorithm", "sha256")
    if algorithm not in ("sha256", "sha512", "sha1"):
        report.error((*at, "algorithm"), "algorithm can be sha256, sha512 or sha1")
    encoding = data.get("encoding", "hex")
    if encoding not in ("hex", "base64"):
        report.error((*at, "encoding"), "encoding can be hex or base64")
    prefix = read_text(report, data.get("prefix", ""), (*at, "prefix"), "prefix")
    if report.errors or header is None or secret is None or prefix is None:
        return None
    return VerifyHmac(header, secret, algorithm, encoding, prefix)

"""The keys of a webhook source: how its senders are verified."""

from __future__ import annotations

import re
from typing import Any, ClassVar, Literal

import msgspec

from beltline.core.problem import Place
from beltline.definition.finding import Report
from beltline.definition.secret import SecretRef, read_secret
from beltline.definition.shape import check_keys, kind_of, read_object, read_text

WEBHOOK_KEYS = ("verify",)
_VERIFY = ("bearer", "hmac", "standard-webhooks")
_HMAC_KEYS = ("header", "secret", "algorithm", "encoding", "prefix")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}\Z")


class VerifyNone(msgspec.Struct, frozen=True):
    """Anybody may send; the file says so in as many words."""


class VerifyBearer(msgspec.Struct, frozen=True):
    """`Authorization: Bearer` with this token."""

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


Verify = VerifyNone | VerifyBearer | VerifyHmac | VerifyStandardWebhooks


class WebhookWay(msgspec.Struct, frozen=True):
    """Requests come to `POST /in/{source}`."""

    kind: ClassVar[str] = "webhook"
    verify: Verify


def read_webhook(report: Report, data: dict[str, Any]) -> WebhookWay | None:
    """Reads the keys of `WEBHOOK_KEYS`."""
    verify = _read_verify(report, data)
    return None if verify is None else WebhookWay(verify)


def _read_verify(report: Report, data: dict[str, Any]) -> Verify | None:
    at: Place = ("verify",)
    advice = f"Write {', '.join(f'`{way}`' for way in _VERIFY)}, or `verify: none` for anybody."
    if "verify" not in data:
        report.error((), "the source does not say how its senders are verified", advice)
        return None
    value = data["verify"]
    if value == "none":
        return VerifyNone()
    if isinstance(value, str):
        report.error(
            at,
            f'verify needs more than "{value[:100]}"' if value in _VERIFY
            else f'verify cannot be "{value[:100]}"',
            f'Write `verify: {{{value}: {{secret: "${{NAME}}"}}}}`.' if value in _VERIFY
            else report.did_you_mean(value, (*_VERIFY, "none")) or advice,
        )  # fmt: skip
        return None
    if not isinstance(value, dict):
        report.error(at, f"verify cannot be {kind_of(value)}", advice)
        return None
    if len(value) != 1:
        report.error(at, "verify takes exactly one way", advice)
        return None
    way, given = next(iter(value.items()))
    if way not in _VERIFY:
        check_keys(report, value, _VERIFY, at, "verify")
        return None
    return _read_way(report, way, given, (*at, way))


def _read_way(report: Report, way: str, given: Any, at: Place) -> Verify | None:
    if isinstance(given, str) and way != "hmac":
        secret_at, given = at, {"secret": given}
    else:
        secret_at = (*at, "secret")
    data = read_object(report, given, at, way)
    if data is None:
        return None
    check_keys(report, data, _HMAC_KEYS if way == "hmac" else ("secret",), at, way)
    secret = None
    if "secret" not in data:
        report.error(at, f"{way} needs a secret", 'Add `secret: "${NAME}"`.')
    else:
        secret = read_secret(report, data["secret"], secret_at, "secret")
    if way == "hmac":
        return _read_hmac(report, data, secret, at)
    if secret is None:
        return None
    return VerifyBearer(secret) if way == "bearer" else VerifyStandardWebhooks(secret)


def _read_hmac(
    report: Report, data: dict[str, Any], secret: SecretRef | None, at: Place
) -> VerifyHmac | None:
    header = None
    if "header" not in data:
        report.error(at, "hmac needs the header of the signature", "Add `header: X-Signature`.")
    else:
        header = read_text(report, data["header"], (*at, "header"), "header")
        if header is not None and not _HEADER.match(header):
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

"""A source file (`sources/*.yaml`) -> `Source`: who may send requests, and what becomes of them.

This version takes webhooks, and releases what they bring at once or by hand.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Literal

import msgspec

from beltline.core.limits import LIMITS
from beltline.core.problem import Place
from beltline.core.template import Template, compile_value
from beltline.definition.finding import Finding, Report, unreadable
from beltline.definition.reading import Format, format_of, read_document
from beltline.definition.secret import SecretRef, read_secret
from beltline.definition.shape import (
    check_keys,
    kind_of,
    read_duration_ms,
    read_file_name,
    read_name,
    read_object,
    read_text,
)
from beltline.definition.tree import Unreadable

_KEYS = ("source", "kind", "process", "verify", "identity", "release")
_LATER_KEYS = ("schema", "key", "priority", "backlog", "expires")
_LATER_KINDS = ("schedule", "mail", "queue", "poll", "files")
_VERIFY = ("bearer", "hmac", "standard-webhooks")
_HMAC_KEYS = ("header", "secret", "algorithm", "encoding", "prefix")
_IDENTITY_KEYS = ("by", "window")
_IDENTITY_ROOTS = frozenset(("request", "meta"))
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}\Z")
_WINDOW_MS = 86_400_000

Release = Literal["at-once", "paused"]


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


class Identity(msgspec.Struct, frozen=True):
    """What makes a request the same as an earlier one: the value of `by`, for `window_ms` from
    the first's acceptance.
    """

    by: Template
    window_ms: int


class Source(msgspec.Struct, frozen=True):
    """A way in: `POST /in/{name}` starts a run of `process`."""

    name: str
    process: str
    verify: Verify
    kind: Literal["webhook"] = "webhook"
    identity: Identity | None = None
    release: Release = "at-once"


class CheckedSource(msgspec.Struct, frozen=True):
    """The outcome of a check: the source, or None where there is any error; and all findings."""

    source: Source | None
    findings: list[Finding]


def read_source(
    text: str,
    *,
    name: str | None,
    file: str,
    processes: Collection[str] | None,
    format: Format | None = None,
) -> CheckedSource:
    """Reads and checks one source file.

    `name` is the file's stem, which `source:` must equal (None: anything goes); `processes` are
    the names of processes that there are (None: not checked). Never raises for the text.
    """
    try:
        document = read_document(text, format or format_of(file))
    except Unreadable as error:
        return CheckedSource(None, [unreadable(error, text, file)])
    report = Report(document, file)
    data = read_object(report, document.data, (), "a source")
    source = _read(report, data, name, processes) if data is not None else None
    return CheckedSource(None if report.errors else source, report.findings())


def _read(
    report: Report, data: dict[str, Any], stem: str | None, processes: Collection[str] | None
) -> Source | None:
    known = {key: value for key, value in data.items() if key not in _LATER_KEYS}
    for key in data.keys() - known.keys():
        report.error((key,), f"this version has no `{key}` of sources", of_key=True)
    check_keys(report, known, _KEYS, (), "a source")
    name = read_file_name(report, data, "source", stem)
    _check_kind(report, data)
    process = None
    if "process" not in data:
        report.error((), "the source names no process", "Add `process: NAME`.")
    else:
        process = read_name(report, data["process"], ("process",), "process")
        if process is not None and processes is not None and process not in processes:
            report.error(
                ("process",),
                f'no process has the name "{process}"',
                report.did_you_mean(process, processes),
            )
    verify = _read_verify(report, data)
    identity = _read_identity(report, data["identity"]) if "identity" in data else None
    release = _read_release(report, data)
    if name is None or process is None or verify is None:
        return None
    return Source(name, process, verify, identity=identity, release=release)


def _check_kind(report: Report, data: dict[str, Any]) -> None:
    if "kind" not in data:
        report.error((), "the source has no kind", "Add `kind: webhook`.")
        return
    kind = read_text(report, data["kind"], ("kind",), "kind")
    if kind is None or kind == "webhook":
        return
    if kind in _LATER_KINDS:
        report.error(("kind",), f'this version has no sources of the kind "{kind}", only webhooks')
    else:
        report.error(("kind",), f'"{kind[:100]}" is no kind of source', "Write `kind: webhook`.")


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


def _read_identity(report: Report, value: Any) -> Identity | None:
    at: Place = ("identity",)
    data = read_object(report, value, at, "identity")
    if data is None:
        return None
    check_keys(report, data, _IDENTITY_KEYS, at, "identity")
    window_ms: int | None = _WINDOW_MS
    if "window" in data:
        window_ms = read_duration_ms(
            report,
            data["window"],
            (*at, "window"),
            "window",
            most_ms=LIMITS.wait_ms,
            limit="wait_ms",
        )
    if "by" not in data:
        report.error(at, "identity needs the value to go by", 'Add `by: "{{ request.NAME }}"`.')
        return None
    text = read_text(report, data["by"], (*at, "by"), "by")
    if text is None:
        return None
    template, problems = compile_value(text, frozenset(), (*at, "by"))
    report.take(problems)
    if template.is_constant and not problems:
        report.error(
            (*at, "by"), "this is the same for every request", f'Write "{{{{ {text} }}}}".'
        )
    for root in sorted((template.roots or frozenset()) - _IDENTITY_ROOTS):
        report.error(
            (*at, "by"),
            f'"{root[:100]}" is not known when a request is accepted',
            "A path starts with request or meta here.",
        )
    return Identity(template, window_ms) if window_ms is not None else None


def _read_release(report: Report, data: dict[str, Any]) -> Release:
    value = data.get("release", "at-once")
    if value == "paused":
        return "paused"
    if value != "at-once":
        report.error(
            ("release",),
            "this version releases at once, or by hand",
            "Leave release out, or write `release: paused`.",
        )
    return "at-once"

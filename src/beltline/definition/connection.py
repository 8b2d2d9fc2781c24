"""A connection file (`connections/*.yaml`) -> `ConnectionFile`: an account of an outside system."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from beltline.core.problem import Place
from beltline.definition.buffering import read_timezone
from beltline.definition.finding import Finding, Report, unreadable
from beltline.definition.reading import Format, format_of, read_document
from beltline.definition.secret import SecretRef, read_secret
from beltline.definition.shape import (
    check_keys,
    kind_of,
    read_file_name,
    read_integer,
    read_name,
    read_object,
    read_text,
)
from beltline.definition.tree import Unreadable

_KEYS = (
    *("connection", "kind", "address", "user", "secret", "limits", "outage", "private_addresses"),
)
_LIMIT_KEYS = ("rate", "burst", "concurrency", "batch", "quota", "timezone")
RATE = re.compile(r"^([0-9]{1,9}(?:\.[0-9]{1,6})?) ?/ ?(s|m|h|d)$")
_QUOTA = re.compile(r"([0-9]{1,9}) ?/ ?d\Z")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_MOST = 1_000_000


class ConnectionLimits(msgspec.Struct, frozen=True):
    """What the outside system bears: in any t seconds at most `burst + rate_per_s * t` requests,
    `concurrency` calls at a time, `batch` commands in one, `quota` requests a day, which begins at
    midnight in `timezone`. None: no limit.
    """

    rate_per_s: float | None = None
    burst: int | None = None
    concurrency: int | None = None
    batch: int | None = None
    quota: int | None = None
    timezone: str = "UTC"


class ConnectionFile(msgspec.Struct, frozen=True):
    """A named account of an outside system, of the name `user` there; `private_addresses` lets it
    stand in the hub's own network. In an `outage` its steps wait until it can be reached again, or
    they fail by their policies.
    """

    name: str
    kind: str
    address: str = ""
    secret: SecretRef | None = None
    limits: ConnectionLimits = ConnectionLimits()
    private_addresses: Literal["deny", "allow"] = "deny"
    user: str = ""
    outage: Literal["wait", "fail"] = "wait"


class CheckedConnection(msgspec.Struct, frozen=True):
    """The outcome of a check: the connection, None where there is any error; and all findings."""

    connection: ConnectionFile | None
    findings: list[Finding]


def read_connection(
    text: str,
    *,
    name: str | None,
    file: str,
    kinds: Collection[str] | None = None,
    format: Format | None = None,
) -> CheckedConnection:
    """Reads and checks one connection file.

    `name` is the file's stem, which `connection:` must equal (None: anything goes); `kinds` are
    those that modules ask for (None: not checked). Never raises for the text.
    """
    try:
        document = read_document(text, format or format_of(file))
    except Unreadable as error:
        return CheckedConnection(None, [unreadable(error, text, file)])
    report = Report(document, file)
    data = read_object(report, document.data, (), "a connection")
    connection = _read(report, data, name, kinds) if data is not None else None
    return CheckedConnection(None if report.errors else connection, report.findings())


def _read(
    report: Report, data: dict[str, Any], stem: str | None, kinds: Collection[str] | None
) -> ConnectionFile | None:
    check_keys(report, data, _KEYS, (), "a connection")
    name = read_file_name(report, data, "connection", stem)
    kind = None
    if "kind" not in data:
        report.error((), "the connection has no kind", "Add `kind: NAME`.")
    else:
        kind = read_name(report, data["kind"], ("kind",), "kind")
        if kind is not None and kinds is not None and kind not in kinds:
            report.error(
                ("kind",),
                f'no module asks for a connection of the kind "{kind}"',
                report.did_you_mean(kind, kinds) or f"Known kinds: {', '.join(sorted(kinds))}.",
            )
    address = _read_address(report, data["address"]) if "address" in data else ""
    secret = None
    if "secret" in data:
        secret = read_secret(report, data["secret"], ("secret",), "secret")
    user = read_name(report, data["user"], ("user",), "user") if "user" in data else ""
    limits = ConnectionLimits()
    if "limits" in data:
        limits = _read_limits(report, data["limits"], ("limits",))
    private = data.get("private_addresses", "deny")
    if private not in ("deny", "allow"):
        report.error(
            ("private_addresses",),
            f"private_addresses can be allow or deny, not {kind_of(private)}"
            if not isinstance(private, str)
            else f'private_addresses can be allow or deny, not "{private[:100]}"',
        )
    outage = data.get("outage", "wait")
    if outage not in ("wait", "fail"):
        told = f'"{outage[:100]}"' if isinstance(outage, str) else kind_of(outage)
        report.error(("outage",), f"outage can be wait or fail, not {told}")
    if report.errors or name is None or kind is None:
        return None
    return ConnectionFile(name, kind, address, secret, limits, private, user or "", outage)


def _read_address(report: Report, value: Any) -> str:
    at: Place = ("address",)
    address = read_text(report, value, at, "address")
    if address is None:
        return ""
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        report.error(at, f"this is no address: {error}")
        return ""
    is_file = parts.scheme == "sqlite" and len(parts.path) > 1  # a database that has no host
    if not parts.scheme or not (host or is_file) or not address.isprintable() or " " in address:
        report.error(
            at, "address must be a whole address", "Write it like https://example.org/rest/."
        )
    elif parts.username is not None or parts.password is not None:
        report.error(
            at,
            "an address must not hold a name or a password",
            'Write `secret: "${NAME}"` beside it.',
        )
    return address


def _read_limits(report: Report, value: Any, at: Place) -> ConnectionLimits:
    data = read_object(report, value, at, "limits")
    if data is None:
        return ConnectionLimits()
    check_keys(report, data, _LIMIT_KEYS, at, "limits")
    counts = {
        key: read_integer(
            report, data[key], (*at, key), key, least=1, most=_MOST, limit="a million"
        )
        for key in ("burst", "concurrency", "batch")
        if key in data
    }
    rate = _read_rate(report, data["rate"], (*at, "rate")) if "rate" in data else None
    if counts.get("burst") and "rate" not in data:
        report.error((*at, "burst"), "burst needs a rate", "Add `rate:`, like 2/s.")
    quota = _read_quota(report, data["quota"], (*at, "quota")) if "quota" in data else None
    zone = "UTC"
    if "timezone" in data:
        zone = read_timezone(report, data, at) or zone
    return ConnectionLimits(rate_per_s=rate, quota=quota, timezone=zone, **counts)


def _read_rate(report: Report, value: Any, at: Place) -> float | None:
    rate = rate_per_s(value) if isinstance(value, str) else None
    if rate is None:
        report.error(at, "rate must be a number per time", "Write it like 2/s, 100/m or 5000/d.")
    return rate


def _read_quota(report: Report, value: Any, at: Place) -> int | None:
    found = _QUOTA.match(value) if isinstance(value, str) else None
    if found is None or not int(found[1]):
        report.error(at, "quota must be a number per day", "Write it like 5000/d.")
        return None
    return int(found[1])


def rate_per_s(text: str) -> float | None:
    """A rate such as `100/m` in calls a second; None where it is none, or not above 0."""
    found = RATE.match(text)
    return float(found[1]) / _SECONDS[found[2]] if found and float(found[1]) else None

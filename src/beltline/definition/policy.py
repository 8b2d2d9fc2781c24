"""How a step is tried again and for how long it may work: `retry` and `timeout`."""

from __future__ import annotations

from typing import Any

import msgspec

from beltline.core.limits import LIMITS
from beltline.core.model import RetryPolicy
from beltline.core.problem import Place
from beltline.definition.finding import Report
from beltline.definition.shape import (
    check_keys,
    kind_of,
    read_duration_ms,
    read_integer,
    read_object,
)

_DEFAULT_KEYS = ("retry", "timeout")
_RETRY_KEYS = ("attempts", "first", "factor", "max")
_FACTOR_MOST = 100


class Policy(msgspec.Struct, frozen=True):
    """What holds for a step that says nothing itself."""

    retry: RetryPolicy = RetryPolicy()
    timeout_ms: int = 30_000


def read_defaults(report: Report, value: Any, place: Place) -> Policy:
    """The `defaults` of a process."""
    data = read_object(report, value, place, "defaults")
    if data is None:
        return Policy()
    check_keys(report, data, _DEFAULT_KEYS, place, "defaults")
    return read_policy(report, data, place, Policy())


def read_policy(report: Report, data: dict[str, Any], place: Place, base: Policy) -> Policy:
    """`retry` and `timeout` of `data`, each key of them over that of `base`."""
    retry, timeout_ms = base.retry, base.timeout_ms
    if "retry" in data:
        retry = _read_retry(report, data["retry"], (*place, "retry"), base.retry)
    if "timeout" in data:
        timeout_ms = (
            read_duration_ms(
                report,
                data["timeout"],
                (*place, "timeout"),
                "timeout",
                most_ms=LIMITS.timeout_ms,
                limit="timeout_ms",
            )
            or timeout_ms
        )
    return Policy(retry, timeout_ms)


def _read_retry(report: Report, value: Any, place: Place, base: RetryPolicy) -> RetryPolicy:
    if isinstance(value, int) and not isinstance(value, bool):
        report.error(place, "retry must be an object of keys", f"Write {{attempts: {value}}}.")
        return base
    data = read_object(report, value, place, "retry")
    if data is None:
        return base
    check_keys(report, data, _RETRY_KEYS, place, "retry")
    changes: dict[str, Any] = {}
    if "attempts" in data:
        changes["attempts"] = read_integer(
            report,
            data["attempts"],
            (*place, "attempts"),
            "attempts",
            least=1,
            most=LIMITS.retry_attempts,
            limit="retry_attempts",
        )
    for key in ("first", "max"):
        if key in data:
            changes[f"{key}_ms"] = read_duration_ms(
                report,
                data[key],
                (*place, key),
                key,
                most_ms=LIMITS.retry_wait_ms,
                limit="retry_wait_ms",
            )
    if "factor" in data:
        changes["factor"] = _read_factor(report, data["factor"], (*place, "factor"))
    known = {key: change for key, change in changes.items() if change is not None}
    policy: RetryPolicy = msgspec.structs.replace(base, **known)
    if policy.first_ms > policy.max_ms and {"first", "max"} & data.keys():
        at = "first" if "first" in data else "max"
        report.error(
            (*place, at),
            f"the first wait ({policy.first_ms:,} ms) is longer than the longest "
            f"({policy.max_ms:,} ms)",
        )
    return policy


def _read_factor(report: Report, value: Any, place: Place) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        report.error(place, f"factor must be a number, not {kind_of(value)}")
    elif not 1 <= value <= _FACTOR_MOST:
        report.error(place, f"factor must be from 1 to {_FACTOR_MOST}")
    else:
        return float(value)
    return None

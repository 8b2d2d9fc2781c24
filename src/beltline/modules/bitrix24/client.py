"""Calls of the Bitrix24 REST API (`sdk/bitrix24.py`), and what their refusals mean for a step.

What passes by itself is tried again; what stays ends the visit with the portal's own words.
Handlers are wrapped in `portal_handler`, so that they read as the plain sequence of their calls.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Annotated, Any, TypeVar

from beltline.sdk import Context, Reject, Retry, field
from beltline.sdk.bitrix24 import (
    DESCRIPTION_CHARACTERS,
    KIND,
    OPERATING_WAIT_S,
    PortalRefused,
    ask_portal,
    reset_in_s,
)

C = TypeVar("C")
R = TypeVar("R")

_PORTAL_FAULTS = frozenset(
    {"QUERY_LIMIT_EXCEEDED", "INTERNAL_SERVER_ERROR", "ERROR_UNEXPECTED_ANSWER", "OVERLOAD_LIMIT"}
)

# Ids are text in the portal's answers and numbers in what people write.
Id = Annotated[
    int | str,
    field("Id", "The id of an entry of the CRM.", examples=["{{ get-bitrix-deal.value }}"]),
]


class PortalFailed(Exception):
    """A call gave no result; `outcome` is what the step answers instead."""

    def __init__(self, outcome: Retry | Reject) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


def portal_handler(
    handler: Callable[[C, Context], Awaitable[R]],
) -> Callable[[C, Context], Awaitable[R | Retry | Reject]]:
    """A handler whose calls may fail: the failure's outcome becomes the answer."""

    @wraps(handler)
    async def answer(config: C, context: Context) -> R | Retry | Reject:
        try:
            return await handler(config, context)
        except PortalFailed as failed:
            return failed.outcome

    return answer


async def call(context: Context, method: str, params: Mapping[str, Any]) -> Any:
    """The `result` of one REST method. Raises `PortalFailed`."""
    answer = await call_whole(context, method, params)
    return answer.get("result")


async def call_whole(context: Context, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """The whole answer of one REST method: result, total, next, time. Raises `PortalFailed`."""
    if context.connection is None:
        raise rejected(f"the step needs `connection:`, the name of one of the kind {KIND}")
    try:
        return await ask_portal(context.http, context.connection, method, params)
    except PortalRefused as refused:
        if refused.permanent:
            raise rejected(refused.reason) from None
        raise PortalFailed(Retry(refused.reason, after_s=refused.after_s)) from None


def command_failed(method: str, error: Any, whole: Mapping[str, Any]) -> Retry | Reject:
    """What the error of one command in a batch means, sorted as that of a call by itself. A command
    has no status: that the portal itself failed stands in the code.
    """
    told = error if isinstance(error, Mapping) else {"error": error}
    code = str(told.get("error") or "")
    words = str(told.get("error_description", "")).strip()[:DESCRIPTION_CHARACTERS]
    said = " ".join(part for part in (code, words) if part) or "no reason was given"
    reason = f"{method}: {said} (in a batch)"
    if code == "OPERATION_TIME_LIMIT":
        return Retry(reason, after_s=reset_in_s(whole) or OPERATING_WAIT_S)
    if code in _PORTAL_FAULTS:
        return Retry(reason)
    return Reject(reason)


def failed_commands(errors: Mapping[str, str]) -> str:
    """Which commands of a batch failed, and why."""
    told = "; ".join(f"{name}: {why}" for name, why in errors.items())
    return f"batch: {len(errors)} of the commands failed: {told[:1_000]}"


def command_errors(part: Any) -> dict[str, str]:
    """The failures of a batch in words, by command."""
    return {name: _words(error) for name, error in by_command(part).items()}


def by_command(part: Any) -> dict[str, Any]:
    """A part of a batch's answer by command; PHP writes an empty one as a list."""
    if isinstance(part, Mapping):
        return dict(part)
    return {str(place): one for place, one in enumerate(part or [])}


def _words(error: Any) -> str:
    if not isinstance(error, Mapping):
        return str(error)
    words = (error.get("error"), error.get("error_description"))
    return " ".join(str(word) for word in words if word)


def entity_id(value: str | int, name: str) -> int:
    """An id as the number that the REST methods take. Raises `PortalFailed`."""
    text = str(value).strip()
    if not (text.isascii() and text.isdigit()) or int(text[:18]) == 0:
        raise rejected(f"`{name}` is {text[:40]!r}, and an id is a whole number above 0")
    return int(text)


def optional_id(value: str | int | None, name: str) -> dict[str, int]:
    """The field with the id, or no field where the value is empty. Raises `PortalFailed`."""
    if value is None or not str(value).strip():
        return {}
    return {name: entity_id(value, name)}


def rejected(reason: str) -> PortalFailed:
    """What ends the visit: a person has to change something."""
    return PortalFailed(Reject(reason))

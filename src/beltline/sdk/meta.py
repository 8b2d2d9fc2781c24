"""What people read about a field of a module's parameters or result."""

from __future__ import annotations

from typing import Any, Literal

import msgspec


def field(
    title: str,
    description: str,
    *,
    examples: list[Any] | None = None,
    secret: bool = False,
    constant: Literal["value", "keys"] | None = None,
    **bounds: Any,
) -> msgspec.Meta:
    """What people read about a field, and its bounds (`ge`, `le`, `min_length`, `pattern`, …).

    `constant` is for what must never come out of a request, such as a statement of SQL: the check
    of a process refuses expressions in the whole value, or in the names of an object's members.
    """
    extra: dict[str, Any] = {"secret": True} if secret else {}
    if constant is not None:
        extra["constant"] = constant
    return msgspec.Meta(
        title=title,
        description=description,
        examples=examples,
        extra_json_schema=extra or None,
        **bounds,
    )

"""Pages of fifty, as every list method has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bitrix24_portal.context import Answer
from bitrix24_portal.filters import Clause
from bitrix24_portal.storage import PAGE, Row, Storage

UNCOUNTED = -1  # as `start`: neither total nor next are worked out


def page(
    storage: Storage,
    table: str,
    where: Clause,
    order_by: str,
    start: object,
    show: Callable[[list[Row]], Any],
) -> Answer:
    """One page of a table; `start` is taken down to a multiple of fifty."""
    asked = start if isinstance(start, int) else 0
    if asked == UNCOUNTED:
        return Answer(show(storage.page(table, where, order_by, 0)))
    first = max(0, asked) // PAGE * PAGE
    total = storage.count(table, where)
    following = first + PAGE
    return Answer(
        show(storage.page(table, where, order_by, first)),
        total=total,
        next=following if following < total else None,
    )

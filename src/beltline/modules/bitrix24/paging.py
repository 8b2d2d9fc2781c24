"""Lists of the portal, page by page.

A page has 50 entries, and one call reads one page. A step reads ten at most, which is a fifth of
what the portal takes at once and fits well into the time of a step; a process goes on by `next`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from beltline.modules.bitrix24.client import call_whole, rejected
from beltline.sdk import Context, Output, field

PAGE = 50
MOST_PAGES = 10  # of one step
MORE = (
    "Where there is more than was read, `next` is the `start` of a step that goes on. What others"
    " add or remove meanwhile can move entries from page to page: one that was read already is"
    " left out."
)

Pages = Annotated[
    int,
    field("Pages", "How many pages of 50 entries to read at most.", ge=1, le=MOST_PAGES),
]
Start = Annotated[
    int,
    field(
        "Start",
        "How many entries to pass over, in fifties: the `next` of a step before.",
        examples=["{{ list-deals.next }}"],
        ge=0,
    ),
]


class Listed(Output):
    """What was found."""

    items: Annotated[
        list[dict[str, Any]], field("Entries", "The entries, as the portal gives them.")
    ]
    total: Annotated[
        int | None,
        field("Total", "How many there are in all, as the portal counts them."),
    ]
    next: Annotated[int | None, field("Next", "Where to go on; null where all was read.")]


async def read_pages(
    context: Context, method: str, params: Mapping[str, Any], start: int, pages: int
) -> Listed:
    """Reads up to `pages` pages from `start` on. Raises `PortalFailed`."""
    if start % PAGE:
        raise rejected(f"`start` is {start}, and pages begin at each {PAGE}: 0, 50, 100")
    found: dict[str, dict[str, Any]] = {}
    total: int | None = None
    going_on: int | None = start
    for _ in range(pages):
        answer = await call_whole(context, method, {**params, "start": going_on})
        for entry in entries_of(method, answer["result"]):
            found.setdefault(str(entry.get("ID", entry.get("id", len(found)))), entry)
        total, going_on = answer.get("total"), answer.get("next")
        if going_on is None:
            break
    return Listed(items=list(found.values()), total=total, next=going_on)


def entries_of(method: str, result: Any) -> list[dict[str, Any]]:
    """The entries of one page: `crm.item.list` puts them into `items`. Raises `PortalFailed`."""
    entries = result.get("items") if isinstance(result, dict) else result
    if not isinstance(entries, list):
        raise rejected(f"{method}: the answer holds no list")
    return [dict(entry) for entry in entries]

"""Start a run of another process for each item of a list. The engine itself runs this step.

The file only declares the step: each child becomes durable in the commit of the decision to start
it, and its end comes to the parent's inbox in the commit that ends it.
"""

from __future__ import annotations

from typing import Annotated, Any

from beltline.sdk import Config, Example, Module, Output, field


class ForEachConfig(Config):
    """Which process, and for which items."""

    process: Annotated[
        str, field("Process", "The name of the process.", examples=["order-line"], min_length=1)
    ]
    items: Annotated[
        list[Any],
        field("Items", "The list: a run for each of it.", examples=["{{ request.lines }}"]),
    ]
    request: Annotated[
        Any,
        field(
            "Request",
            "What each child has as its `request`; without it that is the item. The item is its"
            " `item` in any case.",
            examples=[{"order": "{{ request.id }}"}],
        ),
    ] = None
    concurrency: Annotated[
        int, field("At once", "How many runs may be under way at once.", ge=1, le=100)
    ] = 10


class ForEachOutput(Output):
    """What the items have come to."""

    results: Annotated[
        list[Any], field("Results", "The result of each item's run, in the order of the items.")
    ]


module = Module(
    name="for-each",
    version=1,
    summary="Start a run of another process for each item of a list, and wait for all results.",
    description=(
        "Each run goes through the newest version of the process. One that stops leaves this run"
        " waiting, which says so. Where one is cancelled or cannot be started no further item"
        " begins, and the step fails once those under way have ended; a retry goes on with the"
        " items that are not done. A run that ends cancels those that it waits for."
    ),
    category="flow",
    icon="repeat",
    effect="pure",
    config=ForEachConfig,
    output=ForEachOutput,
    handler=None,
    examples=(
        Example(
            "Lines of an order",
            {"process": "order-line", "items": [{"product": "A-7"}, {"product": "B-2"}]},
        ),
        Example(
            "One after the other",
            {
                "process": "letter",
                "items": [{"to": "Anna"}, {"to": "Boris"}],
                "request": {"text": "{{ request.text }}"},
                "concurrency": 1,
            },
        ),
    ),
)

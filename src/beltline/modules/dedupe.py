"""Tell whether a key was seen before within a window.

Who comes first puts a mark under the key, and whoever comes while it stands is told whose it is.
One of many that come at once is the first, over all runs and nodes. The window begins with the
first and is not prolonged by what comes within it.
"""

from __future__ import annotations

from typing import Annotated

from beltline.sdk import (
    Config,
    Context,
    Duration,
    Example,
    Module,
    Output,
    Reject,
    duration_s,
    field,
)

# Apart from what people remember: a mark is no value of theirs.
_SPACE = "dedupe: "


class DedupeConfig(Config):
    """What is looked for, and for how long."""

    key: Annotated[
        str | int,
        field(
            "Key",
            "What tells a thing from the others.",
            examples=["{{ request.phone }}"],
        ),
    ]
    window: Annotated[
        Duration,
        field(
            "Window",
            "How long a key counts as seen, from the first time on.",
            examples=["24h"],
        ),
    ]
    space: Annotated[
        str,
        field(
            "Space",
            "Keys of one space do not meet those of another. All processes share the spaces.",
            examples=["leads"],
            min_length=1,
            max_length=180,
        ),
    ] = "default"


class DedupeOutput(Output):
    """Whether it is the first."""

    duplicate: Annotated[bool, field("Duplicate", "Whether the key was seen before.")]
    first_run: Annotated[
        str, field("First run", "The run that came first; this one where it is no duplicate.")
    ]


async def dedupe(config: DedupeConfig, context: Context) -> DedupeOutput | Reject:
    """Puts the mark, or finds that of another visit."""
    key = str(config.key).strip()
    if not key or len(key) > 200:
        return Reject(f"`key` must have 1 to 200 characters, and has {len(key)}")
    ttl_s = duration_s(config.window)
    if ttl_s <= 0:
        return Reject("the window is 0: nothing would ever be seen before")
    own = {"run": context.run, "visit": context.key}
    first = await context.memory.put_if_absent(f"{_SPACE}{config.space}", key, own, ttl_s=ttl_s)
    return DedupeOutput(duplicate=first != own, first_run=first["run"])


module = Module(
    name="dedupe",
    version=1,
    summary="Tell whether a key was seen before within a window.",
    description=(
        "A condition on `duplicate` decides what becomes of the run. To refuse repeated requests"
        " before they start a run, give their source an `identity` instead; to gather many into"
        " one run, give it a `release` with `collect`."
    ),
    category="flow",
    icon="copy-check",
    effect="idempotent",
    on_repeat="The mark carries the key of the visit: what was the first stays the first.",
    config=DedupeConfig,
    output=DedupeOutput,
    handler=dedupe,
    examples=(
        Example(
            "The first call of a phone number in a day",
            {"key": "79161234567", "window": "24h", "space": "leads"},
            {"duplicate": False, "first_run": "run-1"},
        ),
    ),
)

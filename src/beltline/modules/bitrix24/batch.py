"""Up to fifty methods in one call: one hit for the portal's limit instead of fifty.

A command may use what one before it gave: a value that is `$result[NAME][…]` and nothing else. The
portal looks for such references in all texts, so one inside a text is refused: in what a stranger
wrote it would show the results of this step.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from beltline.modules.bitrix24.client import (
    by_command,
    call_whole,
    command_errors,
    command_failed,
    failed_commands,
    portal_handler,
    rejected,
)
from beltline.modules.bitrix24.single import MOST, Asked, command
from beltline.sdk import Config, Context, Example, Module, Output, Reject, Retry, field
from beltline.sdk.bitrix24 import KIND, METHOD

_REFERENCE = re.compile(r"\$result(\[[A-Za-z0-9_-]+\])+")


class Command(msgspec.Struct, forbid_unknown_fields=True):
    """One method and what it is given."""

    method: Annotated[
        str,
        field(
            "Method",
            "The name of the REST method.",
            examples=["crm.deal.get"],
            pattern=METHOD,
            max_length=100,
        ),
    ]
    params: Annotated[
        Mapping[str, Any],
        field(
            "Parameters",
            "The parameters, as the portal's documentation names them. A value may be"
            " `$result[NAME][…]`: what the command NAME before it gave.",
            examples=[{"id": "$result[deal][CONTACT_ID]"}],
        ),
    ] = {}


class BatchConfig(Config):
    """The commands."""

    commands: Annotated[
        dict[str, Command],
        field(
            "Commands",
            "The commands by names of your own; they are carried out in their order.",
            min_length=1,
            max_length=MOST,
        ),
    ]
    halt: Annotated[
        bool,
        field("Halt", "Whether the first command that fails keeps those after it from running."),
    ] = True
    tolerate: Annotated[
        bool,
        field(
            "Tolerate failures",
            "Whether failed commands are told in `errors`; else they end the visit.",
        ),
    ] = False


class BatchOutput(Output):
    """What the commands gave, by their names."""

    results: Annotated[dict[str, Any], field("Results", "What each command gave.")]
    errors: Annotated[dict[str, str], field("Errors", "Why commands failed, in words.")]
    totals: Annotated[
        dict[str, int], field("Totals", "Of lists, how many entries there are, where it is told.")
    ]


@portal_handler
async def batch(config: BatchConfig, context: Context) -> BatchOutput | Retry | Reject:
    """Calls the commands, and tells which of them failed."""
    for name, one in config.commands.items():
        if one.method.lower() == "batch":
            raise rejected(f"the command {name!r} is a batch itself, which the portal refuses")
        _check(name, one.params)
    texts = {name: command(Asked(one.method, one.params)) for name, one in config.commands.items()}
    answer = await call_whole(context, "batch", {"halt": int(config.halt), "cmd": texts})
    parts = answer["result"]
    results, failed = by_command(parts.get("result")), by_command(parts.get("result_error"))
    errors = command_errors(failed)
    if errors and not config.tolerate:
        meant = [
            command_failed(config.commands[name].method, error, answer)
            for name, error in failed.items()
        ]
        waits = [one.after_s or 0 for one in meant if isinstance(one, Retry)]
        # Where nothing has had an effect, and what stands in the way passes, all is tried again.
        if not results and len(waits) == len(meant):
            return Retry(failed_commands(errors), after_s=max(waits) or None)
        return Reject(failed_commands(errors))
    totals = by_command(parts.get("result_total"))
    return BatchOutput(results=results, errors=errors, totals=totals)


def _check(name: str, value: Any) -> None:
    """Refuses what would reach another command's result, or another place than its own."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if "[" in str(key) or "]" in str(key):
                raise rejected(f"the command {name!r} has the name {key[:60]!r}, with a bracket")
            _check(name, inner)
    elif isinstance(value, list):
        for inner in value:
            _check(name, inner)
    elif isinstance(value, str) and "$result" in value and _REFERENCE.fullmatch(value) is None:
        raise rejected(
            f"the command {name!r} has a text with `$result` in it, which the portal would"
            " replace: only a whole value can refer to another command"
        )


module = Module(
    name="bitrix24.batch",
    version=1,
    summary="Call up to fifty methods at once.",
    description=(
        "The portal counts it as one call. Where a command fails, the visit ends with its words;"
        " the commands before it have had their effect. When limits of the portal kept every"
        " command from running, the step is tried again."
    ),
    category="crm",
    icon="layers",
    effect="at-least-once",
    on_repeat="It calls all commands again; what this does is the methods' own.",
    connection=KIND,
    config=BatchConfig,
    output=BatchOutput,
    handler=batch,
    examples=(
        Example(
            "A deal and its contact",
            {
                "commands": {
                    "deal": {"method": "crm.deal.get", "params": {"id": 410}},
                    "contact": {
                        "method": "crm.contact.get",
                        "params": {"id": "$result[deal][CONTACT_ID]"},
                    },
                }
            },
        ),
    ),
)

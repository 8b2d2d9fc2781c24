"""Call any method of the Bitrix24 REST API: for what has no module of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from beltline.modules.bitrix24.client import command_errors, failed_commands
from beltline.modules.bitrix24.single import MOST, Asked, SingleMethod
from beltline.sdk import Config, Context, Example, Module, Output, Reject, field
from beltline.sdk.bitrix24 import KIND, METHOD


class CallConfig(Config):
    """The method and what it is given."""

    method: Annotated[
        str,
        field(
            "Method",
            "The name of the REST method.",
            examples=["im.notify", "crm.item.list"],
            pattern=METHOD,
            max_length=100,
        ),
    ]
    params: Annotated[
        Mapping[str, Any],
        field(
            "Parameters",
            "The parameters, as the portal's documentation names them.",
            examples=[{"USER_ID": 1, "MESSAGE": "A new lead."}],
        ),
    ] = {}


class CallOutput(Output):
    """The answer."""

    result: Annotated[Any, field("Result", "What the method gave.")]
    total: Annotated[
        int | None, field("Total", "The number of entries of a list, where the portal counts them.")
    ] = None
    next: Annotated[
        int | None, field("Next", "The `start` of the next page of a list, where there is one.")
    ] = None


def _ask(config: CallConfig, context: Context) -> Asked:
    return Asked(config.method, config.params)


def _read(config: CallConfig, answer: Mapping[str, Any]) -> CallOutput | Reject:
    """The method's result; a batch with a failed command is refused, with the command's name."""
    result = answer["result"]
    if config.method == "batch" and isinstance(result, dict) and result.get("result_error"):
        return Reject(failed_commands(command_errors(result["result_error"])))
    return CallOutput(result=result, total=answer.get("total"), next=answer.get("next"))


CALL: SingleMethod[CallConfig, CallOutput] = SingleMethod(_ask, _read)
call_method = CALL.handler


module = Module(
    name="bitrix24.call",
    version=1,
    summary="Call any method of the REST API.",
    description=(
        "Whether a repeated attempt has a second effect depends on the method. A `batch` in which"
        " a command fails ends the visit; the commands before it have had their effect."
    ),
    category="crm",
    icon="terminal",
    effect="at-least-once",
    on_repeat="It calls the method again; what this does is the method's own.",
    connection=KIND,
    config=CallConfig,
    output=CallOutput,
    handler=call_method,
    batch=CALL.batch,
    batch_most=MOST,
    examples=(
        Example(
            "Notify a person",
            {"method": "im.notify", "params": {"USER_ID": 1, "MESSAGE": "A new lead."}},
        ),
        Example(
            "The newest leads",
            {
                "method": "crm.item.list",
                "params": {"entityTypeId": 1, "order": {"id": "DESC"}, "select": ["id", "title"]},
            },
        ),
    ),
)

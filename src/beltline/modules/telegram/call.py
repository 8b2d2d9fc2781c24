"""Call any method of the Telegram Bot API: for what has no module of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from beltline.sdk import Config, Context, Example, Module, Output, Reject, Retry, field
from beltline.sdk.telegram import KIND, METHOD, TelegramRefused, ask_telegram, json_body

# They decide where the bot's updates go, which is a source's to say.
_OF_SOURCES = frozenset(("getupdates", "setwebhook", "deletewebhook", "logout", "close"))


class CallConfig(Config):
    """The method and what it is given."""

    method: Annotated[
        str,
        field(
            "Method",
            "The name of the method.",
            examples=["answerCallbackQuery", "editMessageText"],
            pattern=METHOD,
        ),
    ]
    params: Annotated[
        Mapping[str, Any],
        field(
            "Parameters",
            "The parameters, as the documentation of the Bot API names them.",
            examples=[{"callback_query_id": "{{ request.callback_query.id }}"}],
        ),
    ] = {}

    def __post_init__(self) -> None:
        if self.method.lower() in _OF_SOURCES:
            raise ValueError(f"`method` is {self.method}: updates are a matter of sources")


class CallOutput(Output):
    """The answer."""

    result: Annotated[Any, field("Result", "What the method gave.")]


async def call_method(config: CallConfig, context: Context) -> CallOutput | Retry | Reject:
    """The method's result."""
    if context.connection is None:
        return Reject(f"the step needs `connection:`, the name of one of the kind {KIND}")
    try:
        body = json_body(config.params)
        result = await ask_telegram(context.http, context.connection, config.method, body)
    except TelegramRefused as refused:
        if refused.permanent:
            return Reject(refused.reason)
        return Retry(refused.reason, after_s=refused.after_s)
    return CallOutput(result=result)


module = Module(
    name="telegram.call",
    version=1,
    summary="Call any method of the Telegram Bot API.",
    description=(
        "For what `telegram.send` does not do: to answer the press of a button, to edit or delete"
        " a message, to ask for a member. Parameters go as JSON, so that files cannot be sent."
        " Errors are told apart as by `telegram.send`."
    ),
    on_repeat="It calls the method again; what this does is the method's own.",
    category="channel",
    icon="terminal",
    effect="at-least-once",
    connection=KIND,
    config=CallConfig,
    output=CallOutput,
    handler=call_method,
    examples=(
        Example(
            "Answer the press of a button",
            {
                "method": "answerCallbackQuery",
                "params": {"callback_query_id": "4382bfdwdsb323b2d9", "text": "It is yours."},
            },
        ),
        Example(
            "Change a message",
            {
                "method": "editMessageText",
                "params": {"chat_id": -1001234567890, "message_id": 17, "text": "Taken by Anna."},
            },
        ),
    ),
)

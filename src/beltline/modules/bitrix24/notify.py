"""Notify a person in the portal, once however often the attempt is repeated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from beltline.modules.bitrix24.client import Id, entity_id
from beltline.modules.bitrix24.single import MOST, Asked, SingleMethod
from beltline.sdk import Config, Context, Example, Module, Output, Reject, field
from beltline.sdk.bitrix24 import KIND

_CLIENT = "beltline"  # tags are told apart by it, and webhooks have to name one


class NotifyConfig(Config):
    """Whom to tell what."""

    user: Annotated[Id, field("Person", "The id of the person in the portal.", examples=[1])]
    message: Annotated[
        str,
        field(
            "Message",
            "The text; BB codes format it.",
            examples=["A new lead: [b]{{ request.name }}[/b]"],
            min_length=1,
            max_length=20_000,
        ),
    ]
    message_out: Annotated[
        str, field("Message outside", "The text for mail and the like; without it the message.")
    ] = ""
    from_system: Annotated[
        bool,
        field(
            "From the system", "Whether it comes from the portal, or else from the webhook's owner."
        ),
    ] = True


class NotifyOutput(Output):
    """The notification."""

    ID: Annotated[str, field("ID", "The id of the notification.")]


def _ask(config: NotifyConfig, context: Context) -> Asked:
    """Under the key of the visit: an earlier notification of the same tag gives way."""
    asked = {
        "USER_ID": entity_id(config.user, "user"),
        "MESSAGE": config.message,
        "TAG": context.key,
        "CLIENT_ID": _CLIENT,
    }
    if config.message_out:
        asked["MESSAGE_OUT"] = config.message_out
    return Asked(f"im.notify.{'system' if config.from_system else 'personal'}.add", asked)


def _read(config: NotifyConfig, answer: Mapping[str, Any]) -> NotifyOutput | Reject:
    if not answer["result"]:
        return Reject(f"the portal made no notification for the person {config.user}")
    return NotifyOutput(ID=str(answer["result"]))


METHOD: SingleMethod[NotifyConfig, NotifyOutput] = SingleMethod(_ask, _read)
module = Module(
    name="bitrix24.notify",
    version=1,
    summary="Notify a person in the portal.",
    description="The webhook needs the right `im`.",
    category="crm",
    icon="bell",
    effect="idempotent",
    on_repeat=(
        "The notification bears the key of the visit as its tag: the portal removes the first one"
        " when it is repeated."
    ),
    connection=KIND,
    config=NotifyConfig,
    output=NotifyOutput,
    handler=METHOD.handler,
    batch=METHOD.batch,
    batch_most=MOST,
    examples=(
        Example("From the system", {"user": 1, "message": "A new lead: [b]Anna[/b]"}),
        Example(
            "From a person", {"user": "1", "message": "Please call back.", "from_system": False}
        ),
    ),
)

"""Add a comment to the timeline of a deal, lead, contact or company."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from beltline.modules.bitrix24.client import Id, entity_id
from beltline.modules.bitrix24.entities import OWNED
from beltline.modules.bitrix24.single import MOST, Asked, SingleMethod
from beltline.sdk import Config, Context, Example, Module, Output, field
from beltline.sdk.bitrix24 import KIND


class AddCommentConfig(Config):
    """What to say, and where."""

    id: Annotated[
        Id,
        field("Entry", "The id of the entry.", examples=["{{ get-bitrix-deal.value }}"]),
    ]
    comment: Annotated[
        str,
        field(
            "Comment", "The text.", examples=["A new call from {{ request.phone }}"], min_length=1
        ),
    ]
    entity: Annotated[OWNED, field("Kind of entry", "What the id belongs to.")] = "deal"


class AddCommentOutput(Output):
    """The comment."""

    ID: Annotated[str, field("ID", "The id of the comment.")]


def _ask(config: AddCommentConfig, context: Context) -> Asked:
    """The portal cannot tell a repeated comment from a new one."""
    fields = {
        "ENTITY_ID": entity_id(config.id, "id"),
        "ENTITY_TYPE": config.entity,
        "COMMENT": config.comment,
    }
    return Asked("crm.timeline.comment.add", {"fields": fields})


def _read(config: AddCommentConfig, answer: Mapping[str, Any]) -> AddCommentOutput:
    return AddCommentOutput(ID=str(answer.get("result")))


METHOD: SingleMethod[AddCommentConfig, AddCommentOutput] = SingleMethod(_ask, _read)
add_comment = METHOD.handler
module = Module(
    name="bitrix24.add-comment",
    version=1,
    summary="Add a comment to a deal, lead, contact or company.",
    description="After a lost answer a repeated attempt may add the comment a second time.",
    category="crm",
    icon="message-square",
    effect="at-least-once",
    on_repeat="The portal cannot tell a repeated comment from a new one: it adds it again.",
    connection=KIND,
    config=AddCommentConfig,
    output=AddCommentOutput,
    handler=add_comment,
    batch=METHOD.batch,
    batch_most=MOST,
    examples=(
        Example("On a deal", {"id": "410", "comment": "A new call from the site."}),
        Example("On a contact", {"id": 84, "entity": "contact", "comment": "Asked to call back."}),
    ),
)

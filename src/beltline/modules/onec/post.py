"""Post a document of 1C, or undo its posting."""

from __future__ import annotations

from typing import Annotated, Literal

from beltline.modules.onec.client import KIND, call, onec_handler
from beltline.modules.onec.values import guid
from beltline.sdk import Config, Context, Example, Module, Output, field


class PostConfig(Config):
    """Which document, and how."""

    entity: Annotated[
        str,
        field(
            "Document",
            "The kind of document, as 1C names it. It takes no expressions.",
            examples=["Document_ЗаказПокупателя"],
            pattern=r"^Document_\w+$",
            max_length=200,
            constant="value",
        ),
    ]
    id: Annotated[str, field("Reference", "The document's GUID.", examples=["{{ order.Ref_Key }}"])]
    action: Annotated[
        Literal["post", "unpost"], field("Action", "Whether to post it, or to undo its posting.")
    ] = "post"
    operational: Annotated[
        bool, field("Operational", "Whether it is posted in operational mode, as of now.")
    ] = False


class PostOutput(Output):
    """The document."""

    Ref_Key: Annotated[str, field("Reference", "The document's GUID.")]
    posted: Annotated[bool, field("Posted", "Whether it is posted now.")]


@onec_handler
async def post(config: PostConfig, context: Context) -> PostOutput:
    """Posts the document; 1C posts a posted one anew, with the same outcome."""
    reference = guid(config.id, "id")
    is_posting = config.action == "post"
    path = f"{config.entity}(guid'{reference}')/{'Post' if is_posting else 'Unpost'}"
    mode = "true" if config.operational else "false"
    query = [("PostingModeOperational", mode)] if is_posting else []
    await call(context, "POST", path, query=query)
    return PostOutput(Ref_Key=reference, posted=is_posting)


module = Module(
    name="onec.post",
    version=1,
    summary="Post a document, or undo its posting.",
    description=(
        "A document that 1C cannot post, since its stock does not suffice for example, is tried"
        " again by the step's policy; then the step fails with 1C's own words."
    ),
    category="crm",
    icon="stamp",
    effect="idempotent",
    on_repeat="1C posts the document anew, with the same outcome.",
    connection=KIND,
    config=PostConfig,
    output=PostOutput,
    handler=post,
    examples=(
        Example(
            "An order",
            {
                "entity": "Document_ЗаказПокупателя",
                "id": "0a4d5a3e-8f3c-11ee-9d2a-00155d012a01",
            },
        ),
    ),
)

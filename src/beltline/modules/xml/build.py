"""Write a value as XML, as a text or a file."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from beltline.modules.content import ContentOutput, FileName, Unreadable, giving
from beltline.sdk import Bounds, Config, Context, Example, Module, Reject, field
from beltline.sdk.xml_mapping import BadXml, write_xml


class XmlBuildConfig(Config):
    """What to write."""

    value: Annotated[
        dict[str, Any],
        field(
            "Value",
            "An object with one member, the outermost element, in the form that `xml.parse` gives.",
            examples=[{"order": {"@id": "7", "item": ["A-1", "B-2"]}}],
        ),
    ]
    name: FileName = None


async def build(config: XmlBuildConfig, context: Context) -> ContentOutput | Reject:
    """Writes the document."""
    return await giving(
        config.name, context, "application/xml", partial(_text, config, context.bounds)
    )


def _text(config: XmlBuildConfig, bounds: Bounds) -> str:
    try:
        return write_xml(config.value, depth=bounds.request_depth)
    except BadXml as wrong:
        raise Unreadable(str(wrong)) from wrong


module = Module(
    name="xml.build",
    version=1,
    summary="Write a value as XML, as a text or a file.",
    description=(
        "The form is that of `xml.parse`: what it reads is written again with the same data."
        " Members stand in their order, numbers and truth values become texts, null an empty"
        " element, an empty list nothing. Names and characters that XML cannot hold are refused."
    ),
    category="data",
    icon="code",
    effect="idempotent",
    on_repeat="It makes the same content again, which is kept once.",
    config=XmlBuildConfig,
    output=ContentOutput,
    handler=build,
    examples=(
        Example(
            "An order",
            {"value": {"order": {"@id": 7, "item": ["A&1", None], "note": {"#text": "x"}}}},
            {
                "text": '<?xml version="1.0" encoding="UTF-8"?><order id="7"><item>A&amp;1</item>'
                "<item/><note>x</note></order>",
                "file": None,
            },
        ),
    ),
)

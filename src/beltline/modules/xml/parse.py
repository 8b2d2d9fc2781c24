"""Read XML from a text or a file."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import msgspec

from beltline.modules.content import TextConfig, Unreadable, reading
from beltline.sdk import Bounds, Context, Example, Module, Output, Reject, field
from beltline.sdk.xml_mapping import BadXml, read_xml


class XmlOutput(Output):
    """What was read."""

    value: Annotated[dict[str, Any], field("Value", "An object by the outermost element.")]


async def parse(config: TextConfig, context: Context) -> XmlOutput | Reject:
    """Reads the document."""
    return await reading(config, context, partial(_value, context.bounds))


def _value(bounds: Bounds, text: str) -> XmlOutput:
    # The text is decoded already: what its declaration says of an encoding does not count.
    body = _undeclared(text).encode("utf-8", "surrogatepass")
    try:
        value = read_xml(body, depth=bounds.request_depth, nodes=bounds.xml_nodes)
    except BadXml as wrong:
        raise Unreadable(str(wrong)) from wrong
    size = len(msgspec.json.encode(value))
    if size > bounds.result_bytes:
        raise Unreadable(
            f"the value takes {size:,} bytes, and a result may take {bounds.result_bytes:,} (limit"
            " result_bytes)"
        )
    return XmlOutput(value=value)


def _undeclared(text: str) -> str:
    start = text.lstrip()
    if not start.startswith("<?xml"):
        return text
    declaration, end, rest = start.partition("?>")
    # Blanks instead, so that a place in the text is told where it is.
    return " " * len(declaration + end) + rest if end else text


module = Module(
    name="xml.parse",
    version=1,
    summary="Read XML from a text or a file.",
    description=(
        "An element without attributes and children is its text; any other is an object with its"
        ' children by name, attributes as "@name", and its text, if any, as "#text". A name that'
        " stands several times is a list. Names keep their prefix. A document type (DTD) and"
        " entities of its own are refused."
    ),
    category="data",
    icon="code",
    effect="idempotent",
    on_repeat="It reads the same content again.",
    config=TextConfig,
    output=XmlOutput,
    handler=parse,
    examples=(
        Example(
            "An order",
            {"text": '<order id="7"><item>A-1</item><item>B-2</item></order>'},
            {"value": {"order": {"@id": "7", "item": ["A-1", "B-2"]}}},
        ),
        Example(
            "A file in another encoding",
            {"file": {"blob": "sha256:" + "0" * 64}, "encoding": "windows-1251"},
        ),
    ),
)

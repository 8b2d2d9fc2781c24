"""XML as JSON, by a mapping that can be told in a few lines and loses no data but order.

    an element without attributes and children   its text
    any other element                            an object: children by name, attributes as
                                                 "@name", its own text, if any, as "#text"
    a name that stands several times             a list, in order
    the document                                 an object with one key: the outermost element
    comments, processing instructions            nothing

Texts are texts, always, without the white space around them. Names stand as they are written, with
their prefix (`soap:Body`, `@xmlns:soap`). There is no DTD, and so no entity but the five of XML.
"""

from __future__ import annotations

import re
from typing import Any
from xml.sax import SAXParseException
from xml.sax.handler import ContentHandler
from xml.sax.xmlreader import AttributesImpl

import orjson
from defusedxml import DefusedXmlException
from defusedxml.expatreader import DefusedExpatParser

from beltline.core.limits import LIMITS
from beltline.sources.refusal import RequestRefused

_DECLARED = re.compile(rb"""\s*<\?xml\s[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_BOM = b"\xef\xbb\xbf"


def read_xml(body: bytes, *, depth: int, limit: str = "request_depth") -> tuple[Any, bytes]:
    """The document as a JSON value, and its compact bytes. Raises `RequestRefused`: 400, and 415
    for another encoding than UTF-8.
    """
    _check_encoding(body)
    mapping = _Mapping(depth, limit)
    parser = DefusedExpatParser(forbid_dtd=True)
    parser.setContentHandler(mapping)
    try:
        parser.feed(body)
        parser.close()
    except DefusedXmlException as forbidden:
        raise _refused(
            "The XML has a document type (DTD) or entities, which are not read here. Send it"
            " without."
        ) from forbidden
    except SAXParseException as wrong:
        where = f"line {wrong.getLineNumber()} column {(wrong.getColumnNumber() or 0) + 1}"
        raise _refused(f"The body is not XML: {wrong.getMessage()}.", where) from wrong
    return mapping.value, orjson.dumps(mapping.value)


def _check_encoding(body: bytes) -> None:
    if not body.strip():
        raise _refused("The body is empty. Send an XML document.")
    declared = _DECLARED.match(body.removeprefix(_BOM))
    if declared is not None and declared[1].lower() not in (b"utf-8", b"utf8", b"us-ascii"):
        raise RequestRefused(
            415,
            "unsupported-content",
            f"The XML is declared as {declared[1].decode()}. Send UTF-8.",
        )
    try:
        body.decode()
    except UnicodeDecodeError as wrong:
        raise _refused(
            "The body is not UTF-8. Send the XML as UTF-8.", f"byte {wrong.start}"
        ) from wrong
    # Without it, expat would take a text of NULs and letters for UTF-16.
    if b"\x00" in body:
        raise _refused("The body holds a NUL, which XML cannot. Send the XML as UTF-8.")


class _Mapping(ContentHandler):
    """Builds the value while the parser reads; stops it at a bound."""

    def __init__(self, depth: int, limit: str) -> None:
        super().__init__()
        self._depth = depth
        self._limit = limit
        self._nodes = 0
        self._open: list[tuple[dict[str, Any], list[str]]] = [({}, [])]

    @property
    def value(self) -> dict[str, Any]:
        """The whole document."""
        return self._open[0][0]

    def startElement(self, name: str, attrs: AttributesImpl) -> None:  # noqa: ARG002, N802 - SAX
        """An element begins."""
        self._nodes += 1 + len(attrs)
        if self._nodes > LIMITS.xml_nodes:
            raise _refused(
                f"The XML has more than {LIMITS.xml_nodes:,} elements and attributes"
                " (limit xml_nodes). Send less at a time."
            )
        if len(self._open) > self._depth:
            raise _refused(
                f"Elements stand more than {self._depth} deep inside each other, which is more"
                f" than {self._limit} allows. Send a flatter document."
            )
        self._open.append(({f"@{key}": text for key, text in attrs.items()}, []))

    def characters(self, content: str) -> None:
        """A piece of text."""
        self._open[-1][1].append(content)

    def endElement(self, name: str) -> None:  # noqa: N802 - SAX
        """An element ends: it becomes a value of the one around it."""
        members, texts = self._open.pop()
        text = "".join(texts).strip()
        value: Any = members
        if not members:
            value = text
        elif text:
            members["#text"] = text
        around = self._open[-1][0]
        if name not in around:
            around[name] = value
        elif isinstance(around[name], list):
            around[name].append(value)
        else:
            around[name] = [around[name], value]


def _refused(detail: str, where: str = "") -> RequestRefused:
    return RequestRefused(400, "unreadable-body", detail, where)

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
from collections.abc import Iterator
from typing import Any
from xml.sax import SAXParseException
from xml.sax.handler import ContentHandler
from xml.sax.saxutils import escape, quoteattr
from xml.sax.xmlreader import AttributesImpl

from defusedxml import DefusedXmlException
from defusedxml.expatreader import DefusedExpatParser

_DECLARED = re.compile(rb"""\s*<\?xml\s[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_BOM = b"\xef\xbb\xbf"
# Letters of all scripts as Python knows them are a part of what XML allows, and enough.
_NAME = re.compile(r"[^\W\d][\w.-]*(:[^\W\d][\w.-]*)?\Z")
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


class BadXml(Exception):
    """The text is not XML that is read here, or the value is none that XML can hold. `where` tells
    the place; `is_foreign` holds where it is another encoding than UTF-8.
    """

    def __init__(self, detail: str, where: str = "", *, is_foreign: bool = False) -> None:
        super().__init__(f"{detail} ({where})" if where else detail)
        self.detail = detail
        self.where = where
        self.is_foreign = is_foreign


def read_xml(body: bytes, *, depth: int, nodes: int, limit: str = "request_depth") -> Any:
    """The document as a JSON value. `nodes` bounds its elements and attributes. Raises `BadXml`."""
    _check_encoding(body)
    mapping = _Mapping(depth, limit, nodes)
    parser = DefusedExpatParser(forbid_dtd=True)
    parser.setContentHandler(mapping)
    try:
        parser.feed(body)
        parser.close()
    except DefusedXmlException as forbidden:
        raise BadXml(
            "The XML has a document type (DTD) or entities, which are not read here. Send it"
            " without."
        ) from forbidden
    except SAXParseException as wrong:
        where = f"line {wrong.getLineNumber()} column {(wrong.getColumnNumber() or 0) + 1}"
        raise BadXml(f"The body is not XML: {wrong.getMessage()}.", where) from wrong
    return mapping.value


def _check_encoding(body: bytes) -> None:
    if not body.strip():
        raise BadXml("The body is empty. Send an XML document.")
    declared = _DECLARED.match(body.removeprefix(_BOM))
    if declared is not None and declared[1].lower() not in (b"utf-8", b"utf8", b"us-ascii"):
        raise BadXml(f"The XML is declared as {declared[1].decode()}. Send UTF-8.", is_foreign=True)
    try:
        body.decode()
    except UnicodeDecodeError as wrong:
        raise BadXml(
            "The body is not UTF-8. Send the XML as UTF-8.", f"byte {wrong.start}"
        ) from wrong
    # Without it, expat would take a text of NULs and letters for UTF-16.
    if b"\x00" in body:
        raise BadXml("The body holds a NUL, which XML cannot. Send the XML as UTF-8.")


class _Mapping(ContentHandler):
    """Builds the value while the parser reads; stops it at a bound."""

    def __init__(self, depth: int, limit: str, most: int) -> None:
        super().__init__()
        self._depth = depth
        self._limit = limit
        self._most = most
        self._nodes = 0
        self._open: list[tuple[dict[str, Any], list[str]]] = [({}, [])]

    @property
    def value(self) -> dict[str, Any]:
        """The whole document."""
        return self._open[0][0]

    def startElement(self, name: str, attrs: AttributesImpl) -> None:  # noqa: ARG002, N802 - SAX
        """An element begins."""
        self._nodes += 1 + len(attrs)
        if self._nodes > self._most:
            raise BadXml(
                f"The XML has more than {self._most:,} elements and attributes"
                " (limit xml_nodes). Send less at a time."
            )
        if len(self._open) > self._depth:
            raise BadXml(
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


def write_xml(value: Any, *, depth: int) -> str:
    """The document of a value in the mapping, on one line. Numbers and truth values become texts,
    null and "" an empty element, [] nothing. Raises `BadXml`.
    """
    if not isinstance(value, dict) or len(value) != 1:
        raise BadXml("the value must be an object with one member: the outermost element")
    ((name, inner),) = value.items()
    if isinstance(inner, list):
        raise BadXml("the outermost element can stand only once, and must be no list", name)
    return "".join(('<?xml version="1.0" encoding="UTF-8"?>', *_element(name, inner, name, depth)))


def _element(name: str, value: Any, place: str, depth: int) -> Iterator[str]:
    if depth <= 0:
        raise BadXml("elements stand too deep inside each other (limit request_depth)", place)
    tag = _checked_name(name, place)
    members = value if isinstance(value, dict) else {"#text": value}
    attributes, children = [], []
    for key, one in members.items():
        if key.startswith("@"):
            label = _checked_name(key[1:], f"{place}.{key}")
            attributes.append(f" {label}={quoteattr(_text(one, f'{place}.{key}'), _ESCAPES)}")
        elif key != "#text":
            children.append((key, one))
    text = escape(_text(members.get("#text"), place), {"\r": "&#13;"})
    if not text and not children:
        yield f"<{tag}{''.join(attributes)}/>"
        return
    yield f"<{tag}{''.join(attributes)}>{text}"
    for key, one in children:
        for each in one if isinstance(one, list) else (one,):
            if isinstance(each, list):
                raise BadXml("a list in a list has no place in XML", f"{place}.{key}")
            yield from _element(key, each, f"{place}.{key}", depth - 1)
    yield f"</{tag}>"


_ESCAPES = {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}


def _checked_name(name: str, place: str) -> str:
    if _NAME.match(name) is None:
        raise BadXml(f"{name[:100]!r} can name no element or attribute of XML", place[:200])
    return name


def _text(value: Any, place: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if not isinstance(value, str):
        kind = "an object" if isinstance(value, dict) else "a list"
        raise BadXml(f"a text is wanted here, not {kind}", place)
    found = _FORBIDDEN.search(value)
    if found is not None:
        raise BadXml(f"the text holds the character {found[0]!r}, which XML cannot", place)
    return value

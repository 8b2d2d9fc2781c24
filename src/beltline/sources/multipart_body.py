"""Multipart forms (RFC 7578): fields as in form_body.py, and files beside them.

`python-multipart` finds the parts; what it lets pass is refused here: text before the first part or
after the last one, a body that ends too early, a header or parameter that stands twice, a part
without a name, encodings of a part's own. A file becomes what stands for it in the document, under
its field's name, brackets included; a file field that was left empty is no field.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import msgspec
import orjson
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, MultipartState

from beltline.core.limits import LIMITS
from beltline.engine.attachments import Attachment, attachment
from beltline.sources.form_body import Leaf, tree_of
from beltline.sources.refusal import RequestRefused

if TYPE_CHECKING:  # the library has it for type checkers alone
    from python_multipart.multipart import MultipartCallbacks

_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]\Z")
_PARAMETER = re.compile(r"""\s*;\s*([A-Za-z*]{1,40})=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))""")
_PLAIN = ("", "7bit", "8bit", "binary")
_PART_HEADERS = 8


class _Part:
    """A part while it is read: where its content stands in the body, and its headers."""

    __slots__ = ("end", "headers", "start")

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.start = 0
        self.end = 0


class ReadForm(msgspec.Struct, frozen=True):
    """The fields as one JSON object, its compact bytes, and the files that they name."""

    value: dict[str, Any]
    body: bytes
    files: list[Attachment]


def read_multipart(
    body: bytes, boundary: str, *, depth: int, limit: str = "request_depth"
) -> ReadForm:
    """Reads the body between its boundaries. Raises `RequestRefused` (400)."""
    if not _BOUNDARY.match(boundary):
        raise _refused("The content type has no boundary that could part the body.")
    parts = _parts(body, boundary.encode("ascii"))
    view = memoryview(body)
    fields: list[tuple[str, Leaf]] = []
    files: list[Attachment] = []
    for part in parts:
        name, file_name = _names(part.headers)
        content = view[part.start : part.end]
        if file_name is None:
            fields.append((name, _text(content, part.headers, name)))
        elif file_name or content:
            file = attachment(
                content,
                file_name,
                part.headers.get("content-type", ""),
                name_bytes=LIMITS.file_name_bytes,
            )
            files.append(file)
            fields.append((name, file.reference()))
    value = tree_of(fields, depth=depth, limit=limit)
    return ReadForm(value, orjson.dumps(value), files)


def _parts(body: bytes, boundary: bytes) -> list[_Part]:
    """Where the parts stand. Their number is told first, by what parts them, so that a body full
    of nothing else costs nothing.
    """
    delimiter = b"--" + boundary
    if body.count(delimiter) > LIMITS.multipart_parts + 1:
        raise _refused(
            f"The form has more than {LIMITS.multipart_parts:,} parts (limit multipart_parts)."
        )
    begin = body.find(delimiter, 0, len(delimiter) + 2)
    if begin < 0 or body[:begin].strip(b"\r\n"):
        raise _refused("The body does not begin with the boundary that its content type names.")
    end = body.rfind(delimiter + b"--")
    if end < 0 or body[end + len(delimiter) + 2 :].strip(b"\r\n"):
        raise _refused("The body does not end with its last boundary.")
    reading = _Reading(body)
    try:
        parser = MultipartParser(
            boundary,
            reading.callbacks(),
            max_header_count=_PART_HEADERS,
        )
        parser.logger = _silent()
        parser.write(body)
    except FormParserError as wrong:
        raise _refused(f"The body is no multipart form: {wrong}.") from wrong
    if parser.state is not MultipartState.END:
        raise _refused("The body ends in the middle of a part.")
    return reading.parts


def _silent() -> logging.Logger:
    """What the parser warns of is told to the sender, and is not the log's business."""
    logger = logging.getLogger("beltline.multipart")
    logger.disabled = True
    return logger


class _Reading:
    """What the parser tells, gathered. The body is written to it at once, so that everything that
    it tells is a range of that body.
    """

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.parts: list[_Part] = []
        self._name = self._value = b""

    def callbacks(self) -> MultipartCallbacks:
        """As the parser wants them."""
        return {
            "on_part_begin": self._part_begins,
            "on_part_data": self._data,
            "on_header_begin": self._header_begins,
            "on_header_field": self._header_name,
            "on_header_value": self._header_value,
            "on_header_end": self._header_ends,
        }

    def _part_begins(self) -> None:
        self.parts.append(_Part())

    def _data(self, data: bytes, start: int, end: int) -> None:
        part = self.parts[-1]
        if part.end == 0:
            part.start = start
        assert data is self._body, "the body is written at once"
        assert part.end in (0, start), "a part is one range of the body"
        part.end = end

    def _header_begins(self) -> None:
        self._name = self._value = b""

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_ends(self) -> None:
        headers = self.parts[-1].headers
        name = self._name.decode("latin-1").strip().lower()
        if name in headers:
            raise _refused(f"A part has the header {name[:60]!r} twice.")
        try:
            headers[name] = self._value.decode().strip()
        except UnicodeDecodeError as wrong:
            raise _refused("A header of a part is not UTF-8. Send the form as UTF-8.") from wrong


def _names(headers: dict[str, str]) -> tuple[str, str | None]:
    """The field's name, and the file's name where it is a file."""
    disposition = headers.get("content-disposition", "")
    kind, parameters = _parameters(disposition)
    name = parameters.get("name")
    if kind != "form-data" or name is None:
        raise _refused("A part has no `Content-Disposition: form-data` with a name.")
    if headers.get("content-transfer-encoding", "").lower() not in _PLAIN:
        raise _refused("A part has an encoding of its own. Send its bytes as they are.", name)
    extended = parameters.get("filename*")
    if extended is None:
        return name, parameters.get("filename")
    charset, _, rest = extended.partition("'")
    encoded = rest.partition("'")[2]
    if charset.lower() != "utf-8":
        raise _refused("A file's name (filename*) is not UTF-8.", name)
    try:
        return name, unquote_to_bytes(encoded).decode()
    except UnicodeDecodeError as wrong:
        raise _refused("A file's name (filename*) is not UTF-8.", name) from wrong


def _parameters(header: str) -> tuple[str, dict[str, str]]:
    kind, semicolon, _ = header.partition(";")
    found: dict[str, str] = {}
    at = len(kind)
    while semicolon and at < len(header):
        parameter = _PARAMETER.match(header, at)
        if parameter is None:
            raise _refused("The Content-Disposition of a part cannot be read.")
        name = parameter[1].lower()
        if name in found:
            raise _refused(f"The Content-Disposition of a part has {name} twice.")
        quoted, bare = parameter[2], parameter[3]
        found[name] = bare if quoted is None else _unescaped(quoted)
        at = parameter.end()
    return kind.strip().lower(), found


def _unescaped(quoted: str) -> str:
    """Browsers write a quote as %22 and a line's end as %0D%0A; other senders use backslashes."""
    plain = quoted.replace("\\\\", "\\").replace('\\"', '"') if "\\" in quoted else quoted
    return plain.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")


def _text(content: memoryview, headers: dict[str, str], name: str) -> str:
    charset = _charset(headers.get("content-type", ""))
    if charset not in ("", "utf-8", "utf8", "us-ascii"):
        raise _refused(f"A field has the charset {charset[:60]!r}. Send UTF-8.", name)
    try:
        return str(content, "utf-8")
    except UnicodeDecodeError as wrong:
        raise _refused("A field is not UTF-8. Send the form as UTF-8.", name) from wrong


def _charset(content_type: str) -> str:
    for parameter in content_type.split(";")[1:]:
        key, _, value = parameter.partition("=")
        if key.strip().lower() == "charset":
            return value.strip().strip('"').lower()
    return ""


def _refused(detail: str, name: str = "") -> RequestRefused:
    where = "" if not name else f"field {name[:60]}"
    return RequestRefused(400, "unreadable-body", detail, where)

"""A body and its content type -> the request: which reader reads what, and what is not read.

    application/json, …+json             json_body.py
    application/x-www-form-urlencoded    form_body.py
    multipart/form-data                  multipart_body.py
    application/xml, text/xml, …+xml     xml_body.py
    text/plain                           {"text": …}

Nothing is sniffed: what a body looks like decides nothing.
"""

from __future__ import annotations

from typing import Any

import orjson

from beltline.engine.attachments import Attachment
from beltline.sources.form_body import read_form
from beltline.sources.json_body import read_json
from beltline.sources.multipart_body import read_multipart
from beltline.sources.refusal import RequestRefused
from beltline.sources.xml_body import read_xml

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
JSON = "application/json"
_XML = ("application/xml", "text/xml")
_NO_FILES: list[Attachment] = []


def read_body(content_type: str, body: bytes, *, depth: int) -> tuple[Any, bytes, list[Attachment]]:
    """The request's value, its compact JSON bytes, and the files that came with it.

    Raises `RequestRefused`: 415 for other content types, 400 for what cannot be read.
    """
    if content_type == JSON:  # nearly always, and nothing more to find out
        return *read_json(body, depth=depth), _NO_FILES
    kind, parameters = _content_type(content_type)
    charset = parameters.get("charset", "")
    if charset.lower() not in ("", "utf-8", "utf8", "us-ascii"):
        raise RequestRefused(
            415, "unsupported-content", f"The charset {charset[:60]!r} is not read. Send UTF-8."
        )
    if kind == JSON or (kind.startswith("application/") and kind.endswith("+json")):
        return *read_json(body, depth=depth), _NO_FILES
    if kind == FORM:
        return *read_form(body, depth=depth), _NO_FILES
    if kind == MULTIPART:
        form = read_multipart(body, parameters.get("boundary", ""), depth=depth)
        return form.value, form.body, form.files
    if kind in _XML or (kind.startswith("application/") and kind.endswith("+xml")):
        return *read_xml(body, depth=depth), _NO_FILES
    if kind == "text/plain":
        return *_read_text(body), _NO_FILES
    sent = f"The content type {kind[:100]!r}" if kind else "A body without a content type"
    raise RequestRefused(
        415,
        "unsupported-content",
        f"{sent} is not read here. Send {JSON}, {FORM}, {MULTIPART}, {_XML[0]} or text/plain.",
    )


def kind_of_body(content_type: str) -> str:
    """The type alone, in small letters; empty where there is none."""
    return content_type.partition(";")[0].strip().lower()


def _read_text(body: bytes) -> tuple[Any, bytes]:
    try:
        value = {"text": body.decode()}
    except UnicodeDecodeError as wrong:
        raise RequestRefused(
            400, "unreadable-body", "The text is not UTF-8. Send UTF-8.", f"byte {wrong.start}"
        ) from wrong
    return value, orjson.dumps(value)


def _content_type(header: str) -> tuple[str, dict[str, str]]:
    """The type and its parameters, by their names in small letters. Raises `RequestRefused` (415)
    where one stands twice: readers differ on which one counts.
    """
    kind, *rest = header.split(";")
    parameters: dict[str, str] = {}
    for parameter in rest:
        name, _, value = parameter.partition("=")
        small = name.strip().lower()
        if not small:
            continue
        if small in parameters:
            raise RequestRefused(
                415, "unsupported-content", f"The content type has {small[:60]!r} twice."
            )
        parameters[small] = value.strip().strip('"')
    return kind.strip().lower(), parameters

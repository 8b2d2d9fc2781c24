"""XML that a sender wrote, as JSON by the mapping of `sdk/xml_mapping.py`."""

from __future__ import annotations

from typing import Any

import orjson

from beltline.core.limits import LIMITS
from beltline.sdk.xml_mapping import BadXml
from beltline.sdk.xml_mapping import read_xml as read_mapping
from beltline.sources.refusal import RequestRefused


def read_xml(body: bytes, *, depth: int, limit: str = "request_depth") -> tuple[Any, bytes]:
    """The document as a JSON value, and its compact bytes. Raises `RequestRefused`: 400, and 415
    for another encoding than UTF-8.
    """
    try:
        value = read_mapping(body, depth=depth, nodes=LIMITS.xml_nodes, limit=limit)
    except BadXml as wrong:
        if wrong.is_foreign:
            raise RequestRefused(415, "unsupported-content", wrong.detail) from wrong
        raise RequestRefused(400, "unreadable-body", wrong.detail, wrong.where) from wrong
    return value, orjson.dumps(value)

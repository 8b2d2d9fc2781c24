"""What is noted of a request that starts nothing: its verdict, and what came, without secrets.

A sender that was refused is told so, and mostly nobody reads it. So what came is kept for a while,
to be seen, to be used as test data, and to be accepted by hand where the mistake was ours.
"""

from __future__ import annotations

from typing import Any

import msgspec
import orjson

from beltline.core.limits import Limits
from beltline.engine.verdict_store import Verdict
from beltline.engine.verdicts import Verdicts
from beltline.sources.bodies import JSON

_TEXT_CHARACTERS = 2_000
_TYPE_CHARACTERS = 200


class Came(msgspec.Struct, frozen=True):
    """What came: what is known beside the body (`meta`), how many bytes (None: not read), and the
    body with its type and encoding where it may be kept.
    """

    meta: dict[str, Any]
    size: int | None = None
    content_type: str = ""
    encoding: str = ""
    body: bytes | None = None


def came_as_value(value: Any, meta: dict[str, Any]) -> Came:
    """What a feed brought."""
    try:
        body = orjson.dumps(value)
    except TypeError:  # it is refused for that
        return Came(meta)
    return Came(meta, len(body), JSON, "", body)


class Notes:
    """The notes of one node's sources. Nothing here waits."""

    def __init__(self, verdicts: Verdicts, limits: Limits) -> None:
        self._verdicts = verdicts
        self._limits = limits

    def take_slot(self, source: str) -> bool:
        """Takes a slot for one note, before `Came` is made, which takes a while."""
        return self._verdicts.take_slot(source)

    def refused(
        self, source: str, key: bytes, came: Came, status: int, kind: str, detail: str
    ) -> None:
        """It is not taken in, for this reason."""
        body = came.body
        if body is not None and len(body) > self._limits.verdict_body_bytes:
            body = None
        self._verdicts.note(
            Verdict(
                key,
                source,
                "refused",
                status,
                kind,
                _clean(detail, _TEXT_CHARACTERS),
                None,
                orjson.dumps(came.meta),
                came.size,
                _clean(came.content_type, _TYPE_CHARACTERS),
                _clean(came.encoding, _TYPE_CHARACTERS),
                body,
            )
        )

    def repeated(self, source: str, key: bytes, came: Came, first: bytes) -> None:
        """It is the same as an earlier one, which has its body."""
        meta = orjson.dumps(came.meta)
        self._verdicts.note(
            Verdict(key, source, "duplicate", 202, "", "", first, meta, came.size, "", "", None)
        )


def _clean(text: str, most: int) -> str:
    """Text that any store can hold."""
    return text[:most].replace("\x00", "\ufffd").encode("utf-8", "replace").decode()

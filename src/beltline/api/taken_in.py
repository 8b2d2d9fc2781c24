"""What a sender is told of a request that is durable: the hub's own 202, or the source's answer."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec
import structlog

from beltline.api.answer import JSON, TEXT, Answer
from beltline.core.events import AnswerGiven
from beltline.core.expression import ExpressionFailed
from beltline.core.expression import Scope as Evaluation
from beltline.core.limits import Limits
from beltline.core.path import MISSING
from beltline.definition.answer import NOT_OWN, OwnAnswer

_LOCATION_SAFE = "!#$%&'()*+,/:;=?@[]~"

_log = structlog.get_logger(__name__)


class RunResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the run of a sender that waited for it stands at its rest: its `status`, and what the
    source's file lets its senders see, `output` or the `document`.
    """

    status: str
    output: Any = msgspec.UNSET
    document: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


class TakenIn(msgspec.Struct, frozen=True):
    """The answer to a sender: the request is durable. `run` is null while it is held back;
    `status` is where its way can be followed. `result` is there for one that waited long enough.
    """

    request: str
    run: str | None
    status: str
    result: RunResult | msgspec.UnsetType = msgspec.UNSET


class AnswerFailed(Exception):
    """The operator: the source's own answer cannot be made of this request."""


def accepted(id: str, held: bool) -> Answer:
    """The hub's own answer."""
    run = "null" if held else f'"{id}"'
    body = f'{{"request":"{id}","run":{run},"status":"/api/v1/runs/{id}"}}'
    return Answer(202, body.encode(), JSON)


def finished(id: str, result: RunResult, waited: str) -> Answer:
    """The answer for a sender that waited until its run was at rest."""
    told = TakenIn(id, id, f"/api/v1/runs/{id}", result)
    try:
        body = msgspec.json.encode(told)
    except (ValueError, RecursionError, OverflowError) as wrong:
        raise AnswerFailed(f"the result cannot be told: {wrong}") from wrong
    return Answer(200, body, JSON, {"preference-applied": waited})


def own_answer(own: OwnAnswer, value: Any, meta: dict[str, Any], at: int, limits: Limits) -> Answer:
    """The source's answer for a request of this `value` and `meta`. Raises `AnswerFailed`."""
    document = {"request": value, "meta": meta, "id": meta["id"]}
    scope = Evaluation(at, meta["id"], 0)
    headers = {}
    try:
        body: Any = MISSING if own.body is None else own.body.resolve(document, scope)
        for name, template in own.headers.items():
            headers[name] = _header(name, template.resolve(document, scope))
        raw, content_type = _body(body)
    except (ExpressionFailed, ValueError, RecursionError, OverflowError) as failed:
        raise AnswerFailed(str(failed)[:300]) from failed
    if len(raw) > limits.answer_bytes:
        raise AnswerFailed(f"it would take {len(raw):,} bytes (limit answer_bytes)")
    content_type = headers.pop("content-type", content_type.decode()).encode("latin-1")
    return Answer(own.status, raw, content_type, headers)


def responded(given: AnswerGiven, waited: str) -> Answer:
    """The answer that a step gave, for a sender that waited for it. Raises `AnswerFailed`."""
    try:
        raw, content_type = _body(MISSING if given.body is None else given.body)
        headers = {
            name.lower(): _header(name.lower(), text) for name, text in given.headers.items()
        }
    except (ValueError, RecursionError, OverflowError) as wrong:
        raise AnswerFailed(str(wrong)[:300]) from wrong
    for name in list(headers):
        if name in NOT_OWN or name.startswith("access-control-"):
            del headers[name]  # not the answer's to set
    content_type = headers.pop("content-type", content_type.decode()).encode("latin-1")
    return Answer(given.status, raw, content_type, {**headers, "preference-applied": waited})


def _body(body: Any) -> tuple[bytes, bytes]:
    """A body as it goes out, with its content type."""
    if body is MISSING:
        return b"", JSON
    if isinstance(body, str):
        return body.encode("utf-8", "replace"), TEXT
    return msgspec.json.encode(body), JSON


def _header(name: str, value: Any) -> str:
    """The value of a header. What a sender sent never ends a header and begins another one."""
    text = value if isinstance(value, str) else ""
    if not isinstance(value, str) and value is not None and value is not MISSING:
        text = msgspec.json.encode(value).decode()
    if name == "location":
        text = quote(text, safe=_LOCATION_SAFE)
    if not text.isprintable() or any(ord(letter) > 255 for letter in text):
        raise ValueError(f"the header {name} cannot hold this value")
    return text

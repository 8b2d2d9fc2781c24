"""What came in by any kind of source -> the request that is to be stored.

    value ──> schema ──> identity ──> process (by the source's condition) ──> key, priority, expiry

Nothing of the value reaches `meta`.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import orjson

from beltline.core.explanation import moment
from beltline.core.expression import ExpressionFailed, Scope
from beltline.core.limits import Limits
from beltline.core.path import MISSING
from beltline.core.template import Template
from beltline.definition.buffering import PRIORITY_MOST
from beltline.definition.source import Source
from beltline.engine.ids import id_of
from beltline.engine.records import NewRequest
from beltline.sources.identity import identity_of, text_of
from beltline.sources.json_body import canonical, levels_of
from beltline.sources.refusal import RequestRefused
from beltline.sources.schema_fit import check_fit


class Offered(msgspec.Struct, frozen=True):
    """What a source brings: `value` and the same as JSON in `body`, the time (Unix ms) and the key
    that it is to have, what `meta` is to say beside the hub's own, and who tells repeats by
    themselves (a message's id, for so many ms). `state` tells repeats from others of that identity
    where the value does not.
    """

    value: Any
    body: bytes
    at: int
    key: bytes
    meta: dict[str, Any]
    identity: tuple[str, int] | None = None
    state: str | None = None


def check_value(value: Any, limits: Limits) -> bytes:
    """The JSON of a value that no sender wrote as such. Raises `RequestRefused` where it is none,
    or more than a request may be.
    """
    try:
        body = orjson.dumps(value)
    except TypeError as wrong:  # what orjson raises for large integers and lone surrogates, too
        raise _refused("unreadable-body", f"This cannot be kept as JSON: {wrong}.") from wrong
    if len(body) > limits.request_body_bytes:
        raise RequestRefused(
            413,
            "too-large",
            f"The request takes {len(body):,} bytes, more than {limits.request_body_bytes:,}"
            " (limit request_body_bytes).",
        )
    if levels_of(value, limits.request_depth) > limits.request_depth:
        raise _refused(
            "too-deep",
            f"Lists and objects stand more than {limits.request_depth} deep inside each other,"
            " which is more than request_depth allows.",
        )
    return body


def new_request(source: Source, offered: Offered, *, held: bool, limits: Limits) -> NewRequest:
    """The request as it is to be stored; `held` puts it into the source's buffer. Raises
    `RequestRefused` (422).
    """
    if source.schema is not None:
        size, most = len(offered.body), limits.schema_errors
        check_fit(source.schema, offered.value, size=size, errors_most=most)
    meta = {
        "id": id_of(offered.key),
        "source": source.name,
        "time": moment(offered.at),
        **offered.meta,
    }
    document = {"request": offered.value, "meta": meta}
    scope = Scope(offered.at, meta["id"], 0)
    identity, window_ms = _identity(source, offered, document, scope, limits)
    line, place, expires_at = "", offered.at, None
    if held:
        buffering = source.buffering
        if buffering.key is not None:
            line = _line(buffering.key, document, scope, limits)
        if buffering.priority is not None:
            place -= _priority(buffering.priority, document, scope) * buffering.ageing_ms
        if buffering.expires_ms is not None:
            expires_at = offered.at + buffering.expires_ms
    return NewRequest(
        key=offered.key,
        source=source.name,
        process=_process(source, document, scope),
        accepted_at=offered.at,
        body=offered.body,
        meta=orjson.dumps(meta),
        body_hash=b"" if identity is None else _hash(offered),
        identity=identity,
        identity_until=offered.at + window_ms,
        held=held,
        line=line,
        passes_stopped=source.buffering.passes_stopped,
        place=place,
        expires_at=expires_at,
    )


def _identity(
    source: Source, offered: Offered, document: dict[str, Any], scope: Scope, limits: Limits
) -> tuple[str | None, int]:
    """What tells a repeat, and for how long (ms); None where the source tells none."""
    declared = source.identity
    if declared is not None:
        by = identity_of(declared.by, document, scope, bytes_most=limits.identity_bytes)
        return by, declared.window_ms
    return (None, 0) if offered.identity is None else offered.identity


def _process(source: Source, document: dict[str, Any], scope: Scope) -> str:
    """The process that is to carry the request."""
    to: tuple[str, ...] | None = None
    if source.routing is not None:
        try:
            to = source.routing.evaluate(document, scope).to
        except ExpressionFailed as failed:
            raise _refused(
                "no-route", f"Where the request is to go cannot be told: {failed}"
            ) from (failed)
    if to:
        return to[0]
    if source.process is None or to is not None:
        raise _refused("no-route", "This source has no process for such a request.")
    return source.process


def _line(key: Template, document: dict[str, Any], scope: Scope, limits: Limits) -> str:
    """The value whose order is kept."""
    value = _resolved(key, document, scope, "key")
    if value is MISSING or value is None or value == "":
        raise _refused(
            "no-key", "The request has no value for its key, by which its order is kept."
        )
    return text_of(value, "key", bytes_most=limits.identity_bytes)


def _priority(priority: Template | int, document: dict[str, Any], scope: Scope) -> int:
    """The request's priority: 0 where it has none."""
    if isinstance(priority, int):
        return priority
    value = _resolved(priority, document, scope, "priority")
    if value is MISSING or value is None or value == "":
        return 0
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError) as wrong:
        raise _refused("no-priority", "The priority of the request is no number.") from wrong
    return max(0, min(number, PRIORITY_MOST))


def _resolved(template: Template, document: dict[str, Any], scope: Scope, what: str) -> Any:
    try:
        return template.resolve(document, scope)
    except ExpressionFailed as failed:
        raise _refused(f"no-{what}", f"The {what} of the request cannot be told: {failed}") from (
            failed
        )


def _hash(offered: Offered) -> bytes:
    value = offered.value if offered.state is None else offered.state
    return hashlib.blake2b(canonical(value), digest_size=16).digest()


def _refused(kind: str, detail: str) -> RequestRefused:
    return RequestRefused(422, kind, detail)

"""A message of a broker -> the request: its body by the word of the source's file, and `meta`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from beltline.core.limits import Limits
from beltline.definition.queue import QueueWay
from beltline.sources.headers import KEPT
from beltline.sources.json_body import read_json
from beltline.sources.queue.broker import Delivery, Headers
from beltline.sources.refusal import RequestRefused

_USUAL = frozenset(name.decode("latin-1") for name in KEPT)


def read_message(way: QueueWay, delivery: Delivery, limits: Limits) -> tuple[Any, dict[str, Any]]:
    """The request's value, and what `meta` says of it. Raises `RequestRefused`."""
    value = _value(way, delivery, limits)
    headers = _kept(delivery.headers, (*_USUAL, *way.headers), limits.request_header_bytes)
    return value, {"headers": headers, "queue": {"broker": way.queue.broker, **delivery.where}}


def _value(way: QueueWay, delivery: Delivery, limits: Limits) -> Any:
    fields = delivery.fields or {}
    size = len(delivery.body) + sum(len(name) + len(text) for name, text in fields.items())
    if size > limits.request_body_bytes:
        raise RequestRefused(
            413,
            "too-large",
            f"The message takes {size:,} bytes, more than {limits.request_body_bytes:,}"
            " (limit request_body_bytes).",
        )
    if delivery.fields is not None:
        return delivery.fields
    if way.body == "json":
        return read_json(delivery.body, depth=limits.request_depth)[0]
    try:
        return {"text": delivery.body.decode()}
    except UnicodeDecodeError as wrong:
        raise RequestRefused(
            400, "unreadable-body", "The message is not UTF-8 text.", f"byte {wrong.start}"
        ) from wrong


def _kept(headers: Headers, names: Iterable[str], bytes_most: int) -> dict[str, str]:
    """The headers that are kept, by their names in small letters; a repeated one is joined by
    commas. All others may hold what nobody wants in a store.
    """
    known = frozenset(names)
    kept: dict[str, str] = {}
    size = 0
    for key, value in headers:
        name = key.lower()
        if name in known:
            size += len(name) + len(value)
            text = value.decode("utf-8", "replace")
            kept[name] = f"{kept[name]}, {text}" if name in kept else text
    if size > bytes_most:
        raise RequestRefused(
            431,
            "too-large",
            f"The headers that are kept take {size:,} bytes, more than {bytes_most:,}"
            " (limit request_header_bytes).",
        )
    return kept

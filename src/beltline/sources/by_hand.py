"""A request that was refused, read again for a person: to be looked at, or to be taken in.

What proves its sender was never kept. Whoever takes it in vouches for it; all else is as for any
other request: the schema, the identity, where it goes.
"""

from __future__ import annotations

from typing import Any

import orjson

from beltline.core.limits import Limits
from beltline.definition.source import Source
from beltline.definition.webhook import WebhookWay
from beltline.engine.ids import id_of, time_of
from beltline.engine.verdict_store import Verdict
from beltline.sources.bodies import JSON
from beltline.sources.door import IDENTITY_MS, Offering
from beltline.sources.refusal import RequestRefused
from beltline.sources.request import Offered, check_value
from beltline.sources.verification import Received
from beltline.sources.webhook import Challenged, Taken, Webhook


def read_again(verdict: Verdict, source: Source, limits: Limits, instead: Any = None) -> Taken:
    """What came, as the source reads it; `instead` is a value in its place. Raises
    `RequestRefused` where it cannot be read, or is not kept.
    """
    content_type, encoding, body = verdict.content_type, verdict.encoding, verdict.body
    if instead is not None:
        content_type, encoding, body = JSON, "", check_value(instead, limits)
    if body is None:
        raise RequestRefused(422, "no-body", "The body of this request is not kept.")
    meta = orjson.loads(verdict.meta)
    at = time_of(verdict.key)
    way = source.way
    if not isinstance(way, WebhookWay):
        if content_type != JSON:
            raise _of_another_kind(source)
        return Taken(Offered(orjson.loads(body), body, at, verdict.key, meta), [], b"")
    if "headers_not_kept" not in meta:
        raise _of_another_kind(source)
    headers = {**meta["headers"], "content-type": content_type}
    if encoding:
        headers["content-encoding"] = encoding
    pairs = [(name.encode("latin-1"), text.encode("latin-1")) for name, text in headers.items()]
    try:
        webhook = Webhook(source, way, _no_secret)
        return webhook.unpack(Received(pairs, body, at), verdict.key, limits)
    except Challenged as asked:
        raise RequestRefused(422, "a-challenge", "This is a challenge, not a request.") from asked


def _of_another_kind(source: Source) -> RequestRefused:
    text = f"This came when {source.name} was of another kind, and cannot be read as it is."
    return RequestRefused(422, "other-kind", text)


def _no_secret(name: str) -> str | None:
    """Nothing is verified here, so nothing is looked up."""
    return None


def vouched_for(offered: Offered, verdict: Verdict, by: str) -> Offering:
    """The request as it is offered. Where its source tells no repeats it has an identity all the
    same, so that what is accepted twice by hand is taken in once.
    """
    id = id_of(verdict.key)
    meta = {**offered.meta, "by_hand": {"by": by, "refused_as": id}}
    identity, window_ms = offered.identity or (f"by hand {id}", IDENTITY_MS)
    is_claimed = offered.identity is not None
    return Offering(offered.value, meta, identity, window_ms, is_claimed=is_claimed)

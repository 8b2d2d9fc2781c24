"""`POST /in/{source}` of a source of the kind `bitrix24`: what happens in a portal, as it tells it.

    read (bounded) -> verify (raw bytes) -> parse -> ring, or offer ... commit -> 200

A portal sends an event once at most, whatever it is answered. So a ring needs nothing but this
process: it is answered with 200 also where the store is away, and the look comes when it is back.
"""

from __future__ import annotations

import msgspec
from starlette.types import Receive, Scope

from beltline.api.answer import Answer
from beltline.api.body import read_whole
from beltline.api.hub import Hub
from beltline.api.problem import Problem, unavailable
from beltline.definition.bitrix24 import Bitrix24Way
from beltline.definition.secret import SecretRef
from beltline.definition.source import Source
from beltline.definition.verify import VerifyBitrix24
from beltline.engine.ids import id_of
from beltline.engine.ports import StoreAway, StoreFull
from beltline.engine.records import Repeat
from beltline.sources.bitrix24.events import read_event
from beltline.sources.bitrix24.feed import Bitrix24Feed
from beltline.sources.door import NotTaken
from beltline.sources.refusal import RequestRefused
from beltline.sources.verification import Received, verifier_of


class Heard(msgspec.Struct, frozen=True):
    """What became of an event: `rung` where records are looked at because of it, `ignored` where
    the source's file does not ask for it, `taken` or `known` where it is the `request`.
    """

    event: str
    outcome: str
    request: str | None = None


class PortalEvents:
    """Takes the events of all portals."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def answer(self, source: Source, scope: Scope, receive: Receive) -> Answer:
        """Answers one event. Raises `Problem`, `RequestRefused`, `SecretMissing`, `SenderGone`."""
        token = _token(source)
        if scope["method"] != "POST":
            raise Problem(405, "method-not-allowed", "Send a POST.", headers={"allow": "POST"})
        hub, headers = self._hub, scope["headers"]
        try:
            body = await read_whole(receive, headers, hub.limits)
            verifier_of(VerifyBitrix24(token), hub.secret)(Received(headers, body, hub.clock.now()))
            event = read_event(body, hub.limits)
        except (RequestRefused, Problem) as why:
            hub.note_refused(source, headers, why)
            raise
        feed = hub.feeds.feed(source.name)
        if not isinstance(feed, Bitrix24Feed):
            raise unavailable("source-not-ready", "This source does not look yet.", 1)
        try:
            outcome = await feed.hear(event)
        except (NotTaken, StoreAway, StoreFull) as why:
            raise unavailable("not-accepting", f"The event was not stored: {why}.") from why
        if isinstance(outcome, str):
            heard = Heard(event.name, outcome)
        else:
            is_known = isinstance(outcome, Repeat)
            heard = Heard(event.name, "known" if is_known else "taken", id_of(outcome.key))
        return Answer(200, msgspec.json.encode(heard))


def _token(source: Source) -> SecretRef:
    """The token that senders have to know; where the file has none, nobody can send."""
    assert isinstance(source.way, Bitrix24Way)
    if source.way.token is None:
        raise Problem(
            404,
            "no-such-source",
            "Nobody may send to this source: its file has no `application_token`.",
        )
    return source.way.token

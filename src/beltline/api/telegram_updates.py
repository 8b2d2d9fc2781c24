"""`POST /in/{source}` of a source of the kind `telegram`: the updates of a bot, sent by Telegram.

    read (bounded) -> verify (the secret in a header) -> parse -> offer ... commit -> 200

What is answered otherwise Telegram sends again, for a day. So an update that will never be taken,
such as one that does not fit the schema, is answered with 200 too; its verdict is kept.
"""

from __future__ import annotations

import msgspec
from starlette.types import Receive, Scope

from beltline.api.answer import Answer
from beltline.api.body import read_whole
from beltline.api.hub import Hub
from beltline.api.problem import Problem, unavailable
from beltline.definition.source import Source
from beltline.definition.telegram import TelegramWay, TelegramWebhook
from beltline.engine.ids import id_of
from beltline.engine.ports import StoreAway, StoreFull
from beltline.engine.records import Repeat
from beltline.sources.door import NotTaken
from beltline.sources.json_body import read_json
from beltline.sources.refusal import RequestRefused
from beltline.sources.telegram.hook import TelegramHook
from beltline.sources.verification import check_telegram


class Heard(msgspec.Struct, frozen=True):
    """What became of an update: `taken` or `known` where it is the `request`, `refused` where it
    cannot be one, `ignored` where the source's file does not ask for it.
    """

    outcome: str
    request: str | None = None


class TelegramUpdates:
    """Takes the updates of all bots."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def answer(self, source: Source, scope: Scope, receive: Receive) -> Answer:
        """Answers one update. Raises `Problem`, `RequestRefused`, `SecretMissing`, `SenderGone`."""
        webhook = _webhook(source)
        if scope["method"] != "POST":
            raise Problem(405, "method-not-allowed", "Send a POST.", headers={"allow": "POST"})
        hub, headers = self._hub, scope["headers"]
        try:
            body = await read_whole(receive, headers, hub.limits)
            check_telegram(webhook.secret, hub.secret, headers)
            value, _ = read_json(body, depth=hub.limits.request_depth)
        except (RequestRefused, Problem) as why:
            hub.note_refused(source, headers, why)
            raise
        feed = hub.feeds.feed(source.name)
        if not isinstance(feed, TelegramHook):
            raise unavailable("source-not-ready", "This source is not set up yet.", 1)
        try:
            outcome = await feed.hear(value)
        except (NotTaken, StoreAway, StoreFull) as why:
            raise unavailable("not-accepting", f"The update was not stored: {why}.") from why
        if isinstance(outcome, str):
            heard = Heard(outcome)
        elif isinstance(outcome, RequestRefused):
            heard = Heard("refused")
        else:
            is_known = isinstance(outcome, Repeat)
            heard = Heard("known" if is_known else "taken", id_of(outcome.key))
        return Answer(200, msgspec.json.encode(heard))


def _webhook(source: Source) -> TelegramWebhook:
    """What senders have to know; where the file has none, nobody can send."""
    assert isinstance(source.way, TelegramWay)
    if source.way.webhook is None:
        raise Problem(
            404,
            "no-such-source",
            "Nobody may send to this source: it fetches, as its file has no `webhook`.",
        )
    return source.way.webhook

"""A source of the kind `telegram` that updates are sent to: has Telegram do so, and looks after it.

    start ──> whose webhook? ──> ours, or none ──> setWebhook ──┐
                 └─ another's: left as it is, and told          v
                                 each 5 minutes: is it ours still, and do updates arrive?

An update is stored before Telegram has its answer; one that was not is sent again, for 24 hours.
"""

from __future__ import annotations

import re
from typing import Any, Literal
from urllib.parse import urlsplit

from beltline.definition.telegram import TelegramWay, TelegramWebhook
from beltline.engine.records import Repeat
from beltline.engine.work import Accepted
from beltline.sdk.telegram import TelegramRefused, ask_telegram, json_body
from beltline.sources.door import Door, FeedTrouble
from beltline.sources.refusal import RequestRefused
from beltline.sources.rounds import Rounds
from beltline.sources.surroundings import Surroundings
from beltline.sources.telegram.updates import read_update, refused

EVERY_MS = 300_000
_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")


class TelegramHook:
    """The feed of one bot whose updates are sent. `hear` is given them."""

    def __init__(
        self,
        way: TelegramWay,
        webhook: TelegramWebhook,
        door: Door,
        around: Surroundings,
        rounds: Rounds,
    ) -> None:
        self._way = way
        self._webhook = webhook
        self._door = door
        self._around = around
        self._rounds = rounds

    async def hear(self, value: Any) -> Literal["ignored"] | Accepted | Repeat | RequestRefused:
        """Takes an update, which was verified. Gives the refusal of one that will never be taken.
        Raises `RequestRefused` for what is no update, `NotTaken`, and as the store does.
        """
        update = read_update(value)
        if not update.is_one_of(self._way.updates):
            return "ignored"
        [answer] = await self._door.offer_many([update.offering("webhook")])
        if isinstance(answer, RequestRefused):
            refused(self._door, answer)
        return answer

    async def run(self) -> None:
        """Sets the webhook, and looks after it for as long as it is let. Run again, it sets it
        again, which also makes Telegram try again at once.
        """
        await self._set()
        while True:
            await self._rounds.begin()
            await self._look()
            self._rounds.done()

    async def _set(self) -> None:
        url = await self._url()
        if url not in ("", self._webhook.url):
            raise FeedTrouble(
                f"the bot's updates go to {urlsplit(url).netloc}: end that there (deleteWebhook),"
                " or give this source a bot of its own"
            )
        secret = next(iter(self._around.secret(self._webhook.secret.name).split()), "")
        if _SECRET.fullmatch(secret) is None:
            raise FeedTrouble(
                f"the secret {self._webhook.secret.name} must be 1 to 256 of letters, digits, _ and"
                " -, since Telegram takes no other"
            )
        await self._ask(
            "setWebhook",
            url=self._webhook.url,
            secret_token=secret,
            allowed_updates=list(self._way.updates),
        )
        self._door.looked()

    async def _url(self) -> str:
        return str((await self._info()).get("url") or "")

    async def _look(self) -> None:
        """Raises `FeedTrouble` where updates do not arrive."""
        info = await self._info()
        if info.get("url") != self._webhook.url:
            raise FeedTrouble("the bot's webhook was taken away or changed")
        waiting, failed_s = info.get("pending_update_count"), info.get("last_error_date")
        began_ms = self._around.clock.now() - EVERY_MS
        if waiting and isinstance(failed_s, int) and failed_s * 1_000 > began_ms:
            raise FeedTrouble(
                f"Telegram cannot deliver: {str(info.get('last_error_message'))[:300]}"
                f" ({waiting} updates wait)"
            )

    async def _info(self) -> dict[str, Any]:
        info = await self._ask("getWebhookInfo")
        if not isinstance(info, dict):
            raise FeedTrouble("the answer of getWebhookInfo is no object")
        return info

    async def _ask(self, method: str, **params: Any) -> Any:
        account = self._around.account(self._way.connection)
        try:
            return await ask_telegram(self._around.http, account, method, json_body(params))
        except TelegramRefused as why:
            raise FeedTrouble(why.reason, why.after_s or 0.0) from why

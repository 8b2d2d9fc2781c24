"""Updates of a bot: fetched or sent, each is one request, whatever breaks in between."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from beltline.engine.ports import StoreAway
from beltline.sources.door import FeedTrouble
from tests.servers.telegram import BotApi
from tests.servers.telegram_http import BotHttp, bot
from tests.unit.api.calling import Answered
from tests.unit.api.stage import Stage
from tests.unit.sources.looking import Looking

HEAD = "source: bot\nkind: telegram\nprocess: lead\nconnection: bot\n"
URL = "https://hub.example/in/bot"
HOOK = HEAD + f'webhook: {{url: "{URL}", secret: "${{BOT_SECRET}}"}}\n'
SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"
RIGHT = "s3cret_token"
DAY_MS = 86_400_000


class Fetching(Looking):
    """A source that fetches from the stand-in."""

    def __init__(self, stage: Stage, home: Path, rest: str = "") -> None:
        self.api = BotApi()
        http: Any = BotHttp(self.api)
        super().__init__(stage, HEAD + rest, home, bot(), http=http)

    async def fetch(self) -> None:
        """Takes in what waits."""
        await self.feed._fetch(0)

    async def texts(self) -> list[str]:
        """What was brought, the oldest first."""
        return [one["message"]["text"] for one in await self.bodies()]

    def asked(self) -> list[Any]:
        """The offsets that were asked with."""
        return [params.get("offset") for name, params in self.api.calls if name == "getUpdates"]


@pytest.fixture
def fetching(stage: Stage, tmp_path: Path) -> Fetching:
    return Fetching(stage, tmp_path)


async def test_each_update_is_a_request_and_the_offset_survives(fetching: Fetching) -> None:
    first = fetching.api.happen(text="a", chat={"id": 7})
    fetching.api.happen(text="b")
    await fetching.fetch()
    [one, two] = await fetching.requests()
    assert one["request"] == {"update_id": first, "message": {"text": "a", "chat": {"id": 7}}}
    assert one["meta"]["found"] == "fetched"
    assert two["request"]["update_id"] == first + 1
    fetching.again()  # the next start of the hub
    fetching.api.happen(text="c")
    await fetching.fetch()
    assert await fetching.texts() == ["a", "b", "c"]
    assert fetching.asked() == [None, first + 2]
    assert [one["update_id"] for one in fetching.api.waiting] == [first + 2]  # not told as received
    await fetching.fetch()
    assert fetching.api.waiting == []


async def test_telegram_forgets_nothing_before_it_is_durable(
    fetching: Fetching, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetching.api.happen(text="a")
    calls: list[str] = []

    async def killed(cursor: Any) -> None:
        calls.append("move on")
        raise RuntimeError("the hub dies here")

    with monkeypatch.context() as patch:
        patch.setattr(fetching.door, "move_on", killed)
        with pytest.raises(RuntimeError):
            await fetching.fetch()
    assert await fetching.texts() == ["a"]
    fetching.again()
    await fetching.fetch()
    assert fetching.asked() == [None, None]
    assert await fetching.texts() == ["a"]  # told by its id
    assert fetching.door.state.brought == 0


async def test_while_the_store_is_away_it_waits_and_asks_for_nothing_new(
    fetching: Fetching, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetching.api.happen(text="a")
    pauses: list[float] = []
    offer = fetching.door.offer_many

    async def away_twice(offerings: Any) -> Any:
        if len(pauses) < 2:
            raise StoreAway("it is away")
        return await offer(offerings)

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        assert len(fetching.asked()) == 1

    monkeypatch.setattr(fetching.door, "offer_many", away_twice)
    fetching.feed._pause = pause
    await fetching.fetch()
    assert pauses == [0.5, 1.0]
    assert await fetching.texts() == ["a"]


async def test_an_offset_is_not_believed_when_ids_may_have_begun_anew(fetching: Fetching) -> None:
    """After a week without updates ids go on anywhere, also below the offset, which would have
    Telegram forget what was never received.
    """
    fetching.api.happen(text="a", id=5_000)
    await fetching.fetch()
    await fetching.pass_ms(5 * DAY_MS)
    await fetching.fetch()
    assert fetching.asked() == [None, 5_001]
    await fetching.pass_ms(2 * DAY_MS)
    fetching.api.happen(text="b", id=17)
    await fetching.fetch()
    assert fetching.asked()[-1] is None
    assert await fetching.texts() == ["a", "b"]
    fetching.api.happen(text="c", id=5_000)  # an old id that means another update
    await fetching.fetch()
    assert await fetching.texts() == ["a", "b", "c"]


async def test_only_what_is_asked_for_becomes_a_request(stage: Stage, tmp_path: Path) -> None:
    fetching = Fetching(stage, tmp_path, "updates: [callback_query]\n")
    fetching.api.happen("message", text="from before it was asked")
    await fetching.fetch()
    fetching.api.happen("message", text="not asked for")
    fetching.api.happen("callback_query", data="take 7")
    await fetching.fetch()
    assert [one["callback_query"]["data"] for one in await fetching.bodies()] == ["take 7"]
    assert fetching.api.calls[0][1]["allowed_updates"] == ["callback_query"]


async def test_what_does_not_fit_the_schema_is_passed_and_told(
    stage: Stage, tmp_path: Path
) -> None:
    schema = "schema: {type: object, required: [message]}\n"
    fetching = Fetching(stage, tmp_path, schema)
    fetching.api.happen("callback_query", data="x")
    fetching.api.happen("message", text="a")
    await fetching.fetch()
    assert await fetching.texts() == ["a"]
    assert fetching.door.state.refused == 1
    assert [one.kind for one in await fetching.verdicts()] == ["schema-mismatch"]
    await fetching.fetch()
    assert fetching.api.waiting == []


async def test_it_waits_for_updates_at_telegram(fetching: Fetching) -> None:
    asked_first = asyncio.Event()
    fetching.api.before = lambda method: asked_first.set()

    async def has_come() -> bool:
        return bool(await fetching.requests())

    running = asyncio.create_task(fetching.feed.run())
    try:
        async with asyncio.timeout(20):
            await asked_first.wait()
            fetching.api.happen(text="a")
            await fetching.stage.until(has_come)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    _, asked = fetching.api.calls[0]
    assert 8 <= asked["timeout"] <= 10
    http: Any = fetching.http
    assert http.timeouts_s[0] == asked["timeout"] + 10.0


async def test_a_bot_that_has_a_webhook_is_left_alone(fetching: Fetching) -> None:
    fetching.api.webhook = {"url": "https://other.example"}
    with pytest.raises(FeedTrouble, match="while webhook is active"):
        await fetching.fetch()
    assert fetching.api.webhook


async def test_faults_are_told_and_how_long_to_wait(fetching: Fetching) -> None:
    def broken(method: str) -> None:
        raise ConnectionError

    fetching.api.before = broken
    with pytest.raises(FeedTrouble, match="getUpdates: the connection broke"):
        await fetching.fetch()
    fetching.connections["bot"] = bot("4242:other")
    fetching.api.before = lambda method: None
    with pytest.raises(FeedTrouble, match="is the token of the connection still the bot's"):
        await fetching.fetch()


# By webhook


class Hooked:
    """A source whose updates are sent, behind `/in/bot`."""

    def __init__(self, stage: Stage, home: Path, rest: str = "") -> None:
        self.stage = stage
        self.api = BotApi()
        stage.secrets["BOT_SECRET"] = RIGHT
        http: Any = BotHttp(self.api)
        self.looking = Looking(stage, HOOK + rest, home, bot(), http=http)
        stage.sources["bot"] = self.looking.source
        stage.hub.feeds._feeds["bot"] = self.looking.feed

    @property
    def feed(self) -> Any:
        return self.looking.feed

    async def send(
        self, update: Any, *secrets: str, method: str = "POST", **about: Any
    ) -> Answered:
        headers = [(SECRET_HEADER, one) for one in secrets or (RIGHT,)]
        return await self.stage.send("bot", update, *headers, method=method, **about)

    async def texts(self) -> list[str]:
        return [one["message"]["text"] for one in await self.looking.bodies()]


@pytest.fixture
def hooked(stage: Stage, tmp_path: Path) -> Hooked:
    return Hooked(stage, tmp_path)


A = {"update_id": 8, "message": {"text": "a"}}


async def test_an_update_is_stored_before_it_is_answered_and_told_once(hooked: Hooked) -> None:
    first = (await hooked.send(A)).json()
    assert first["outcome"] == "taken"
    again = await hooked.send(A)
    assert (again.status, again.json()) == (200, {**first, "outcome": "known"})
    [only] = await hooked.looking.requests()
    assert only["request"] == A
    assert (only["meta"]["id"], only["meta"]["found"]) == (first["request"], "webhook")
    assert "headers" not in only["meta"]


@pytest.mark.parametrize("secret", ["s3cret_tokeN", "s3cret_token2", "s3cret_toke", "", "é"])
async def test_a_forged_secret_is_refused(hooked: Hooked, secret: str) -> None:
    answer = await hooked.send(A, secret)
    assert (answer.status, _kind(answer)) == (401, "unverified-sender")
    assert await hooked.looking.bodies() == []
    [noted] = await hooked.looking.verdicts()
    assert (noted.kind, noted.body) == ("unverified-sender", None)
    assert secret == "" or secret.encode() not in noted.meta


async def test_a_secret_that_stands_twice_is_refused(hooked: Hooked) -> None:
    assert (await hooked.send(A, RIGHT, "other")).status == 400
    assert (await hooked.stage.send("bot", A)).status == 401
    assert await hooked.looking.bodies() == []


async def test_without_its_secret_nothing_is_taken(hooked: Hooked) -> None:
    for nothing in ("", " \n"):
        hooked.stage.secrets["BOT_SECRET"] = nothing
        answer = await hooked.send(A, "")
        assert (answer.status, _kind(answer)) == (503, "source-not-ready")
    del hooked.stage.secrets["BOT_SECRET"]
    assert (await hooked.send(A)).status == 503
    assert await hooked.looking.bodies() == []


async def test_two_secrets_hold_while_one_is_exchanged(hooked: Hooked) -> None:
    hooked.stage.secrets["BOT_SECRET"] = f"n3w\n{RIGHT}\n"
    assert (await hooked.send(A, "n3w")).json()["outcome"] == "taken"
    assert (await hooked.send(A)).json()["outcome"] == "known"
    await hooked.feed._set()
    assert hooked.api.webhook["secret_token"] == "n3w"


async def test_what_will_never_be_taken_is_not_sent_again(stage: Stage, tmp_path: Path) -> None:
    rest = "updates: [message]\nschema: {type: object, properties: {message: {required: [text]}}}\n"
    hooked = Hooked(stage, tmp_path, rest)
    answer = await hooked.send({"update_id": 1, "message": {"photo": []}})
    assert (answer.status, answer.json()["outcome"]) == (200, "refused")
    assert hooked.looking.door.state.refused == 1
    assert [one.kind for one in await hooked.looking.verdicts()] == ["schema-mismatch"]
    ignored = await hooked.send({"update_id": 2, "callback_query": {}})
    assert (ignored.status, ignored.json()["outcome"]) == (200, "ignored")
    assert await hooked.looking.bodies() == []


@pytest.mark.parametrize(
    ("body", "status"), [(b"{", 400), (b"[]", 422), (b'{"update_id": true}', 422)]
)
async def test_what_is_no_update_is_refused(hooked: Hooked, body: bytes, status: int) -> None:
    assert (await hooked.send(body)).status == status
    assert await hooked.looking.bodies() == []


async def test_what_cannot_be_stored_now_telegram_sends_again(
    hooked: Hooked, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: Any) -> Any:
        raise StoreAway("it is away")

    with monkeypatch.context() as patch:
        patch.setattr(hooked.looking.door, "offer_many", away)
        answer = await hooked.send(A)
        assert (answer.status, _kind(answer)) == (503, "not-accepting")
    assert (await hooked.send(A)).json()["outcome"] == "taken"


async def test_the_webhook_is_set_with_its_secret(stage: Stage, tmp_path: Path) -> None:
    hooked = Hooked(stage, tmp_path, "updates: [message, callback_query]\n")
    await hooked.feed._set()
    assert hooked.api.webhook == {
        "url": URL,
        "secret_token": RIGHT,
        "allowed_updates": ["message", "callback_query"],
    }
    await hooked.feed._set()  # its own it may set again
    await hooked.feed._look()
    hooked.api.webhook = {}
    with pytest.raises(FeedTrouble, match="was taken away or changed"):
        await hooked.feed._look()


async def test_another_s_webhook_is_left_as_it_is(hooked: Hooked) -> None:
    hooked.api.webhook = {"url": "https://other.example/t0p/secret"}
    with pytest.raises(FeedTrouble, match=r"go to other\.example:") as caught:
        await hooked.feed._set()
    assert "t0p" not in str(caught.value)
    assert hooked.api.webhook == {"url": "https://other.example/t0p/secret"}


async def test_a_secret_that_telegram_would_not_take_is_told(hooked: Hooked) -> None:
    for wrong in ("has.dots", "", "x" * 257):
        hooked.stage.secrets["BOT_SECRET"] = wrong
        with pytest.raises(FeedTrouble, match="the secret BOT_SECRET must be") as caught:
            await hooked.feed._set()
        assert not wrong or wrong not in str(caught.value)
    assert hooked.api.webhook == {}


async def test_updates_that_do_not_arrive_are_told(hooked: Hooked) -> None:
    await hooked.feed._set()
    now_s = hooked.stage.clock.now() // 1_000
    hooked.api.last_error = (now_s - 10, "Wrong response from the webhook: 503")
    await hooked.feed._look()  # none wait: it went well since
    hooked.api.happen(text="x")
    with pytest.raises(FeedTrouble, match=r"cannot deliver: Wrong response .* \(1 updates wait\)"):
        await hooked.feed._look()
    hooked.api.last_error = (now_s - 301, "long ago")
    await hooked.feed._look()


async def test_nobody_may_send_to_a_source_that_fetches(stage: Stage, tmp_path: Path) -> None:
    fetching = Fetching(stage, tmp_path)
    stage.sources["bot"] = fetching.source
    stage.hub.feeds._feeds["bot"] = fetching.feed
    answer = await stage.send("bot", A, (SECRET_HEADER, RIGHT))
    assert answer.status == 404
    assert await fetching.bodies() == []


async def test_other_methods_and_a_feed_that_is_not_there_yet(hooked: Hooked) -> None:
    answer = await hooked.send(A, method="GET")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    hooked.stage.hub.feeds._feeds.clear()
    assert (await hooked.send(A)).status == 503


async def test_the_list_of_sources_tells_where_updates_go(hooked: Hooked, tmp_path: Path) -> None:
    assert await _listed(hooked.stage) == ("/in/bot", "telegram")
    hooked.stage.sources["bot"] = Fetching(hooked.stage, tmp_path).source
    assert await _listed(hooked.stage) == (None, None)


async def _listed(stage: Stage) -> tuple[Any, Any]:
    shown = (await stage.ask("GET", "/api/v1/sources")).json()["sources"]
    [one] = [one for one in shown if one["source"] == "bot"]
    return one["path"], one["verify"]


def _kind(answer: Answered) -> str:
    return str(answer.json()["type"]).rpartition(":")[2]

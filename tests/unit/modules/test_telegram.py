"""Messages of a bot: what arrives, which errors pass by themselves, and what a repeat does."""

from __future__ import annotations

from typing import Any

import pytest

from beltline.modules.telegram import call as call_module
from beltline.modules.telegram import send as send_module
from beltline.sdk import Bounds, Connection, Reject, Retry
from beltline.sdk.testing import BOUNDS, Files, Memory, PreparedHttp, answer, answered, given
from tests.servers.telegram import BLOCKED, MIGRATED, SUPERGROUP, BotApi, Uploaded
from tests.servers.telegram_http import BotHttp, bot

ANNA = 77


class Sender:
    """Sends through the stand-in, with one memory and one place for files."""

    def __init__(self, bounds: Bounds = BOUNDS) -> None:
        self.api = BotApi()
        self.http: Any = BotHttp(self.api)
        self.memory = Memory()
        self.files = Files(bounds)
        self.bounds = bounds

    async def __call__(
        self, *, account: Connection | None = None, attempt: int = 1, run: str = "r", **given_: Any
    ) -> Any:
        context = given(
            self.http,
            memory=self.memory,
            files=self.files,
            connection=account or bot(),
            attempt=attempt,
            run=run,
            bounds=self.bounds,
        )
        return await answer(send_module.module, {"chat": ANNA, **given_}, context)

    def file(self, content: bytes, name: str = "a.pdf", type: str = "application/pdf") -> Any:
        ref = self.files.put(content, name, type)
        return {"blob": ref.blob, "name": name, "type": type}


@pytest.fixture
def send() -> Sender:
    return Sender()


async def test_a_text_arrives_and_its_ids_are_told(send: Sender) -> None:
    sent = await send(text="Привет <b>", silent=True, protected=True, preview=False, topic=5)
    assert sent == {"message_id": 1, "message_ids": [1], "chat_id": 77, "date": 1_790_000_000}
    [message] = send.api.sent
    assert (message.method, message.params) == (
        "sendMessage",
        {
            "chat_id": 77,
            "text": "Привет <b>",
            "disable_notification": True,
            "protect_content": True,
            "link_preview_options": {"is_disabled": True},
            "message_thread_id": 5,
        },
    )


async def test_what_others_wrote_has_no_meaning_in_the_parse_mode(send: Sender) -> None:
    values = {"name": "<b>Anna & {phone}_", "phone": 7.5}
    for mode in ("HTML", "MarkdownV2", "none"):
        await send(text="*{name}* {phone}", values=values, parse_mode=mode)
    assert [one.params["text"] for one in send.api.sent] == [
        "*&lt;b&gt;Anna &amp; {phone}_* 7.5",
        "*<b\\>Anna & \\{phone\\}\\_* 7\\.5",
        "*<b>Anna & {phone}_* 7.5",
    ]
    assert [one.params.get("parse_mode") for one in send.api.sent] == ["HTML", "MarkdownV2", None]
    await send(text="{not a value}")
    assert send.api.sent[-1].params["text"] == "{not a value}"
    broken = await send(text="a < b", parse_mode="HTML")
    assert isinstance(broken, Reject)
    assert "can't parse entities" in broken.reason


async def test_buttons_and_a_reply(send: Sender) -> None:
    rows = [[{"text": "Take", "data": "take 7"}, {"text": "Open", "url": "https://crm.example"}]]
    await send(text="A lead", buttons=rows, reply_to=17)
    [message] = send.api.sent
    assert message.params["reply_markup"] == {
        "inline_keyboard": [
            [
                {"text": "Take", "callback_data": "take 7"},
                {"text": "Open", "url": "https://crm.example"},
            ]
        ]
    }
    assert message.params["reply_parameters"] == {
        "message_id": 17,
        "allow_sending_without_reply": True,
    }


async def test_a_file_goes_with_its_caption_and_its_name(send: Sender) -> None:
    content = b"--\r\n\x00\xff%PDF"
    name = 'счёт "7"\r\nX: y.pdf'
    await send(
        text="{n}", values={"n": "7"}, parse_mode="HTML", files=[send.file(content, name)],
        buttons=[[{"text": "Pay", "url": "https://pay.example"}]],
    )  # fmt: skip
    [message] = send.api.sent
    assert message.method == "sendDocument"
    assert message.params["caption"] == "7"
    assert message.params["reply_markup"]["inline_keyboard"]
    written = "счёт %227%22%0D%0AX: y.pdf"
    assert message.files == {"file0": Uploaded(written, "application/pdf", content)}
    await send(files=[send.file(b"x", "p", "image/png\r\nX: y")], files_as="photo", run="r2")
    photo = send.api.sent[-1]
    assert photo.method == "sendPhoto"
    assert "caption" not in photo.params
    assert photo.files["file0"] == Uploaded("p", "application/octet-stream", b"x")


async def test_several_files_are_one_album(send: Sender) -> None:
    files = [send.file(bytes([n]), f"{n}.jpg", "image/jpeg") for n in range(3)]
    sent = await send(text="Три", chat="@shop", files=files, files_as="photo")
    assert sent["message_ids"] == [1, 2, 3]
    message = send.api.sent[0]
    assert (message.method, message.params["chat_id"]) == ("sendMediaGroup", "@shop")
    assert message.params["media"] == [
        {"type": "photo", "media": "attach://file0", "caption": "Три"},
        {"type": "photo", "media": "attach://file1"},
        {"type": "photo", "media": "attach://file2"},
    ]
    assert [message.files[f"file{n}"].content for n in range(3)] == [b"\0", b"\1", b"\2"]
    assert len({one[0] for one in send.api.calls}) == 1


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({}, "give `text`, `files`, or both"),
        ({"text": " \n"}, "give `text`, `files`, or both"),
        ({"text": "x" * 4_097}, "has 4097 characters, and a message has 4096 at most"),
        ({"text": "{a}", "values": {"a": "x" * 4_097}}, "a message has 4096 at most"),
        ({"text": "{b}", "values": {"a": "x"}}, "`values` has no 'b'"),
        ({"text": "x", "chat": "shop"}, "write an id, or @ and a name"),
        ({"text": "x", "buttons": [[{"text": "a"}]]}, "one of `url` and `data`"),
        ({"text": "x", "buttons": [[{"text": "a", "data": "я" * 33}]]}, "more than 64 bytes"),
    ],
)
async def test_what_telegram_would_refuse_is_told_before(
    send: Sender, wrong: dict[str, Any], told: str
) -> None:
    with pytest.raises(Exception, match=told):
        await send(**wrong)
    assert send.api.calls == []


async def test_the_longest_text_is_sent(send: Sender) -> None:
    assert (await send(text="я" * 4_096))["message_id"] == 1
    refused = await send(text="x" * 4_097, parse_mode="HTML", run="r2")  # marks do not count
    assert refused == Reject("sendMessage: Bad Request: message is too long (status 400)")


async def test_bounds_of_files(send: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    one = send.file(b"x" * 1_025)
    with pytest.raises(Exception, match="the caption of files has 1024 at most"):
        await send(text="x" * 1_025, files=[one])
    with pytest.raises(Exception, match="more than 10"):
        await send(files=[one] * 11)
    with pytest.raises(Exception, match="an album of files has no buttons"):
        await send(files=[one] * 2, buttons=[[{"text": "a", "data": "b"}]])
    half = send.file(b"x" * 40_000)
    refused = await send(files=[half, half])
    assert isinstance(refused, Reject)
    assert "limit module_file_bytes" in refused.reason
    missing = await send(files=[{"blob": "sha256:" + "0" * 64}])
    assert isinstance(missing, Reject)
    monkeypatch.setattr(send_module, "PHOTO_BYTES", 1_000)
    large = await send(files=[one], files_as="photo")
    assert large == Reject("sendPhoto: a.pdf has 1025 bytes, and Telegram takes 1000 of a photo")
    assert send.api.calls == []


async def test_too_many_messages_are_tried_again_when_telegram_says(send: Sender) -> None:
    send.api.rate = 1
    await send(text="a")
    refused = await send(text="b", run="r2")
    assert isinstance(refused, Retry)
    assert (refused.after_s, "retry after 7" in refused.reason) == (7.0, True)
    send.api.now_s += 1
    assert (await send(text="b", run="r2", attempt=2))["message_id"] == 2


async def test_what_stays_ends_the_visit_in_telegram_s_words(send: Sender) -> None:
    blocked = await send(chat=BLOCKED, text="x")
    assert blocked == Reject("sendMessage: Forbidden: bot was blocked by the user (status 403)")
    moved = await send(chat=MIGRATED, text="x")
    assert isinstance(moved, Reject)
    assert f"the group has become {SUPERGROUP}" in moved.reason
    wrong = await send(account=bot("4242:wrong_token"), text="x")
    assert isinstance(wrong, Reject)
    assert "Unauthorized (status 401); is the token" in wrong.reason
    assert "wrong_token" not in wrong.reason
    for token in ("", "w3b/../x", "4242:a b"):
        refused = await send(account=bot(token), text="x")
        assert isinstance(refused, Reject)
        assert "needs as its `secret` the bot's token" in refused.reason
        assert not token or token not in refused.reason


@pytest.mark.parametrize(
    ("came", "after_s"),
    [
        (answered(502, b"<html>"), None),
        (answered(200, b"<html>"), None),
        (answered(500, {"ok": False, "error_code": 500, "description": "Internal"}), None),
        (answered(503, b"", retry_after="30"), 30.0),
        (answered(429, {"ok": False, "error_code": 429, "description": "Flood"}), 1.0),
        (answered(429, b"", retry_after="9"), 9.0),
    ],
)
async def test_what_passes_is_tried_again(send: Sender, came: Any, after_s: float | None) -> None:
    send.http = PreparedHttp(came)
    refused = await send(text="x")
    assert isinstance(refused, Retry)
    assert refused.after_s == after_s
    assert send.memory.values == {}


async def test_a_repeat_of_what_was_sent_sends_nothing(send: Sender) -> None:
    first = await send(text="x")
    assert await send(text="x", attempt=2) == first
    assert len(send.api.sent) == 1
    assert set(send.memory.ttls.values()) == {7 * 86_400.0}
    await send(text="x", run="other", attempt=2)  # another visit is another message
    assert len(send.api.sent) == 2


async def test_where_the_answer_is_lost_the_message_is_sent_again(send: Sender) -> None:
    def lost(method: str) -> None:
        raise ConnectionError

    send.api.after = lost
    assert await send(text="x") == Retry("sendMessage: the connection broke", None)
    send.api.after = lambda method: None
    assert (await send(text="x", attempt=2))["message_id"] == 2
    assert [one.params["text"] for one in send.api.sent] == ["x", "x"]


async def test_an_answer_without_a_message_is_not_sent_again(send: Sender) -> None:
    send.http = PreparedHttp(answered(200, {"ok": True, "result": True}))
    refused = await send(text="x")
    assert refused == Reject("sendMessage: it was sent, and the answer has no message")


async def test_files_have_the_time_that_the_step_leaves(send: Sender) -> None:
    await send(text="x")
    await send(files=[send.file(b"x")], run="r2")
    text_s, files_s = send.http.timeouts_s
    assert text_s == 20.0
    assert 50 < files_s < 56  # of the step's minute


async def call(api: BotApi, method: str, **params: Any) -> Any:
    context = given(BotHttp(api), connection=bot())  # type: ignore[arg-type]  # an Http
    return await answer(call_module.module, {"method": method, "params": params}, context)


async def test_any_other_method_is_called() -> None:
    api = BotApi()
    assert await call(api, "answerCallbackQuery", callback_query_id="1") == {"result": True}
    assert api.calls == [("answerCallbackQuery", {"callback_query_id": "1"})]
    unknown = await call(api, "sendNothing")
    assert isinstance(unknown, Reject)
    assert "Not Found (status 404)" in unknown.reason
    for method in ("getUpdates", "SETWEBHOOK", "logOut", "get/../x"):
        with pytest.raises(Exception, match="method"):
            await call(api, method)
    assert len(api.calls) == 2


async def test_steps_without_a_connection_are_refused() -> None:
    for module, config in (
        (send_module.module, {"chat": 1, "text": "x"}),
        (call_module.module, {"method": "getMe"}),
    ):
        refused = await answer(module, config, given())
        assert isinstance(refused, Reject)
        assert "the name of one of the kind telegram" in refused.reason

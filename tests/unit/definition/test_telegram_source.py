"""Source files of the kind `telegram`: what they give, and where they are wrong."""

from __future__ import annotations

import pytest

from beltline.definition.secret import SecretRef
from beltline.definition.source import CheckedSource, read_source
from beltline.definition.telegram import TelegramWay, TelegramWebhook
from tests.unit.definition.shelf import lines

HEAD = "source: s\nkind: telegram\nprocess: p\nconnection: bot\n"
HOOK = 'webhook: {url: "https://hub.example/in/s", secret: "${BOT_SECRET}"}\n'


def check(text: str) -> CheckedSource:
    return read_source(text, name="s", file="s.yaml", processes=["p"], connections=["bot"])


def way_of(rest: str) -> TelegramWay:
    checked = check(HEAD + rest)
    assert checked.source is not None, lines(checked.findings)
    assert checked.findings == []
    assert isinstance(checked.source.way, TelegramWay)
    return checked.source.way


def test_the_shortest_file_fetches_whatever_comes() -> None:
    assert way_of("") == TelegramWay("bot")


def test_a_file_with_every_key() -> None:
    assert way_of("updates: [message, chat_member]\n" + HOOK) == TelegramWay(
        "bot",
        ("message", "chat_member"),
        TelegramWebhook("https://hub.example/in/s", SecretRef("BOT_SECRET")),
    )


@pytest.mark.parametrize(
    ("rest", "line"),
    [
        ("updates: []", "s.yaml:5:10: updates must list kinds of updates. Write [message"),
        ("updates: [mesage]", 's.yaml:5:11: "mesage" is no kind of update. Did you mean "message"'),
        ("updates: [7]", "s.yaml:5:11: a number is no kind of update. Kinds: message,"),
        ("updates: [poll, poll]", "s.yaml:5:17: poll stands here twice"),
        ("webhook: https://hub.example/in/s", "s.yaml:5:10: webhook must be an object of keys"),
        ("webhook: {}", "s.yaml:5:10: webhook needs the address that Telegram sends to. Add"),
        ("webhook: {}", 's.yaml:5:10: webhook needs a secret. Add `secret: "${NAME}"`'),
        ("webhook: {url: x, secret: s3cret}", "s.yaml:5:16: url must be a whole address"),
        ("webhook: {url: x, secret: s3cret}", "s.yaml:5:27: secret must name a secret"),
        (
            "webhook: {url: 'https://a:b@h/in/s'}",
            "s.yaml:5:16: url must be a whole",
        ),
        ("webhook: {url: 'https://hub'}", "s.yaml:5:16: url must be a whole address"),
        ("webhook: {ur: x}", 's.yaml:5:11: unknown key "ur" in webhook. Did you mean "url"'),
        ("identity: {by: '{{ request.update_id }}'}", "s.yaml:5:1: a telegram source needs no ide"),
        ("every: 5m", 's.yaml:5:1: unknown key "every" in a source'),
    ],
)
def test_what_is_wrong_is_told_with_its_place(rest: str, line: str) -> None:
    checked = check(HEAD + rest + "\n")
    assert checked.source is None
    assert any(one.startswith(line) for one in lines(checked.findings)), lines(checked.findings)


def test_a_source_needs_a_connection_that_there_is() -> None:
    assert lines(check("source: s\nkind: telegram\nprocess: p\n").findings) == [
        "s.yaml:1:1: the source names no connection. Add `connection: NAME`."
    ]
    assert check(HEAD.replace("bot", "bat")).source is None

"""`phone`, `email` and `dedupe`: one form for what people write, and who came first."""

from __future__ import annotations

from typing import Any

import pytest

from beltline.modules import dedupe, email, phone
from beltline.sdk import Reject
from beltline.sdk.testing import Memory, answer, given


async def number(text: str | int, region: str | None = None, **config: Any) -> Any:
    return await answer(phone.module, {"phone": text, "region": region, **config}, given())


async def address(text: str, **config: Any) -> Any:
    return await answer(email.module, {"email": text, **config}, given())


# Phones


@pytest.mark.parametrize(
    ("text", "region", "e164"),
    [
        ("8 (916) 123-45-67", "RU", "+79161234567"),
        ("+7 916 123 45 67", None, "+79161234567"),
        (79161234567, "RU", "+79161234567"),
        ("9161234567", "RU", "+79161234567"),
        ("+44 20 7946 0958", "RU", "+442079460958"),
        ("810 44 20 7946 0958", "RU", "+442079460958"),
        ("８９１６１２３４５６７", "RU", "+79161234567"),
        ("tel:+7-916-123-45-67;ext=12", None, "+79161234567"),
    ],
)
async def test_many_ways_to_write_a_number_are_one(
    text: str | int, region: str | None, e164: str
) -> None:
    found = await number(text, region)
    assert (found["valid"], found["e164"]) == (True, e164), found
    assert found["digits"] == e164[1:]


async def test_an_extension_and_the_kind_are_told() -> None:
    found = await number("+7 495 123-45-67 доб. 12", None)
    assert (found["extension"], found["region"], found["kind"]) == ("12", "RU", "fixed")
    assert (await number("+79161234567"))["kind"] == "mobile"


@pytest.mark.parametrize(
    ("text", "region", "reason"),
    [
        ("9161234567", None, "does not tell its country"),
        ("+7 916", None, "no such number exists in RU (+7)"),
        ("+7 000 000-00-00", None, "no such number exists in RU (+7)"),
        ("call me", "RU", "no phone number"),
        ("", "RU", "no phone number"),
        ("9" * 300, "RU", "too long"),
        ("9161234567", "XX", "there is no region XX"),
    ],
)
async def test_what_is_no_number_is_told_or_refused(
    text: str, region: str | None, reason: str
) -> None:
    told = await number(text, region)
    assert (told["valid"], told["e164"]) == (False, "")
    assert reason in told["reason"]
    assert await number(text, region, invalid="reject") == Reject(told["reason"])


# Mail addresses


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("anna@site.example", "anna@site.example"),
        ("\tAnna.B@SITE.Example\n", "Anna.B@site.example"),
        ("anna+news@site.example", "anna+news@site.example"),
        ("анна@почта.рф", "анна@xn--80a1acny.xn--p1ai"),
        ('"a b"@site.example', '"a b"@site.example'),
    ],
)
async def test_an_address_in_one_form(text: str, found: str) -> None:
    told = await address(text)
    assert (told["valid"], told["email"]) == (True, found), told


async def test_a_tag_is_taken_off_where_the_author_says_so() -> None:
    told = await address("a+b+c@site.example", tag="remove")
    assert (told["email"], told["tag"]) == ("a@site.example", "b+c")
    assert (await address("+b@site.example", tag="remove"))["email"] == "+b@site.example"
    assert (await address('"a +b"@site.example', tag="remove"))["tag"] == ""


@pytest.mark.parametrize(
    "text", ["", "anna", "anna@", "@site.example", "a b@site.example", "a@b@c.example",
             "anna@site..example", "a" * 2_000 + "@site.example", "Anna <anna@site.example>",
             "anna@site.example\nBcc: x@y.example"]
)  # fmt: skip
async def test_what_is_no_address_is_told_or_refused(text: str) -> None:
    told = await address(text)
    assert (told["valid"], told["email"]) == (False, "")
    assert told["reason"]
    assert await address(text, invalid="reject") == Reject(told["reason"])


# Seen before


async def test_the_second_is_told_who_was_first() -> None:
    memory = Memory()
    config = {"key": "79161234567", "window": "1h"}

    async def seen(run: str, attempt: int = 1, **more: Any) -> Any:
        context = given(memory=memory, run=run, attempt=attempt)
        return await answer(dedupe.module, {**config, **more}, context)

    assert await seen("a") == {"duplicate": False, "first_run": "a"}
    assert await seen("b") == {"duplicate": True, "first_run": "a"}
    assert (await seen("a", attempt=2))["duplicate"] is False, "a repeat is no duplicate of itself"
    assert (await seen("b", space="other"))["duplicate"] is False
    assert (await seen("b", key=79161234567))["duplicate"] is True
    assert memory.ttls["dedupe: default", "79161234567"] == 3_600
    assert ("default", "79161234567") not in memory.values


@pytest.mark.parametrize("config", [{"key": " "}, {"key": "x" * 201}, {"key": "x", "window": "0s"}])
async def test_what_cannot_be_told_apart_is_refused(config: dict[str, Any]) -> None:
    outcome = await answer(dedupe.module, {"window": "1h", **config}, given())
    assert isinstance(outcome, Reject)

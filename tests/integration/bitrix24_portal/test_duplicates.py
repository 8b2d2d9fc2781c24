"""`crm.duplicate.findbycomm` finds by normalised phones and e-mails."""

from __future__ import annotations

from typing import Any

import pytest

from bitrix24_portal.multifields import phone_key
from tests.integration.bitrix24_portal.stand import Stand


@pytest.mark.parametrize(
    ("phone", "key"),
    [
        ("+7 (912) 345-67-89", "79123456789"),
        ("8 912 345 67 89", "79123456789"),
        ("0079123456789", "79123456789"),
        ("+7 912 345-67-89 доб. 12", "79123456789"),
        ("79123456789;12", "79123456789"),
        ("+49 30 1234", "49301234"),
        ("8 800", "8800"),
        ("call me", ""),
    ],
)
def test_phones_in_one_notation(phone: str, key: str) -> None:
    assert phone_key(phone) == key


async def test_all_three_kinds_are_searched_unless_one_is_asked_for(stand: Stand) -> None:
    await stand.add("lead", PHONE=[{"VALUE": "8 (912) 345-67-89"}])
    await stand.add("contact", PHONE=[{"VALUE": "+79123456789"}])
    await stand.add("contact", PHONE=[{"VALUE": "+79120000000"}])
    asked: dict[str, Any] = {"type": "PHONE", "values": ["+7 912 345 67 89"]}
    found = await stand.result("crm.duplicate.findbycomm", asked)
    assert found == {"LEAD": [1], "CONTACT": [1]}
    asked["entity_type"] = "CONTACT"
    assert await stand.result("crm.duplicate.findbycomm", asked) == {"CONTACT": [1]}
    asked["values"] = ["+79999999999"]
    assert await stand.result("crm.duplicate.findbycomm", asked) == []


async def test_emails_are_equal_in_any_case(stand: Stand) -> None:
    await stand.add("company", TITLE="ООО", EMAIL=[{"VALUE": "Anna@Example.RU"}])
    asked = {"type": "EMAIL", "values": ["x@example.ru", " anna@example.ru"]}
    assert await stand.result("crm.duplicate.findbycomm", asked) == {"COMPANY": [1]}


async def test_a_value_without_a_key_finds_nobody(stand: Stand) -> None:
    await stand.add("contact", PHONE=[{"VALUE": "нет"}])
    asked = {"type": "PHONE", "values": ["нет"]}
    assert await stand.result("crm.duplicate.findbycomm", asked) == []


async def test_twenty_of_one_kind_leave_the_later_kinds_out(stand: Stand) -> None:
    for _ in range(21):
        await stand.add("lead", PHONE=[{"VALUE": "+79123456789"}])
    await stand.add("contact", PHONE=[{"VALUE": "+79123456789"}])
    asked = {"type": "PHONE", "values": ["+79123456789"]}
    found = await stand.result("crm.duplicate.findbycomm", asked)
    assert found == {"LEAD": list(range(1, 21))}


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"values": ["1"]}, "type is not defined"),
        ({"type": "FAX", "values": ["1"]}, "'FAX' is not supported"),
        ({"type": "PHONE"}, "values is not defined"),
        ({"type": "PHONE", "values": ["1"] * 21}, "At most 20"),
        ({"type": "PHONE", "values": ["1"], "entity_type": "DEAL"}, "'DEAL' is not supported"),
    ],
)
async def test_wrong_questions_are_refused(
    stand: Stand, params: dict[str, Any], words: str
) -> None:
    status, code, description = await stand.refusal("crm.duplicate.findbycomm", params)
    assert (status, code) == (400, "")
    assert words in description

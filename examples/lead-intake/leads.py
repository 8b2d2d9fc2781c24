"""Made-up leads, and how a lead is sent to the hub: one signed POST.

Lead number n is always the same lead with the same id, so that a demonstration that is started
again goes on with the next number, and one that was killed while sending may send its last lead
twice: the source's `identity` sees to it that it is accepted once.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import random
from dataclasses import asdict, dataclass

import aiohttp

SOURCE = "/in/site-form"
SIGNATURE = "X-Signature"
TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Lead:
    """What the form holds. `lead_id` tells one lead from another, and a repeat from a new one."""

    lead_id: str
    name: str
    phone: str
    email: str
    question: str


class NotAccepted(Exception):
    """The hub did not take a lead; the text says why."""


# People whom the portal knows, their numbers as they type them: three with an open deal, and one
# whose deal was won.
_KNOWN = (
    ("Иван", "8 912 345-67-89", ""),
    ("Елена Кузнецова", "+7 (905) 111-22-33", "elena@example.ru"),
    ("Сергей", "89215550011", "s.orlov@example.ru"),
    ("Ольга Никитина", "+7 903 777 88 99", ""),
)
_FIRST_NAMES = ("Анна", "Павел", "Мария", "Дмитрий", "Юлия", "Kirill", "Наталья", "Артём", "Emma")
_QUESTIONS = (
    "Сколько стоит доставка в Казань?",
    "Перезвоните, пожалуйста, после обеда.",
    "Есть ли скидка на повторный заказ?",
    "Когда будет готов мой заказ?",
    "Do you ship abroad?",
    "Нужен счёт на организацию.",
)


def lead_of(number: int) -> Lead:
    """Lead number `number`; about every third comes from a person whom the portal knows."""
    chance = random.Random(number)  # noqa: S311 - made-up people, and the same ones at each start
    if chance.random() < 0.35:
        name, phone, email = chance.choice(_KNOWN)
    else:
        name = chance.choice(_FIRST_NAMES)
        phone = f"+7 999 {chance.randrange(1000):03}-{chance.randrange(100):02}-{number % 100:02}"
        email = f"visitor-{number}@example.com" if chance.random() < 0.5 else ""
    return Lead(f"made-up-{number}", name, phone, email, chance.choice(_QUESTIONS))


def sign(body: bytes, secret: str) -> str:
    """The signature that the source `site-form` verifies: HMAC-SHA256 of the body, in hex."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


async def send(session: aiohttp.ClientSession, hub: str, secret: str, lead: Lead) -> str:
    """Hands a lead to the hub at the address `hub`; gives the id of the request, which is durable
    then. Raises `NotAccepted`.
    """
    body = json.dumps(asdict(lead), ensure_ascii=False).encode()
    headers = {"Content-Type": "application/json", SIGNATURE: sign(body, secret)}
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    try:
        async with session.post(hub + SOURCE, data=body, headers=headers, timeout=timeout) as reply:
            if reply.status == 202:
                return str((await reply.json())["request"])
            answer = (await reply.text())[:500]
            raise NotAccepted(f"the hub answered {reply.status}: {answer}")
    except (aiohttp.ClientError, TimeoutError) as error:
        raise NotAccepted(f"the hub at {hub} did not answer: {str(error) or 'too late'}") from error

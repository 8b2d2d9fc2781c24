"""Senders, and what they were told: the outside book of a round.

A sender that gets no 202 sends the same request again under the same identity, to another node.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from typing import Any

import aiohttp
import msgspec

ANSWER_S = 4.0
AGAIN_S = 0.05


class Book(msgspec.Struct):
    """`acknowledged` is order number -> run id; `last_at` the time of the last of them (monotonic
    seconds). Statuses count all answers, 0 standing for none.
    """

    acknowledged: dict[str, str] = {}
    contradictions: list[str] = []
    statuses: dict[int, int] = {}
    last_at: float = 0.0

    def acknowledge(self, number: str, run: str) -> None:
        """An order got its 202."""
        first = self.acknowledged.setdefault(number, run)
        self.last_at = time.monotonic()
        if first != run:
            self.contradictions.append(f"order {number}: run {first}, then {run}")

    def count(self, status: int) -> None:
        """One more answer."""
        self.statuses[status] = self.statuses.get(status, 0) + 1


async def send_all(
    book: Book, addresses: Sequence[str], orders: int, *, at_once: int, per_s: float
) -> None:
    """Sends so many orders, each until it is acknowledged, at this rate in all."""
    numbers = iter(range(orders))
    began = time.monotonic()

    async def sender(session: aiohttp.ClientSession) -> None:
        for number in numbers:
            early_s = began + number / per_s - time.monotonic()
            if early_s > 0:
                await asyncio.sleep(early_s)
            await _send(book, session, addresses, number)

    timeout = aiohttp.ClientTimeout(ANSWER_S)
    async with aiohttp.ClientSession(timeout=timeout) as session, asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(sender(session))


async def _send(
    book: Book, session: aiohttp.ClientSession, addresses: Sequence[str], number: int
) -> None:
    order: dict[str, Any] = {"number": str(number)}
    tries = 0
    while True:
        address = addresses[(number + tries) % len(addresses)]
        tries += 1
        status, text = 0, ""
        try:
            async with session.post(f"{address}/in/orders", json=order) as answer:
                text = await answer.text()
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError):
            status = 0  # an answer that broke off is none
        if status == 202:
            book.acknowledge(order["number"], json.loads(text)["run"])
        elif status not in (0, 503):
            book.contradictions.append(f"order {number}: {status} {text[:200]}")
        book.count(status)
        if status not in (0, 503):
            return
        await asyncio.sleep(AGAIN_S)

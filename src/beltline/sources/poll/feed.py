"""A poll at work: asks, takes in each item that is new, and then keeps how far it has come.

    cursor ──> question ──> answers ──> items ──offer──> commit ──> the new cursor

The cursor moves on after the last item of the last answer is durable. Where a look breaks off, the
next one asks the same again, and what was taken is recognised.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from typing import Any, Protocol

import msgspec
import structlog

from beltline.core.expression import ExpressionFailed, Scope
from beltline.core.path import MISSING
from beltline.core.template import Template
from beltline.definition.poll import Asked
from beltline.sources.door import Door, FeedTrouble, Offering
from beltline.sources.identity import text_of
from beltline.sources.json_body import canonical
from beltline.sources.refusal import RequestRefused
from beltline.sources.rounds import Rounds
from beltline.sources.surroundings import Surroundings

_log = structlog.get_logger(__name__)

IDENTITY_MS = 365 * 86_400_000  # how long an item that stays in the answers is told from new ones


class Page(msgspec.Struct, frozen=True):
    """One answer, and the items that were found in it."""

    items: list[Any]
    answer: Any = None


class Question(Protocol):
    """What is asked, by one way."""

    def pages(self, cursor: Any) -> AsyncIterator[Page]:
        """The answers of one look, in their order; `cursor` None where there is none yet. Raises
        `FeedTrouble`.
        """
        ...


class _Kept(msgspec.Struct, frozen=True):
    cursor: Any


class PollFeed:
    """The feed of one poll."""

    def __init__(
        self, asked: Asked, door: Door, around: Surroundings, rounds: Rounds, question: Question
    ) -> None:
        self._asked = asked
        self._door = door
        self._clock = around.clock
        self._batch = around.limits.feed_batch
        self._identity_bytes = around.limits.identity_bytes
        self._rounds = rounds
        self._question = question

    async def run(self) -> None:
        """Looks for as long as it is let."""
        while True:
            await self._rounds.begin()
            await self._look()
            self._rounds.done()

    async def _look(self) -> None:
        kept = await self._door.cursor()
        before = self._asked.start if kept is None else msgspec.convert(kept, _Kept).cursor
        after = before
        async for page in self._question.pages(before):
            for begin in range(0, len(page.items), self._batch):
                await self._bring(page.items[begin : begin + self._batch])
            after = self._cursor_after(page, after)
        if after is not None and after != before:
            await self._door.move_on(msgspec.to_builtins(_Kept(after)))

    async def _bring(self, items: list[Any]) -> None:
        offerings = []
        for item in items:
            try:
                offerings.append(self._offering(item))
            except RequestRefused as refused:
                self._door.note(refused, item)
                self._refused(refused)
        for answer in await self._door.offer_many(offerings):
            if isinstance(answer, RequestRefused):
                self._refused(answer)

    def _offering(self, item: Any) -> Offering:
        if self._asked.id is None:
            told = hashlib.blake2b(canonical(item), digest_size=16).hexdigest()
            return Offering(item, {}, told, IDENTITY_MS)
        value = self._value(self._asked.id, {"item": item}, "id")
        if value is None or value == "":
            raise RequestRefused(422, "no-identity", "An item has no value for the poll's `id`.")
        told = text_of(value, "identity", bytes_most=self._identity_bytes)
        return Offering(item, {"item": told}, told, IDENTITY_MS)

    def _refused(self, refused: RequestRefused) -> None:
        """It will never be taken, so that the cursor passes it: this is where it is told."""
        if refused.detail != self._door.state.refusal:
            _log.warning(
                "an item of a poll is refused",
                source=self._door.source.name,
                reason=refused.detail,
            )
        self._door.refused(refused.detail)

    # How far it has come

    def _cursor_after(self, page: Page, cursor: Any) -> Any:
        asked = self._asked
        if asked.cursor is None:
            return None
        known = {"answer": page.answer}
        if cursor is not None:
            known["cursor"] = cursor
        if not asked.cursor_is_of_items:
            value = self._value(asked.cursor, known, "cursor")
            return cursor if value is None else value
        for item in page.items:
            value = self._value(asked.cursor, {**known, "item": item}, "cursor")
            if value is not None:
                cursor = _greater(cursor, value)
        return cursor

    def _value(self, template: Template, document: dict[str, Any], what: str) -> Any:
        """What an expression gives; None where that is nothing."""
        try:
            value = template.resolve(document, Scope(self._clock.now(), self._door.source.name, 0))
        except ExpressionFailed as failed:
            raise FeedTrouble(f"the {what} cannot be told: {failed}") from failed
        return None if value is MISSING else value


def _greater(one: Any, other: Any) -> Any:
    """The greater of two cursors: of numbers by their size, of texts by their characters."""
    if one is None:
        return other
    both_numbers = _is_number(one) and _is_number(other)
    if not both_numbers and not (isinstance(one, str) and isinstance(other, str)):
        raise FeedTrouble(
            "the cursors of two items cannot be compared: all have to be numbers, or all texts"
        )
    return max(one, other)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

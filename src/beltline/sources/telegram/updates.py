"""An update of a bot -> what is offered: told by its `update_id`, however often it comes.

Telegram keeps an update for 24 hours at most, and begins anew with some other id when there was
none for a week. So ids are told apart for less than a week: long beside the former, and never
beyond the latter, where an old id may come to mean another update.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

import msgspec
import structlog

from beltline.sources.door import Door, Offering
from beltline.sources.refusal import RequestRefused

TOLD_APART_MS = 6 * 86_400_000

Found = Literal["webhook", "fetched"]
_log = structlog.get_logger(__name__)


class Update(msgspec.Struct, frozen=True):
    """An update as it came: `kind` is the one key that it has beside its id."""

    id: int
    kind: str
    value: dict[str, Any]

    def is_one_of(self, kinds: Collection[str]) -> bool:
        """Whether it was asked for; none asks for whatever comes. Those that happened before the
        bot's owner asked for others come all the same.
        """
        return not kinds or self.kind in kinds

    def offering(self, found: Found) -> Offering:
        """The request that it is."""
        return Offering(self.value, {"found": found}, str(self.id), TOLD_APART_MS)


def read_update(value: Any) -> Update:
    """Raises `RequestRefused` (422)."""
    id = value.get("update_id") if isinstance(value, dict) else None
    if not isinstance(value, dict) or type(id) is not int:
        raise RequestRefused(422, "no-update", "Send an update, an object with its update_id.")
    kind = next((key for key in value if key != "update_id"), "")
    return Update(id, kind, value)


def refused(door: Door, why: RequestRefused) -> None:
    """It will never be taken, and is not to come again: this is where it is told."""
    if why.detail != door.state.refusal:
        _log.warning("an update is refused", source=door.source.name, reason=why.detail)
    door.refused(why.detail)

"""What a method works with: the storage, the moment, who calls, and what is announced."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any

from bitrix24_portal.fields import iso_moment
from bitrix24_portal.settings import PortalSettings
from bitrix24_portal.storage import Storage


@dataclass(slots=True)
class Context:
    """One call. Everything that it changes is one transaction, its announcements included."""

    storage: Storage
    settings: PortalSettings
    now: float
    user_id: int
    announced: int = field(default=0)

    @property
    def zone(self) -> tzinfo:
        """The portal's time zone."""
        return self.settings.zone

    @property
    def moment(self) -> str:
        """The moment of the call in the form in which tables keep it."""
        return iso_moment(self.now, self.zone)

    def announce(self, event: str, subject_id: int) -> None:
        """Queues an outgoing event for every handler that is bound to it."""
        self.announced += self.storage.run(
            'INSERT INTO "delivery" ("HANDLER_ID", "HANDLER", "EVENT", "SUBJECT_ID", "TS") '
            'SELECT "ID", "HANDLER", "EVENT", ?, ? FROM "handler" WHERE "EVENT" = ?',
            (subject_id, int(self.now), event),
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """What a method answers. `total` and `next` stand beside the result in the envelope."""

    result: Any
    total: int | None = None
    next: int | None = None

    def envelope(self) -> dict[str, Any]:
        """The result with the counters that it has."""
        body: dict[str, Any] = {"result": self.result}
        if self.next is not None:
            body["next"] = self.next
        if self.total is not None:
            body["total"] = self.total
        return body

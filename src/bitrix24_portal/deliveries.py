"""Outgoing events: told once to each bound handler, in the background, and never again.

An announcement is stored with the change that it tells of. Before it is sent it is marked, so that
neither a failure nor a crash makes it go out twice: a handler that misses it must ask for itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

from bitrix24_portal.portal import Portal
from bitrix24_portal.settings import PortalSettings
from bitrix24_portal.storage import Row

Form = list[tuple[str, str]]
Send = Callable[[str, Form], Awaitable[int]]

AT_ONCE = 20
EVENTS_PAGE = 1_000
_LOG = logging.getLogger(__name__)


def event_form(settings: PortalSettings, row: Row) -> Form:
    """The form-encoded body of an event, name by name."""
    address = settings.address.rstrip("/")
    return [
        ("event", row["EVENT"]),
        ("event_handler_id", str(row["HANDLER_ID"])),
        ("data[FIELDS][ID]", str(row["SUBJECT_ID"])),
        ("ts", str(row["TS"])),
        ("auth[domain]", settings.host),
        ("auth[client_endpoint]", f"{address}/rest/"),
        ("auth[server_endpoint]", f"{address}/oauth/rest/"),
        ("auth[member_id]", member_id(settings)),
        ("auth[application_token]", settings.application_token),
    ]


def member_id(settings: PortalSettings) -> str:
    """The portal's own id, the same for the same address."""
    return settings.host.encode().hex()[:32].ljust(32, "0")


class Deliveries:
    """The sender of announced events. `send` posts a form and gives the status."""

    def __init__(self, portal: Portal, send: Send) -> None:
        self._portal = portal
        self._send = send
        self._late: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Sends what waits, whenever something is announced, until cancelled."""
        try:
            while True:
                self._portal.announced.clear()
                while await self.send_waiting():
                    pass
                await self._portal.announced.wait()
        finally:
            for task in self._late:
                task.cancel()

    async def send_waiting(self) -> int:
        """Sends up to twenty waiting events at once and gives their number."""
        storage = self._portal.storage
        with storage.transaction():
            rows = storage.rows(
                'SELECT * FROM "delivery" WHERE "OUTCOME" IS NULL ORDER BY "ID" LIMIT ?', (AT_ONCE,)
            )
            for row in rows:
                storage.update("delivery", row["ID"], {"OUTCOME": "sending"})
        outcomes = await asyncio.gather(*(self._deliver(row) for row in rows))
        with storage.transaction():
            for row, outcome in zip(rows, outcomes, strict=True):
                if outcome is not None:
                    storage.update("delivery", row["ID"], {"OUTCOME": outcome})
        return len(rows)

    async def _deliver(self, row: Row) -> str | None:
        """Sends an event, unless a test has ordered otherwise; None where it is sent later."""
        fault = self._portal.faults.take_for_event(row["EVENT"])
        if fault is None:
            return await self._attempt(row)
        if fault.kind == "lose-event":
            return "lost"
        if fault.kind == "double-event":
            await self._attempt(row)
            return await self._attempt(row)
        task = asyncio.create_task(self._attempt_later(row, fault.delay_s))
        self._late.add(task)
        task.add_done_callback(self._late.discard)
        return None

    async def _attempt_later(self, row: Row, delay_s: float) -> None:
        await self._portal.clock.sleep(delay_s)
        outcome = await self._attempt(row)
        with self._portal.storage.transaction():
            self._portal.storage.update("delivery", row["ID"], {"OUTCOME": outcome})

    async def _attempt(self, row: Row) -> str:
        form = event_form(self._portal.settings, row)
        try:
            async with asyncio.timeout(self._portal.settings.delivery_timeout_s):
                status = await self._send(row["HANDLER"], form)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            _LOG.warning("%s to %s failed: %r", row["EVENT"], row["HANDLER"], error)
            return f"failed: {type(error).__name__}"
        return f"answered {status}"


def sender(session: aiohttp.ClientSession) -> Send:
    """A `send` that posts over HTTP without following redirects."""

    async def send(address: str, form: Form) -> int:
        data = aiohttp.FormData(form)
        async with session.post(address, data=data, allow_redirects=False) as answer:
            return answer.status

    return send


def delivery_list(portal: Portal, *, after: int = 0) -> list[dict[str, Any]]:
    """Up to 1,000 announced events after the given id, with how their one attempt went."""
    rows = portal.storage.rows(
        'SELECT * FROM "delivery" WHERE "ID" > ? ORDER BY "ID" LIMIT ?', (after, EVENTS_PAGE)
    )
    return [
        {
            "id": row["ID"],
            "event": row["EVENT"],
            "handler": row["HANDLER"],
            "subject_id": row["SUBJECT_ID"],
            "ts": row["TS"],
            "outcome": row["OUTCOME"] or "waiting",
        }
        for row in rows
    ]

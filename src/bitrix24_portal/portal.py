"""The portal without HTTP: who may call, the limits, the faults, and one call from start to end.

A call is one transaction: what it changed, the events that it announced and its line in the call
log are kept together or not at all. A refused call leaves only its line.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bitrix24_portal.clock import Clock, SystemClock
from bitrix24_portal.context import Answer, Context
from bitrix24_portal.errors import (
    RestError,
    no_credentials,
    operating_limit,
    too_many_requests,
    unknown_method,
    wrong_credentials,
)
from bitrix24_portal.faults import Fault, Faults
from bitrix24_portal.limits import OperatingLimit, RateLimit
from bitrix24_portal.methods import all_methods
from bitrix24_portal.methods.categories import fill_categories
from bitrix24_portal.methods.handlers import fill_outgoing
from bitrix24_portal.methods.statuses import fill_directories
from bitrix24_portal.registry import call
from bitrix24_portal.settings import PortalSettings
from bitrix24_portal.storage import Row, Storage

LOGGED_PARAMS_CHARS = 20_000  # of one call; longer ones are cut and say so
LEDGER_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Caller:
    """Where a call comes from and as whom; `code` is the secret part of the address."""

    address: str
    user: str | None
    code: str | None


@dataclass(slots=True)
class Done:
    """A call that was carried out: the answer with its `time`, or the error."""

    started: float
    finished: float
    operating_s: float
    operating_reset_at: int
    answer: Answer | None = None
    error: RestError | None = None
    fault: Fault | None = None


class Portal:
    """One portal over one file. Not for use from several threads."""

    def __init__(
        self,
        settings: PortalSettings,
        *,
        clock: Clock | None = None,
        faults: Faults | None = None,
    ) -> None:
        self.settings = settings
        self.clock: Clock = clock or SystemClock()
        self.faults = faults or Faults()
        self.storage = Storage(settings.data)
        self.methods = all_methods()
        self.announced = asyncio.Event()
        self._rate = RateLimit(settings.rate_per_s, settings.burst)
        self._operating = OperatingLimit(settings.operating_limit_s)
        with self.storage.transaction():
            fill_directories(self.storage)
            fill_categories(self.storage)
            fill_outgoing(self.storage, settings.outgoing)

    def close(self) -> None:
        """Closes the file."""
        self.storage.close()

    def context(self) -> Context:
        """A context for work that is not a call: seeding, and tests."""
        return Context(self.storage, self.settings, self.clock.now(), self.settings.user_id)

    def admit(self, caller: Caller, method: str) -> None:
        """Lets a call in, or logs it and refuses.

        Raises:
            RestError: 503 over the rate, 401 without user and code, 403 with wrong ones.
        """
        try:
            if not self._rate.admit(caller.address, self.clock.now()):
                raise too_many_requests()
            if caller.user is None or caller.code is None:
                raise no_credentials()
            same = hmac.compare_digest(caller.code.encode(), self.settings.secret.encode())
            if not same or caller.user != str(self.settings.user_id):
                raise wrong_credentials()
        except RestError as error:
            with self.storage.transaction():
                self.log(caller, method, {}, error=error)
            raise

    async def perform(
        self, caller: Caller, name: str, given: Mapping[str, Any], *, batch: int | None = None
    ) -> Done:
        """Carries one method out. Errors come back in `Done`, they are not raised."""
        started = self.clock.now()
        fault = self.faults.take(name)
        if fault is not None and fault.delay_s:
            await self.clock.sleep(fault.delay_s)
        answer: Answer | None = None
        error: RestError | None = None
        try:
            answer = self._carry_out(caller, name, given, fault, batch)
        except RestError as refused:
            error = refused
            with self.storage.transaction():
                self.log(caller, name, given, error=refused, batch=batch)
        finished = self.clock.now()
        key = name.lower()
        if self.methods.find(name) is not None:  # names that callers make up are not counted
            self._operating.add(key, finished - started, finished)
        return Done(
            started,
            finished,
            self._operating.spent_s(key, finished),
            self._operating.reset_at(key, finished),
            answer,
            error,
            fault,
        )

    def _carry_out(
        self,
        caller: Caller,
        name: str,
        given: Mapping[str, Any],
        fault: Fault | None,
        batch: int | None,
    ) -> Answer:
        if fault is not None and fault.kind in {"error", "drop"}:
            raise fault.raised()
        method = self.methods.find(name)
        if method is None:
            raise unknown_method()
        if self._operating.blocked(name.lower(), self.clock.now()):
            raise operating_limit()
        with self.storage.transaction():
            context = self.context()
            answer = call(method, context, given)
            self.log(caller, name, given, batch=batch)
        if context.announced:
            self.announced.set()
        return answer

    def log(
        self,
        caller: Caller,
        method: str,
        given: Mapping[str, Any],
        *,
        error: RestError | None = None,
        batch: int | None = None,
    ) -> int:
        """Writes a line of the call log; the secret is not among it. Gives the line's id."""
        text = json.dumps(given, ensure_ascii=False, default=str)
        if len(text) > LOGGED_PARAMS_CHARS:
            text = json.dumps({"cut": text[:LOGGED_PARAMS_CHARS]}, ensure_ascii=False)
        known = caller.user if caller.user and caller.user.isdigit() else None
        return self.storage.insert(
            "call",
            {
                "AT": self.clock.now(),
                "CALLER": caller.address,
                "USER_ID": int(known[:15]) if known else None,
                "METHOD": method[:100],
                "BATCH": batch,
                "PARAMS": text,
                "STATUS": error.status if error else 200,
                "ERROR": (error.code or error.description) if error else None,
            },
        )

    def ledger(self, *, after: int = 0, method: str | None = None) -> list[dict[str, Any]]:
        """Up to 1,000 calls in their order, after the given id, of one method or of all."""
        rows: list[Row] = self.storage.rows(
            'SELECT * FROM "call" WHERE "ID" > ? AND (? IS NULL OR lower("METHOD") = lower(?)) '
            'ORDER BY "ID" LIMIT ?',
            (after, method, method, LEDGER_PAGE),
        )
        return [
            {
                "id": row["ID"],
                "at": row["AT"],
                "caller": row["CALLER"],
                "user_id": row["USER_ID"],
                "method": row["METHOD"],
                "batch": row["BATCH"],
                "params": json.loads(row["PARAMS"]),
                "status": row["STATUS"],
                "error": row["ERROR"],
            }
            for row in rows
        ]

    def time_block(self, done: Done) -> dict[str, Any]:
        """The `time` of an envelope."""
        zone = self.settings.zone

        def iso(moment: float) -> str:
            return datetime.fromtimestamp(int(moment), zone).isoformat()

        spent = done.finished - done.started
        return {
            "start": done.started,
            "finish": done.finished,
            "duration": spent,
            "processing": spent,
            "date_start": iso(done.started),
            "date_finish": iso(done.finished),
            "operating_reset_at": done.operating_reset_at,
            "operating": done.operating_s,
        }

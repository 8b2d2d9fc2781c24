"""Takes a request in: once `submit` returns, it is durable, a repeat, or refused with a reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from beltline.core.model import Process
from beltline.engine.committer import Committer
from beltline.engine.ids import RunIds
from beltline.engine.ports import Clock, Mailbox, Reply
from beltline.engine.records import NewRequest, Repeat
from beltline.engine.work import Accepted, Refused, Submitted


class Intake:
    """The one way of a request into the store."""

    def __init__(
        self,
        mailbox: Mailbox,
        committer: Committer,
        ids: RunIds,
        clock: Clock,
        new_reply: Callable[[], Reply],
    ) -> None:
        self._mailbox = mailbox
        self._committer = committer
        self._ids = ids
        self._clock = clock
        self._new_reply = new_reply
        self.is_closed = False

    def go_through(self, committer: Committer) -> None:
        """Requests become durable by this committer from now on."""
        self._committer = committer

    def refusal(self) -> str:
        """Why nothing can be accepted now; empty where it can."""
        if self.is_closed:
            return "the hub is stopping"
        return self._committer.refusal()

    def new_key(self) -> tuple[bytes, int]:
        """The key of the next request, and the moment it came in (Unix ms)."""
        now = self._clock.now()
        return self._ids.new_key(now), now

    async def submit(
        self, request: NewRequest, version_id: int, process: Process | None
    ) -> Accepted | Repeat | Refused:
        """Accepts a request for a process (None: its source holds it back)."""
        reason = self.refusal()
        if reason:
            return Refused(reason)
        reply = self._new_reply()
        self._mailbox.post([Submitted(request, process, version_id, reply)])
        answer: Any = await reply.wait()
        assert isinstance(answer, Accepted | Repeat | Refused)
        return answer

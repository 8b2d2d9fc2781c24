"""One node: the engine's parts put together, and the order of its start and end."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from beltline.core.limits import Limits
from beltline.engine.belt import Belt
from beltline.engine.committer import Committer
from beltline.engine.ids import RunIds
from beltline.engine.intake import Intake
from beltline.engine.loader import Loader, Processes
from beltline.engine.moving import MovingRuns, Timers
from beltline.engine.ports import Bell, Clock, Mailbox, Reply, Report, Store, Transport
from beltline.engine.work import Barrier


class Node:
    """A belt with all that it needs. `coroutines()` are to run side by side until one raises
    (`StoreBroken`: the process must end) or the node is stopped.
    """

    def __init__(
        self,
        *,
        store: Store,
        transport: Transport,
        processes: Processes,
        mailbox: Mailbox,
        clock: Clock,
        entropy: Callable[[int], bytes],
        new_bell: Callable[[], Bell],
        new_reply: Callable[[], Reply],
        report: Report,
        limits: Limits,
    ) -> None:
        self._mailbox = mailbox
        self._new_reply = new_reply
        self.store = store
        self.clock = clock
        self.runs = MovingRuns(limits)
        self.timers = Timers(self.runs, clock, mailbox, new_bell())
        self.loader = Loader(store, processes, mailbox, self.runs, clock, new_bell(), limits)
        self.committer = Committer(
            store,
            transport,
            mailbox,
            self.runs,
            self.timers,
            clock,
            new_bell,
            self.loader.expect,
            limits,
        )
        self.belt = Belt(
            mailbox=mailbox,
            committer=self.committer,
            transport=transport,
            runs=self.runs,
            timers=self.timers,
            clock=clock,
            loader=self.loader,
            report=report,
            limits=limits,
        )
        self.intake = Intake(mailbox, self.committer, RunIds(entropy), clock, new_reply)

    async def recover(self) -> int:
        """To be awaited first: gives back what an unclean end left behind; gives its number."""
        return await self.loader.recover()

    def coroutines(self) -> list[Coroutine[Any, Any, None]]:
        """What has to run, in no order."""
        return [self.belt.run(), self.committer.run(), self.loader.run(), self.timers.run()]

    def watch(self, key: bytes) -> Reply:
        """A reply that is given the run's status once it is at rest; ask before it can be."""
        reply = self._new_reply()
        self.committer.watch(key, reply)
        return reply

    async def flush(self) -> None:
        """Returns when everything posted so far is decided on and durable."""
        reply = self._new_reply()
        self._mailbox.post([Barrier(reply)])
        await reply.wait()

    def drain(self) -> None:
        """Begins a clean stop: nothing is accepted, loaded or dispatched any more, while answers
        that are on their way are still recorded. `store.hand_over` ends it.
        """
        self.intake.is_closed = True
        self.loader.is_draining = True
        self.committer.is_draining = True

"""The threads that work on the database, and how coroutines wait for them.

One writer drains everything that waits in its queue into one transaction: the group commit. Results
leave a thread only when they are true, that is after the commit, in one callback for each event
loop that waits.

      coroutine -- Job --> queue --> BEGIN  job job job  COMMIT --> one callback --> coroutines
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

import apsw

from beltline.engine.ports import StoreBroken, StoreFull
from beltline.stores.sqlite.failures import BUSY, store_failure

CHECKPOINT_PAGES = 2_000  # 8 MiB of log: copied in about 8 ms, and hot pages once instead of often

CLOSED = "the store is closed"

Work = Callable[[apsw.Connection], Any]


class Job:
    """One call of the port on its way through a thread.

    `guarded` work may fail by itself after it has begun to write, so it is undone by itself.
    `then` is what a reader does with the value once the writer has committed it.
    """

    __slots__ = ("error", "future", "guarded", "loop", "then", "value", "work")

    def __init__(
        self,
        work: Work,
        *,
        guarded: bool = False,
        then: Callable[[apsw.Connection, Any], Any] | None = None,
    ) -> None:
        self.work = work
        self.then = then
        self.guarded = guarded
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = self.loop.create_future()
        self.value: Any = None
        self.error: BaseException | None = None


class Health:
    """Whether the store still works; once broken it stays so, for all threads."""

    def __init__(self) -> None:
        self._broken: StoreBroken | None = None

    def break_down(self, failure: StoreBroken) -> None:
        """From now on everything is refused, with the first reason."""
        self._broken = self._broken or failure

    def check(self) -> None:
        """Raises `StoreBroken` if the store is broken."""
        if self._broken:
            raise StoreBroken(*self._broken.args) from self._broken

    @property
    def broken(self) -> bool:
        """Whether the store is broken."""
        return self._broken is not None


def apply_to(then: Callable[[apsw.Connection, Any], Any], value: Any, db: apsw.Connection) -> Any:
    """The second part of a job, done with what its first part gave."""
    return then(db, value)


def deliver(jobs: list[Job]) -> None:
    """Hands results back, one callback for each loop."""
    loops: dict[asyncio.AbstractEventLoop, list[Job]] = {}
    for job in jobs:
        loops.setdefault(job.loop, []).append(job)
    for loop, waiting in loops.items():
        # A loop that was closed meanwhile refuses, and has nobody who waits.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(resolve, waiting)


def refuse_rest(queue: SimpleQueue[Job | None]) -> None:
    """Refuses the jobs that came after the end, once no worker reads the queue any more."""
    late: list[Job] = []
    with suppress(Empty):
        while True:
            if job := queue.get_nowait():
                job.error = RuntimeError(CLOSED)
                late.append(job)
    deliver(late)


def resolve(jobs: list[Job]) -> None:
    """Wakes those who wait; runs in their loop."""
    for job in jobs:
        if job.future.done():  # the waiting coroutine was cancelled
            continue
        if job.error is None:
            job.future.set_result(job.value)
        else:
            job.future.set_exception(job.error)


class Worker:
    """A thread with a connection and a queue of jobs; `None` in the queue ends it."""

    def __init__(
        self, name: str, db: apsw.Connection, queue: SimpleQueue[Job | None], health: Health
    ) -> None:
        self.db = db
        self._queue = queue
        self._health = health
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Waits until the jobs that came before the end are done."""
        self._thread.join()

    def close(self) -> None:
        """Closes the connection; the last one to close copies the log into the database."""
        if self._health.broken:
            # Closing would sync again, and after a failed sync that would tell a lie.
            self.db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        self.db.close()

    def _serve(self) -> None:
        raise NotImplementedError


class Reader(Worker):
    """Does jobs that only read, one by one."""

    def _serve(self) -> None:
        while (job := self._queue.get()) is not None:
            while True:
                try:
                    self._health.check()
                    job.value = job.work(self.db)
                except BUSY:
                    continue
                except BaseException as error:  # noqa: BLE001 - whoever waits gets it
                    failure = store_failure(error)
                    if isinstance(failure, StoreBroken):
                        self._health.break_down(failure)
                    job.error = failure or error
                break
            deliver([job])


class Writer(Worker):
    """Does jobs that write, all that wait in one transaction. `commits` counts those."""

    def __init__(
        self,
        name: str,
        db: apsw.Connection,
        queue: SimpleQueue[Job | None],
        health: Health,
        *,
        readers: SimpleQueue[Job | None],
    ) -> None:
        self.commits = 0
        self._readers = readers
        self._wal_pages = 0
        self._checkpoint_at = CHECKPOINT_PAGES
        db.set_wal_hook(self._note_wal_pages)
        super().__init__(name, db, queue, health)

    def _serve(self) -> None:
        going = True
        while going:
            jobs, going = self._gather()
            try:
                self._commit(jobs)
            except BaseException as error:  # noqa: BLE001 - those who wait get it
                self._refuse(jobs, error)
            deliver([job for job in jobs if not self._hand_on(job)])
            if self._wal_pages >= self._checkpoint_at:
                self._checkpoint()

    def _gather(self) -> tuple[list[Job], bool]:
        """Everything that waits, at least one job; False once the end was asked for."""
        jobs: list[Job] = []
        job = self._queue.get()
        try:
            while job is not None:
                jobs.append(job)
                job = self._queue.get_nowait()
        except Empty:
            return jobs, True
        return jobs, False

    def _commit(self, jobs: list[Job]) -> None:
        """Does the jobs in one transaction; without those that turn out to be mistaken."""
        sound = jobs
        while sound:
            self._health.check()
            self._begin()
            mistaken = self._work(sound)
            if mistaken is None:
                self.db.execute("COMMIT")
                self.commits += 1
                return
            self.db.execute("ROLLBACK")
            sound = [job for job in sound if job is not mistaken]

    def _hand_on(self, job: Job) -> bool:
        """Gives a job that has a second part, and something to do it with, to the readers."""
        if job.then is None or job.error is not None or not job.value:
            return False
        job.work = partial(apply_to, job.then, job.value)
        self._readers.put(job)
        return True

    def _begin(self) -> None:
        while True:
            try:
                self.db.execute("BEGIN IMMEDIATE")
            except BUSY:
                continue
            return

    def _work(self, jobs: list[Job]) -> Job | None:
        """Does the jobs in order; gives the first that failed by itself without a guard."""
        for job in jobs:
            job.error = None
            if job.guarded:
                self._work_guarded(job)
                continue
            try:
                job.value = job.work(self.db)
            except BaseException as error:
                if store_failure(error):
                    raise
                job.error = error
                return job
        return None

    def _work_guarded(self, job: Job) -> None:
        self.db.execute("SAVEPOINT job")
        try:
            job.value = job.work(self.db)
        except BaseException as error:
            if store_failure(error):
                raise
            job.error = error
            self.db.execute("ROLLBACK TO job")
        self.db.execute("RELEASE job")

    def _refuse(self, jobs: list[Job], error: BaseException) -> None:
        """Nothing of the transaction happened, or nobody knows."""
        failure = store_failure(error) or StoreBroken(f"the store's writer failed: {error!r}")
        if isinstance(failure, StoreFull):
            self._checkpoint_at = 0  # copied into the database, the log starts anew: some room
            try:
                if self.db.in_transaction:
                    self.db.execute("ROLLBACK")
            except apsw.Error as second:
                failure = StoreBroken(f"the store could not undo a commit ({second})")
        if isinstance(failure, StoreBroken):
            self._health.break_down(failure)
        for job in jobs:
            own = job.error if isinstance(failure, StoreFull) else None
            job.error = own or type(failure)(*failure.args)
            job.error.__cause__ = error

    def _note_wal_pages(self, _db: apsw.Connection, _name: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK

    def _checkpoint(self) -> None:
        """Copies the log into the database; what a reader still needs waits for the next time."""
        try:
            total, copied = self.db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except (*BUSY, apsw.FullError):
            total, copied = self._wal_pages, 0  # the log has it all: nothing is lost by waiting
        except apsw.Error as error:
            self._health.break_down(StoreBroken(f"the store could not copy its log ({error})"))
            return
        # The log starts anew at the next commit if all of it was copied.
        left = total - copied
        self._wal_pages = left
        self._checkpoint_at = (total if left else 0) + CHECKPOINT_PAGES

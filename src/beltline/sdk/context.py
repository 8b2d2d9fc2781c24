"""What a handler is given beside its parameters: who asks, until when, and ways to the outside."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from email.utils import parsedate_to_datetime
from hashlib import blake2b
from typing import Any, Protocol, TypeVar

import msgspec

from beltline.sdk.bounds import Bounds
from beltline.sdk.client import Client, ClientFailed, Clients
from beltline.sdk.connection import Connection
from beltline.sdk.files import Files

T = TypeVar("T")


class HttpResponse(msgspec.Struct, frozen=True):
    """An answer from outside; `headers` have lower-case names."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON. Raises `ValueError` where it is not."""
        return msgspec.json.decode(self.body)

    def retry_after_s(self) -> float | None:
        """The wait in seconds that `retry-after` asks for, or None.

        A date there is measured against the answer's own `date`, so that the clocks need not agree.
        """
        asked = self.headers.get("retry-after", "").strip()
        if asked.isascii() and asked.isdigit():
            return float(asked[:9])
        try:
            until = parsedate_to_datetime(asked)
            sent = parsedate_to_datetime(self.headers.get("date", ""))
            return max(0.0, (until - sent).total_seconds())
        except (ValueError, TypeError):  # no date, or one with a zone beside one without
            return None


class HttpFailed(Exception):
    """No answer came: the address was refused, the connection broke, or the time ran out.

    `permanent` holds where trying again cannot help, such as an address that is not allowed;
    `unreachable` where nothing was sent, since there was no way to the other side.
    """

    def __init__(self, message: str, *, permanent: bool = False, unreachable: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.unreachable = unreachable


class AnswerTooLarge(HttpFailed):
    """The answer has more bytes than are read."""


class Http(Protocol):
    """The one outgoing client. It refuses private addresses unless the connection allows them."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_s: float = 30.0,
        connection: Connection | None = None,
    ) -> HttpResponse:
        """Sends one request and reads the whole answer. Raises `HttpFailed`."""
        ...


class KeyValue(Protocol):
    """A durable store of JSON values by (space, key), shared by all runs, with expiry."""

    async def get(self, space: str, key: str) -> Any | None:
        """The live value, or None."""
        ...

    async def put(self, space: str, key: str, value: Any, *, ttl_s: float | None = None) -> None:
        """Sets the value; it is durable when this returns. `ttl_s` None keeps it for good."""
        ...

    async def put_if_absent(
        self, space: str, key: str, value: Any, *, ttl_s: float | None = None
    ) -> Any:
        """Sets the value unless there is a live one, and gives the one that is there then: that
        of whoever came first, over all runs and nodes. Durable when this returns.
        """
        ...

    async def delete(self, space: str, key: str) -> bool:
        """Removes the value; tells whether there was a live one."""
        ...


class Logger(Protocol):
    """Structured log lines about a run; secrets are removed by value."""

    def info(self, event: str, **fields: Any) -> None:
        """Something that an operator may want to read."""
        ...

    def warning(self, event: str, **fields: Any) -> None:
        """Something that an operator should look at."""
        ...


class Context:
    """One attempt of one visit, as its handler sees it.

    `deadline_ms` is wall time in Unix milliseconds, after which the answer no longer counts. Where
    it `is_repeat`, an earlier attempt of the visit may have been carried out; `attempt` alone does
    not tell, since an attempt that waited for its turn and was never made counts too.
    """

    __slots__ = (
        "_clients",
        "_new_log",
        "attempt",
        "bounds",
        "connection",
        "deadline_ms",
        "files",
        "http",
        "is_repeat",
        "memory",
        "run",
        "step",
        "visit",
    )

    def __init__(  # noqa: PLR0913, PLR0917 - one is made for every call: no object in between
        self,
        run: str,
        step: str,
        visit: int,
        attempt: int,
        deadline_ms: int,
        connection: Connection | None,
        http: Http,
        memory: KeyValue,
        log: Callable[[str, str], Logger],
        files: Files,
        bounds: Bounds,
        is_repeat: bool | None = None,
        clients: Clients | None = None,
    ) -> None:
        self.run = run
        self.step = step
        self.visit = visit
        self.attempt = attempt
        self.deadline_ms = deadline_ms
        self.connection = connection
        self.http = http
        self.memory = memory
        self._new_log = log
        self.files = files
        self.bounds = bounds
        self.is_repeat = attempt > 1 if is_repeat is None else is_repeat
        self._clients = clients

    @property
    def key(self) -> str:
        """The idempotency key: the same for every attempt of the visit, and for no other."""
        return idempotency_key(self.run, self.step, self.visit)

    def time_left_s(self) -> float:
        """The seconds until the deadline, by the clock of this machine; 0 when it has passed."""
        return max(0.0, self.deadline_ms / 1_000 - time.time())

    @property
    def log(self) -> Logger:
        """A logger whose lines carry the run and the step."""
        return self._new_log(self.run, self.step)

    def client(self, client: Client[T]) -> AbstractAsyncContextManager[T]:
        """A client of the step's connection, kept over calls, until the block ends. Raises
        `ClientFailed` where the step names no connection. For async handlers.
        """
        if self.connection is None:
            raise ClientFailed(
                "the step needs `connection:`, the name of an account there", permanent=True
            )
        if self._clients is None:
            raise RuntimeError("a plain function has no clients: make the handler async")
        return self._clients.use(client, self.connection)


def idempotency_key(run: str, step: str, visit: int) -> str:
    """32 hexadecimal digits that stand for one visit of one step in one run."""
    return blake2b(f"{run}/{step}/{visit}".encode(), digest_size=16).hexdigest()

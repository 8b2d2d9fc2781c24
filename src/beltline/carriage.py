"""How this hub carries calls: its transports put together, with what they need around them.

Router ──> event: handlers in this process
└─> http:  workers, at the addresses that `beltline.toml` binds names to
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from beltline.catalog.connection_tests import Examination, check_connection
from beltline.core.limits import Limits
from beltline.definition.connection import ConnectionFile
from beltline.egress.client import OutgoingClient
from beltline.egress.target import Refused, parse_target
from beltline.engine.callbacks import Callbacks
from beltline.engine.contract import CalledConnection
from beltline.engine.memory import StoredMemory
from beltline.engine.ports import Clock, Mailbox, Store
from beltline.engine.workers import Workers
from beltline.home_files import HomeFiles
from beltline.logs import Redaction, run_logger
from beltline.sdk import Connection, Http, Secret
from beltline.settings import SettingsError, secret_reader
from beltline.transports.event import EventTransport, Surroundings
from beltline.transports.http import HttpTransport, WorkerSurroundings
from beltline.transports.router import Router


class Connections:
    """The connections of a home with their secrets filled in, as handlers are given them."""

    def __init__(self, files: Mapping[str, ConnectionFile], redaction: Redaction) -> None:
        self._files = files
        self._redaction = redaction
        self._secret = secret_reader()
        self._ready: dict[str, Connection] = {}

    def get(self, name: str) -> Connection | None:
        """The connection; None where there is none. Raises `SettingsError` for a secret that is
        not set, which fails the step that needs it and no other.
        """
        ready = self._ready.get(name)
        file = self._files.get(name)
        if ready is not None or file is None:
            return ready
        secret = None if file.secret is None else self.secret(file.secret.name)
        ready = Connection(
            name=file.name,
            kind=file.kind,
            address=file.address,
            secret=None if secret is None else Secret(secret),
            options={"private_addresses": file.private_addresses, "user": file.user},
        )
        self._ready[name] = ready
        return ready

    def secret(self, name: str) -> str:
        """The value of a secret, which no log line shows from here on. Raises `SettingsError`."""
        value = self._secret(name)
        self._redaction.add(value)
        return value

    async def test(self, name: str, http: Http) -> Examination:
        """Connects as handlers would, and tells what came of it. Raises `LookupError` where there
        is no connection of this name, and `NoTest` where its kind has no test.
        """
        try:
            connection = self.get(name)
        except SettingsError as wrong:
            return Examination(False, str(wrong))
        if connection is None:
            known = ", ".join(sorted(self._files)) or "none"
            raise LookupError(f"there is no connection {name[:200]!r}; there are: {known}")
        tested = await check_connection(connection, http)
        return Examination(tested.ok, self._redaction.clean(tested.found))

    def told(self, name: str) -> CalledConnection | None:
        """What a worker is told of the connection: not its secret. None where there is none."""
        file = self._files.get(name)
        if file is None:
            return None
        return CalledConnection(file.name, file.kind, file.address, file.user)


class Carriage(msgspec.Struct):
    """The transports as one, the addresses for later answers, and what was heard of workers."""

    transport: Router
    callbacks: Callbacks
    workers: Workers


def carriage_of(
    files: HomeFiles,
    connections: Connections,
    store: Store,
    mailbox: Mailbox,
    clock: Clock,
    callbacks: Callbacks,
    limits: Limits,
) -> Carriage:
    """The transports of a home. Raises `SettingsError` where a worker's address is none."""
    for remote in files.catalog.remotes():
        try:
            parse_target(remote.address)
        except Refused as refused:
            raise SettingsError(f"[modules.{remote.name}] transport: {refused}") from refused
    workers = Workers()
    event = EventTransport(
        files.catalog.invocation,
        Surroundings(OutgoingClient, StoredMemory(store, clock), run_logger, connections.get),
        mailbox,
        limits,
    )
    http = HttpTransport(
        files.catalog,
        WorkerSurroundings(
            OutgoingClient(
                body_bytes=limits.module_event_bytes,
                answer_bytes=limits.module_answer_bytes,
                connections=0,  # each line bounds its own: a slow worker must not hold up others
            ),
            connections.told,
            connections.secret,
            callbacks,
            workers,
        ),
        mailbox,
        clock,
        limits,
    )
    return Carriage(Router({"event": event, "http": http}), callbacks, workers)

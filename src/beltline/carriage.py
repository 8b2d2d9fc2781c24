"""How this hub carries calls: its transports put together, with what they need around them.

Router ──> event: handlers in this process
└─> http:  workers, at the addresses that `beltline.toml` binds names to
"""

from __future__ import annotations

import msgspec

from beltline.connections import Connections
from beltline.core.limits import Limits
from beltline.egress.client import OutgoingClient
from beltline.egress.target import Refused, parse_target
from beltline.engine.attachments import BlobStore
from beltline.engine.callbacks import Callbacks
from beltline.engine.files import StoredFiles
from beltline.engine.memory import StoredMemory
from beltline.engine.ports import Clock, Mailbox, Store
from beltline.engine.workers import Workers
from beltline.home_files import HomeFiles
from beltline.logs import run_logger
from beltline.settings import SettingsError
from beltline.transports.event import EventTransport, Surroundings
from beltline.transports.http import HttpTransport, WorkerSurroundings
from beltline.transports.router import Router


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
    blobs: BlobStore,
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
        Surroundings(
            OutgoingClient,
            StoredMemory(store, clock),
            run_logger,
            connections.get,
            StoredFiles(blobs, limits),
        ),
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

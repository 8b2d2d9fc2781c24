"""The brokers that carry calls, as tests start them: one server of each kind, with many places."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tests.servers.brokers import nats_server, rabbitmq, redis_server
from tests.servers.daemon import LOOPBACK, Daemon


class BrokerServer:
    """A broker that runs; each prefix has places of its own there."""

    def __init__(self, scheme: str, daemon: Daemon) -> None:
        self.daemon = daemon
        self._scheme = scheme

    def address(self, prefix: str) -> str:
        """Its address, as a binding has it."""
        return f"{self._scheme}://{LOOPBACK}:{self.daemon.port}?prefix={prefix}"


@contextmanager
def _nats(folder: Path) -> Iterator[BrokerServer]:
    with nats_server(folder, "max_payload: 9MB") as daemon:
        yield BrokerServer("nats", daemon)


@contextmanager
def _rabbitmq(folder: Path) -> Iterator[BrokerServer]:
    with rabbitmq(folder) as daemon:
        yield BrokerServer("amqp", daemon)


@contextmanager
def _redis(folder: Path) -> Iterator[BrokerServer]:
    with redis_server(folder) as daemon:
        yield BrokerServer("redis", daemon)


CARRIERS: dict[str, Callable[[Path], AbstractContextManager[BrokerServer]]] = {
    "nats": _nats,
    "rabbitmq": _rabbitmq,
    "redis": _redis,
}

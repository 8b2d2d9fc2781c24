"""Brokers as the tests of publishing see them: an account there, and a place of the test's own."""

from __future__ import annotations

from typing import Any

import pytest

from beltline.sdk import Connection
from tests.integration.feeding import connection
from tests.integration.queue_brokers import BrokerOfTests
from tests.integration.queue_lines import NUMBERS, Brokers
from tests.servers.processes import NoServer


class At:
    """Gives brokers by name; skips the test where one is missing."""

    def __init__(self, brokers: Brokers) -> None:
        self._brokers = brokers

    def __call__(self, name: str) -> tuple[Any, Connection, str]:
        """A broker, the account there, and a place that no other test has."""
        try:
            broker: BrokerOfTests = self._brokers.get(name)
        except NoServer as missing:
            pytest.skip(str(missing))
        return broker, connection(broker.kind, broker.address), f"out{next(NUMBERS)}"


def target(name: str, place: str) -> dict[str, Any]:
    """What a step says to send something to a place."""
    return {
        "nats": {"subject": f"{place}.x"},
        "rabbitmq": {"routing_key": place},
        "redis": {"stream": place},
        "kafka": {"topic": place},
        "mqtt": {"topic": f"{place}/x"},
    }[name]

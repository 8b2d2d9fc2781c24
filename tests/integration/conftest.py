"""What the tests of several files share: brokers and mailboxes, each server started at the first
test that asks for it, and modules that are called.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack

import pytest

from tests.integration.module_calls import Calls
from tests.integration.publishing import At
from tests.integration.queue_lines import Brokers
from tests.servers.dovecot import Dovecot, dovecot
from tests.servers.processes import NoServer


@pytest.fixture(scope="session")
def brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokers]:
    with ExitStack() as opened:
        yield Brokers(tmp_path_factory.mktemp("brokers"), opened)


@pytest.fixture(scope="session")
def mail_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dovecot]:
    try:
        running = dovecot(tmp_path_factory.mktemp("dovecot"))
        started = running.__enter__()
    except NoServer as missing:
        pytest.skip(str(missing))
    try:
        yield started
    finally:
        running.__exit__(None, None, None)


@pytest.fixture
async def call() -> AsyncIterator[Calls]:
    calls = Calls()
    yield calls
    await calls.close()


@pytest.fixture
def at(brokers: Brokers) -> At:
    return At(brokers)

"""Servers as tests want them: running meanwhile, or the test is skipped with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

import pytest

from tests.servers.processes import NoServer

T = TypeVar("T")


@contextmanager
def wanted(running: AbstractContextManager[T]) -> Iterator[T]:
    """The same block, which skips the test where it raises `NoServer` at its beginning."""
    try:
        opened = running.__enter__()
    except NoServer as missing:
        pytest.skip(str(missing))
    try:
        yield opened
    finally:
        running.__exit__(None, None, None)

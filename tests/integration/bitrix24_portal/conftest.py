"""A fresh portal for each test, and the folder of contracts where there is one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.bitrix24_portal.stand import Stand, make_stand


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    """A portal without a rate limit, on a virtual clock."""
    made = make_stand(tmp_path / "portal.db")
    yield made
    made.portal.close()

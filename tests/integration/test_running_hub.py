"""A hub put together from its home: what ends it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from beltline.composition import running_hub
from beltline.engine.ports import StoreBroken
from beltline.engine.verdicts import Verdicts
from beltline.settings import open_home


async def test_a_keeper_of_verdicts_that_fails_ends_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(_verdicts: Verdicts) -> None:
        raise StoreBroken("the disk is gone")

    monkeypatch.setattr(Verdicts, "run", fails)
    (tmp_path / "beltline.toml").touch()
    async with running_hub(open_home(tmp_path), durable=False) as hub:
        with pytest.raises(StoreBroken, match="the disk is gone"):
            async with asyncio.timeout(10):
                await hub.ended

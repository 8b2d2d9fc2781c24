"""`beltline publish`: makes the home's process files the newest versions in its store."""

from __future__ import annotations

import asyncio
from pathlib import Path

import typer

from beltline.cli.console import EXIT_FAILURE, HomeOption, StoreOption, print_findings, say
from beltline.cli.opening import opened_store
from beltline.publishing import publish_files


def publish(home: HomeOption = Path(), store: StoreOption = None) -> None:
    """Publish the process files that differ from their newest version."""
    errors = asyncio.run(_publish(home, store))
    if errors:
        raise typer.Exit(EXIT_FAILURE)


async def _publish(path: Path, url: str | None) -> int:
    async with opened_store(path, url) as opened:
        before = {v.process: v.version for v in await opened.store.newest_versions()}
        errors = print_findings(await publish_files(opened.home, opened.processes))
        for version in await opened.store.newest_versions():
            if before.get(version.process) != version.version:
                say(f"{version.process}: version {version.version}")
    return errors

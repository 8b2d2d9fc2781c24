"""`beltline doctor`: whether a home can be served, and what stands in the way."""

from __future__ import annotations

import asyncio
import platform
from pathlib import Path

import apsw
import typer

from beltline import __version__
from beltline.cli.check import check_file
from beltline.cli.console import EXIT_FAILURE, HomeOption, StoreOption
from beltline.cli.opening import opened_store, opened_vault
from beltline.definition.answer import MetaChallenge
from beltline.definition.bitrix24 import Bitrix24Way
from beltline.definition.secret import SecretRef
from beltline.definition.verify import VerifyNone
from beltline.definition.webhook import WebhookWay
from beltline.engine.vault import Vault
from beltline.home_files import DEFINITIONS, HomeFiles, read_home
from beltline.settings import SettingsError, open_home, secret_reader
from beltline.sources.feeds import missing_extras


def doctor(home: HomeOption = Path(), store: StoreOption = None) -> None:
    """Look at the settings, the files, the secrets and the store. Exit 0 when all is well."""
    typer.echo(
        f"beltline {__version__}, Python {platform.python_version()}, "
        f"SQLite {apsw.sqlite_lib_version()}"
    )
    opened = open_home(home)
    files = read_home(opened)
    findings = list(files.findings)
    for path in opened.files("processes", *DEFINITIONS):
        findings.extend(check_file(path, opened, files))
    troubles = [str(finding) for finding in findings if finding.severity == "error"]
    line, vault = asyncio.run(_looked(home, store))
    troubles.extend(_missing_secrets(files, vault))
    troubles.extend(
        f"source {one.name}: something is not installed: {command}"
        for one in files.sources.values()
        for command in missing_extras(one)
    )
    typer.echo(
        f"home {opened.path.resolve()}: {len(files.catalog)} modules, "
        f"{len(files.sources)} sources, {len(files.connections)} connections"
    )
    typer.echo(f"store {store or opened.store_url}: {line}")
    for trouble in troubles:
        typer.echo(trouble)
    typer.echo("all is well" if not troubles else f"{len(troubles)} to mend")
    if troubles:
        raise typer.Exit(EXIT_FAILURE)


def _missing_secrets(files: HomeFiles, vault: Vault) -> list[str]:
    """What a connection, a source or a worker needs and nobody has set."""
    read = secret_reader(vault)
    wanted: list[tuple[str, SecretRef | None]]
    wanted = [(f"connection {one.name}", one.secret) for one in files.connections.values()]
    for one in files.sources.values():
        if isinstance(one.way, Bitrix24Way) and one.way.token is not None:
            wanted.append((f"source {one.name}", one.way.token))
        if not isinstance(one.way, WebhookWay):
            continue
        if not isinstance(one.way.verify, VerifyNone):
            wanted.append((f"source {one.name}", one.way.verify.secret))
        if isinstance(one.way.challenge, MetaChallenge):
            wanted.append((f"source {one.name}", one.way.challenge.secret))
    wanted += [
        (f"[modules.{one.name}]", SecretRef(one.secret))
        for one in files.catalog.remotes()
        if one.secret
    ]
    missing = []
    for what, secret in wanted:
        if secret is not None:
            try:
                read(secret.name)
            except SettingsError as wrong:
                missing.append(f"{what}: {wrong}")
    return missing


async def _looked(home: Path, url: str | None) -> tuple[str, Vault]:
    """How many runs of each kind the store holds, and its secrets."""
    async with opened_store(home, url) as opened:
        counts = await opened.store.counts()
        vault = await opened_vault(opened, url)
    return ", ".join(f"{count} {name}" for name, count in counts.items()), vault

"""Fetch a file from behind SFTP."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from beltline.modules.far_files import GetOutput, Optional, check_path, kept
from beltline.sdk import (
    ClientFailed,
    Config,
    Context,
    Example,
    Module,
    NoFile,
    Reject,
    Retry,
    field,
)


class SftpGetConfig(Config):
    """Which file."""

    path: Annotated[
        str,
        field("Path", "Folder and name.", examples=["/out/prices.csv"], min_length=1),
    ]
    optional: Optional = False

    def __post_init__(self) -> None:
        check_path(self.path, "path")


async def get(config: SftpGetConfig, context: Context) -> GetOutput | Retry | Reject:
    """Reads the file, and keeps it here."""
    from beltline.clients.sftp import FILES

    try:
        async with context.client(FILES) as line:
            found = await line.get(config.path, context.bounds.module_file_bytes)
        if found is None and config.optional:
            return GetOutput(file=None, modified=None)
        if found is None:
            return Reject(f"there is no file {config.path}")
        modified = datetime.fromtimestamp(found.modified_s, UTC).isoformat()
        return await kept(found.content, config.path, modified, context)
    except NoFile as wrong:
        return Reject(str(wrong))
    except ClientFailed as failed:
        return failed.outcome


module = Module(
    name="sftp.get",
    version=1,
    summary="Fetch a file from behind SFTP.",
    description=(
        "The file is kept here, up to the bound `module_file_bytes`, and the result names it, for"
        " `csv.read` and the like. It stays where it is. One that is being written there is read as"
        " far as it is. The connection needs `host_key`. Needs `pip install beltline[files]`."
    ),
    on_repeat="It reads the file again, as it is then.",
    category="data",
    icon="download",
    effect="idempotent",
    connection="sftp",
    config=SftpGetConfig,
    output=GetOutput,
    handler=get,
    examples=(
        Example("Fetch the prices of the day", {"path": "/out/prices.csv"}),
        Example("Look whether there is an answer", {"path": "out/42.json", "optional": True}),
    ),
)

"""List the files of a folder behind SFTP."""

from __future__ import annotations

from typing import Annotated

from beltline.modules.far_files import FarFile, Limit, ListOutput, Pattern, check_path
from beltline.sdk import ClientFailed, Config, Context, Example, Module, Reject, Retry, field


class SftpListConfig(Config):
    """Which folder, and which of its files."""

    folder: Annotated[str, field("Folder", "The folder.", examples=["/out"])] = ""
    pattern: Pattern = "*"
    limit: Limit = 1_000

    def __post_init__(self) -> None:
        check_path(self.folder, "folder")


async def list_files(config: SftpListConfig, context: Context) -> ListOutput | Retry | Reject:
    """Looks into the folder."""
    from beltline.clients.sftp import FILES

    most = min(config.limit, context.bounds.module_rows)
    try:
        async with context.client(FILES) as line:
            found, more = await line.list(config.folder or ".", config.pattern, most)
    except ClientFailed as failed:
        return failed.outcome
    files = [FarFile(name=one.name, bytes=one.bytes, modified=one.modified) for one in found]
    return ListOutput(files=files, count=len(files), more=more)


module = Module(
    name="sftp.list",
    version=1,
    summary="List the files of a folder behind SFTP.",
    description=(
        "Folders inside the folder, links, and names that begin with a dot are left out. To start a"
        " run for each file that comes, take a source of the kind `files`. The connection needs"
        " `host_key`. Needs `pip install beltline[files]`."
    ),
    on_repeat="It looks again.",
    category="data",
    icon="folder",
    effect="idempotent",
    connection="sftp",
    config=SftpListConfig,
    output=ListOutput,
    handler=list_files,
    examples=(Example("What a partner has left", {"folder": "/out", "pattern": "*.csv"}),),
)

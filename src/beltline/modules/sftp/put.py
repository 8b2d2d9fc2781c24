"""Put a file behind SFTP: whole, or not at all."""

from __future__ import annotations

from typing import Annotated

from beltline.modules.far_files import PutConfig, PutOutput, check_path
from beltline.sdk import ClientFailed, Context, Example, Module, NoFile, Reject, Retry, field


class SftpPutConfig(PutConfig, kw_only=True):
    """The content, and where it goes."""

    path: Annotated[
        str,
        field(
            "Path",
            "Folder and name; without a slash before it, from the account's folder on.",
            examples=["/in/order-{{ request.id }}.csv"],
            min_length=1,
            max_length=1_000,
        ),
    ]
    make_folders: Annotated[
        bool, field("Make folders", "Whether folders that are missing are made.")
    ] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_path(self.path, "path")
        if self.path.endswith("/"):
            raise ValueError("`path` ends with a slash, and needs the name of the file")


async def put(config: SftpPutConfig, context: Context) -> PutOutput | Retry | Reject:
    """Writes under a temporary name, and renames."""
    from beltline.clients.sftp import FILES

    try:
        content = await config.content(context)
        async with context.client(FILES) as line:
            await line.put(config.path, content, context.key, make_folders=config.make_folders)
    except NoFile as wrong:
        return Reject(str(wrong))
    except ClientFailed as failed:
        return failed.outcome
    return PutOutput(path=config.path, bytes=len(content))


module = Module(
    name="sftp.put",
    version=1,
    summary="Put a file behind SFTP.",
    description=(
        "The content goes to a name that begins with a dot and ends with `.part`, beside the"
        " file's own, and is then renamed: whoever looks there sees the old file or the new one,"
        " never a half. The server has to know `posix-rename@openssh.com`, as OpenSSH does. The"
        " connection needs `host_key`, what the server has to prove to be. A line that breaks, a"
        " full disk and a server that is away are tried again; a folder that is missing, and a"
        " right that the account has not, end the visit. Needs `pip install beltline[files]`."
    ),
    on_repeat="It puts the same content under the same name once more; a half of it is replaced.",
    category="data",
    icon="upload",
    effect="idempotent",
    connection="sftp",
    config=SftpPutConfig,
    output=PutOutput,
    handler=put,
    examples=(
        Example(
            "Hand an order to a partner",
            {"path": "/in/order-42.csv", "text": "sku;count\nA-1;2\n"},
        ),
        Example(
            "Put a file of the document into a folder of the day",
            {
                "path": "scans/2026-11-25/42.pdf",
                "file": {"blob": "sha256:" + "0" * 64},
                "make_folders": True,
            },
        ),
    ),
)

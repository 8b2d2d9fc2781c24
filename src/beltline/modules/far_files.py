"""Files elsewhere, behind SFTP or in a bucket: what modules of both put, and give."""

from __future__ import annotations

from typing import Annotated

from beltline.modules.content import File, Text, check_given
from beltline.sdk import Config, Context, FileRef, Output, field


class PutConfig(Config, kw_only=True):
    """A text, or a file of the document."""

    text: Text = None
    file: File = None

    def __post_init__(self) -> None:
        check_given(self.text, self.file)

    async def content(self, context: Context) -> bytes:
        """Its bytes; a text in UTF-8. Raises `NoFile` and `FilesAway`."""
        if self.file is not None:
            return await (await context.files.open(self.file)).read()
        return (self.text or "").encode()


class PutOutput(Output):
    """What was put."""

    path: Annotated[str, field("Path", "Where it is.")]
    bytes: Annotated[int, field("Bytes", "How large it is.")]


class GetOutput(Output):
    """What was fetched."""

    file: Annotated[
        FileRef | None, field("File", "The file, kept here; null where there is none there.")
    ]
    modified: Annotated[
        str | None, field("Modified", "When it was changed last, by the clock there.")
    ]


class FarFile(Output):
    """A file elsewhere."""

    name: Annotated[str, field("Name", "Its name, without the folder.")]
    bytes: Annotated[int, field("Bytes", "How large it is.")]
    modified: Annotated[str, field("Modified", "When it was changed last, by the clock there.")]


class ListOutput(Output):
    """What is there."""

    files: Annotated[list[FarFile], field("Files", "The files, by their names.")]
    count: Annotated[int, field("Count", "How many they are.")]
    more: Annotated[bool, field("More", "Whether there are more than are given.")]


Optional = Annotated[
    bool, field("Optional", "Whether a file that is not there gives null; else the visit ends.")
]
Limit = Annotated[int, field("Limit", "How many files are given at most.", ge=1, le=10_000)]
Pattern = Annotated[
    str,
    field("Pattern", "Which names: * stands for any signs, ? for one.", examples=["*.csv"]),
]


def check_path(path: str, name: str) -> None:
    """Refuses what could lead elsewhere than an author wrote, as a part that came with a request
    may. Raises `ValueError`.
    """
    parts = path.split("/")
    if not path.isprintable() or any(part in (".", "..") for part in parts):
        raise ValueError(f"`{name}` holds . or .. as a part, or a sign that cannot be printed")


async def kept(content: bytes, path: str, modified: str, context: Context) -> GetOutput:
    """The file as it is kept here. Raises `NoFile` and `FilesAway`."""
    name = path.rpartition("/")[2]
    ref = await context.files.keep(content, name, "application/octet-stream")
    return GetOutput(file=ref, modified=modified)

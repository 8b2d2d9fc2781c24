"""Content that a module reads (a text of the document, or a file) or makes, for formats of files.

Reading and writing a format is computing: it runs in a thread, away from the handlers that wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Literal, Protocol, TypeVar

import msgspec

from beltline.sdk import Config, Context, FileRef, NoFile, Output, Reject, field

T = TypeVar("T")


class Unreadable(Exception):
    """The author or the sender: the content is not what it is said to be, or passes a bound."""


Text = Annotated[
    str | None, field("Text", "The content as a text. Exactly one of text and file is given.")
]
File = Annotated[
    FileRef | None,
    field("File", "The content as a file of the document.", examples=["{{ request.prices }}"]),
]
Encoding = Annotated[
    Literal["utf-8", "utf-16", "windows-1251", "windows-1252", "koi8-r", "cp866"],
    field("Encoding", "How a file writes its characters; a text has none."),
]
FileName = Annotated[
    Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | None,
    field(
        "File name",
        "With it the content becomes a file of this name, and without it a text.",
        examples=["prices.csv"],
    ),
]


class TextConfig(Config):
    """A text, or a file that holds one."""

    text: Text = None
    file: File = None
    encoding: Encoding = "utf-8"

    def __post_init__(self) -> None:
        check_given(self.text, self.file)


class ContentOutput(Output):
    """What was made."""

    text: Annotated[str | None, field("Text", "The content; null where it is a file.")] = None
    file: Annotated[FileRef | None, field("File", "The file; null where it is a text.")] = None


class _Given(Protocol):
    """The parameters of a module that reads."""

    text: str | None
    file: FileRef | None
    encoding: Encoding


def check_given(text: str | None, file: FileRef | None) -> None:
    """Raises `ValueError` where it is not one of the two."""
    if (text is None) == (file is None):
        raise ValueError("give one of `text` and `file`")


async def reading(config: _Given, context: Context, read: Callable[[str], T]) -> T | Reject:
    """What `read` makes of the text."""

    def decoded(content: bytes) -> T:
        codec = "utf-8-sig" if config.encoding == "utf-8" else config.encoding
        try:
            text = content.decode(codec)
        except UnicodeDecodeError as wrong:
            raise Unreadable(
                f"the file is not {config.encoding}: byte {wrong.start + 1} is no character of it"
            ) from wrong
        return read(text)

    if config.file is not None:
        return await reading_file(config.file, context, decoded)
    text = config.text or ""
    try:
        return await asyncio.to_thread(read, text.removeprefix("\ufeff"))
    except Unreadable as wrong:
        return Reject(str(wrong))


async def reading_file(file: FileRef, context: Context, read: Callable[[bytes], T]) -> T | Reject:
    """What `read` makes of a file's bytes. Raises `FilesAway`, which is tried again."""
    try:
        content = await (await context.files.open(file)).read()
        return await asyncio.to_thread(read, content)
    except (NoFile, Unreadable) as wrong:
        return Reject(str(wrong))


async def giving(
    name: str | None, context: Context, type: str, make: Callable[[], str]
) -> ContentOutput | Reject:
    """The text that `make` gives, or the file of it."""
    try:
        text = await asyncio.to_thread(make)
    except Unreadable as wrong:
        return Reject(str(wrong))
    if name is None:
        return ContentOutput(text=text)
    return await giving_file(text.encode(), name, type, context)


async def giving_file(
    content: bytes, name: str, type: str, context: Context
) -> ContentOutput | Reject:
    """The file of a content. Raises `FilesAway`."""
    try:
        return ContentOutput(file=await context.files.keep(content, name, type))
    except NoFile as wrong:
        return Reject(str(wrong))

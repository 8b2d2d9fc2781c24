"""A message of a bot: what an author writes, and the method and parameters that come of it.

    no file             sendMessage
    one file            sendDocument, sendPhoto, sendVideo, sendAudio; the text is its caption
    two to ten files    sendMediaGroup: an album, whose first file has the caption; no buttons

Each message is one call, so that it arrives as a whole or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from typing import Annotated, Any, Literal

from beltline.sdk import Config, FileRef, field

TEXT_CHARACTERS = 4_096
CAPTION_CHARACTERS = 1_024
FILES_MOST = 10
PHOTO_BYTES = 10_000_000
FILE_BYTES = 50_000_000
_DATA_BYTES = 64
_BUTTONS_MOST = 100
_BLANK = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
# What has a meaning in MarkdownV2; a backslash before it takes the meaning away.
_MARKED = re.compile(r"[_*\[\]()~`>#+\-=|{}.!\\]")

ParseMode = Literal["none", "HTML", "MarkdownV2"]
Kind = Literal["document", "photo", "video", "audio"]


class Button(Config):
    """A button below the message: it opens an address, or comes back as a `callback_query`."""

    text: Annotated[str, field("Text", "What stands on it.", min_length=1, max_length=200)]
    url: Annotated[str, field("URL", "The address that it opens.")] = ""
    data: Annotated[str, field("Data", "What comes back when it is pressed, up to 64 bytes.")] = ""

    def __post_init__(self) -> None:
        if bool(self.url) == bool(self.data):
            raise ValueError("a button has one of `url` and `data`")
        if len(self.data.encode()) > _DATA_BYTES:
            raise ValueError(f"the `data` of a button takes more than {_DATA_BYTES} bytes")

    @property
    def written(self) -> dict[str, str]:
        """As the Bot API has it."""
        target = {"url": self.url} if self.url else {"callback_data": self.data}
        return {"text": self.text, **target}


class SendConfig(Config):
    """The message, and where it goes."""

    chat: Annotated[
        int | str,
        field(
            "Chat",
            "The id of a chat, or the @name of a channel.",
            examples=["{{ request.message.chat.id }}", -1001234567890, "@shop_news"],
        ),
    ]
    text: Annotated[
        str,
        field("Text", "The message; of files, their caption.", examples=["A new lead."]),
    ] = ""
    parse_mode: Annotated[
        ParseMode, field("Parse mode", "How marks in the text are read; none takes it as it is.")
    ] = "none"
    values: Annotated[
        Mapping[str, str | int | float],
        field(
            "Values",
            "What stands in the text for {name}, without a meaning in the parse mode. What others"
            " wrote goes here.",
            examples=[{"name": "{{ request.name }}"}],
        ),
    ] = {}
    buttons: Annotated[
        tuple[tuple[Button, ...], ...],
        field("Buttons", "Rows of buttons.", examples=[[[{"text": "Take it", "data": "take 7"}]]]),
    ] = ()
    files: Annotated[
        tuple[FileRef, ...],
        field("Files", "Files of the document, up to 10.", examples=[["{{ request.scan }}"]]),
    ] = ()
    files_as: Annotated[Kind, field("Files as", "What the files are shown as.")] = "document"
    reply_to: Annotated[
        int | None,
        field("Reply to", "The id of the message that this one answers; gone, it is sent plain."),
    ] = None
    topic: Annotated[
        int | None, field("Topic", "The id of the topic (message thread) of a forum.")
    ] = None
    silent: Annotated[bool, field("Silent", "Whether nobody is notified by a sound.")] = False
    protected: Annotated[bool, field("Protected", "Whether it cannot be forwarded and saved.")] = (
        False
    )
    preview: Annotated[
        bool, field("Preview", "Whether a page that the text links to is shown.")
    ] = True

    def __post_init__(self) -> None:
        if not self.text.strip() and not self.files:
            raise ValueError("give `text`, `files`, or both")
        if isinstance(self.chat, str) and not re.fullmatch(r"@\w{1,64}|-?\d{1,20}", self.chat):
            raise ValueError(f"`chat` is {self.chat[:40]!r}: write an id, or @ and a name")
        if len(self.files) > FILES_MOST:
            raise ValueError(f"`files` holds more than {FILES_MOST}, as many as an album has")
        if self.buttons and len(self.files) > 1:
            raise ValueError("an album of files has no buttons: send them with a text of their own")
        if sum(map(len, self.buttons)) > _BUTTONS_MOST:
            raise ValueError(f"`buttons` holds more than {_BUTTONS_MOST}")
        self._check_length()

    def _check_length(self) -> None:
        """Marks of a parse mode do not count, so that only Telegram can tell the length there."""
        most = CAPTION_CHARACTERS if self.files else TEXT_CHARACTERS
        length = len(self.written_text)
        if self.parse_mode == "none" and length > most:
            what = "the caption of files" if self.files else "a message"
            raise ValueError(f"`text` has {length} characters, and {what} has {most} at most")

    @property
    def written_text(self) -> str:
        """The text with its values. Raises `ValueError` for one that is not given."""
        return _BLANK.sub(self._value, self.text) if self.values else self.text

    def _value(self, found: re.Match[str]) -> str:
        if found[1] not in self.values:
            raise ValueError(f"`text` has {found[0]}, and `values` has no {found[1]!r}")
        value = str(self.values[found[1]])
        if self.parse_mode == "HTML":
            return escape(value)
        return _MARKED.sub(r"\\\g<0>", value) if self.parse_mode == "MarkdownV2" else value


def method_of(config: SendConfig) -> str:
    """The method that sends the message."""
    if not config.files:
        return "sendMessage"
    return "sendMediaGroup" if len(config.files) > 1 else f"send{config.files_as.capitalize()}"


def params_of(config: SendConfig) -> dict[str, Any]:
    """Its parameters. Of files only where they will stand: `attach://file0` and so on."""
    params: dict[str, Any] = {"chat_id": config.chat}
    text = config.written_text
    marks = {} if config.parse_mode == "none" else {"parse_mode": config.parse_mode}
    if not config.files:
        params |= {"text": text, **marks}
        if not config.preview:
            params["link_preview_options"] = {"is_disabled": True}
    elif len(config.files) == 1:
        params[config.files_as] = "attach://file0"
        params |= {"caption": text, **marks} if text else {}
    else:
        media = [
            {"type": config.files_as, "media": f"attach://file{index}"}
            for index in range(len(config.files))
        ]
        media[0] |= {"caption": text, **marks} if text else {}
        params["media"] = media
    if config.buttons:
        rows = [[one.written for one in row] for row in config.buttons]
        params["reply_markup"] = {"inline_keyboard": rows}
    if config.reply_to is not None:
        params["reply_parameters"] = {
            "message_id": config.reply_to,
            "allow_sending_without_reply": True,
        }
    if config.topic is not None:
        params["message_thread_id"] = config.topic
    params |= {"disable_notification": True} if config.silent else {}
    params |= {"protect_content": True} if config.protected else {}
    return params

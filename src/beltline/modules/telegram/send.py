"""Send a message by a bot of Telegram.

The Bot API has no idempotency key. So what was sent is remembered under the key of the visit: a
repeated attempt that finds it there sends nothing. Where the answer itself was lost nobody can tell
whether the message was sent, and it is sent again.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from beltline.modules.telegram.message import (
    FILE_BYTES,
    PHOTO_BYTES,
    SendConfig,
    method_of,
    params_of,
)
from beltline.modules.telegram.upload import Upload, form_body
from beltline.sdk import Context, Example, FileRef, Module, NoFile, Output, Reject, Retry, field
from beltline.sdk.telegram import KIND, Body, TelegramRefused, ask_telegram, json_body

_SPACE = "telegram.send"
_REMEMBERED_S = 7 * 86_400.0
_TIMEOUT_S = 20.0  # below a step's usual timeout; files may have what the step's own leaves
_EARLY_S = 5.0


class SendOutput(Output):
    """What was sent."""

    message_id: Annotated[int, field("Message", "Its id in the chat; of an album, the first's.")]
    message_ids: Annotated[list[int], field("Messages", "The ids of all of an album.")]
    chat_id: Annotated[int, field("Chat", "The chat's id, also where it was named by @.")]
    date: Annotated[int, field("Date", "When, by Telegram's clock, in Unix seconds.")]


async def send(config: SendConfig, context: Context) -> SendOutput | Retry | Reject:
    """Sends the message, unless it is known to be sent."""
    if context.connection is None:
        return Reject(f"the step needs `connection:`, the name of one of the kind {KIND}")
    if context.is_repeat:
        known = await context.memory.get(_SPACE, context.key)
        if known is not None:
            return msgspec.convert(known, SendOutput)
    method = method_of(config)
    try:
        body = await _body(config, context)
        answer = await ask_telegram(
            context.http, context.connection, method, body, timeout_s=_timeout_s(config, context)
        )
        sent = _sent(method, answer)
    except NoFile as missing:
        return Reject(f"{method}: {missing}")
    except TelegramRefused as refused:
        if refused.permanent:
            return Reject(refused.reason)
        return Retry(refused.reason, after_s=refused.after_s)
    remembered = msgspec.to_builtins(sent)
    await context.memory.put(_SPACE, context.key, remembered, ttl_s=_REMEMBERED_S)
    return sent


async def _body(config: SendConfig, context: Context) -> Body:
    """Raises `NoFile` where a file is not here, or is too large."""
    params = params_of(config)
    if not config.files:
        return json_body(params)
    left = most = context.bounds.module_file_bytes
    uploads = []
    for index, ref in enumerate(config.files):
        content = await _content(ref, config, context)
        left -= len(content)
        if left < 0:
            raise NoFile(f"the files have more than {most} bytes (limit module_file_bytes)")
        name = ref.name or ref.blob.partition(":")[2][:16]
        uploads.append(Upload(f"file{index}", name, ref.type, content))
    return form_body(params, uploads)


async def _content(ref: FileRef, config: SendConfig, context: Context) -> bytes:
    content = await (await context.files.open(ref)).read()
    most = PHOTO_BYTES if config.files_as == "photo" else FILE_BYTES
    if len(content) > most:
        raise NoFile(
            f"{ref.name or ref.blob} has {len(content)} bytes, and Telegram takes {most} of a"
            f" {config.files_as}"
        )
    return content


def _timeout_s(config: SendConfig, context: Context) -> float:
    return max(_TIMEOUT_S, context.time_left_s() - _EARLY_S) if config.files else _TIMEOUT_S


def _sent(method: str, answer: Any) -> SendOutput:
    """What the answer tells. Raises `TelegramRefused` where it is none: for good, since the message
    was sent.
    """
    messages = answer if isinstance(answer, list) else [answer]
    try:
        ids = [int(one["message_id"]) for one in messages]
        first = messages[0]
        return SendOutput(
            message_id=ids[0],
            message_ids=ids,
            chat_id=int(first["chat"]["id"]),
            date=int(first["date"]),
        )
    except (KeyError, IndexError, TypeError, ValueError):
        raise TelegramRefused(
            f"{method}: it was sent, and the answer has no message", permanent=True
        ) from None


module = Module(
    name="telegram.send",
    version=1,
    summary="Send a message by a bot of Telegram.",
    description=(
        "The connection's secret is the bot's token, as @BotFather gives it; its address is"
        " needed only for a Bot API server of your own. A person has to have written to the bot"
        " first, and a group or channel has to have it as a member. Telegram takes 4,096 characters"
        " of text, 1,024 of a caption, files of 50 MB and photos of 10 MB; all files of a message"
        " count within the hub's bound `module_file_bytes`, and a slow upload wants a longer"
        " `timeout` of the step. In all it takes about 30 messages a second of a bot, in one chat"
        " about 1 a second, in one group 20 a minute; `limits: {rate: 25/s}` of the connection"
        " keeps to the first. Beyond that it answers 429 and how long to"
        " wait: the step is tried again, not before that. So are its faults (5xx) and no answer"
        " within 20 s. What stays ends the visit, in Telegram's words: a bot that was blocked or"
        " removed (403), a text that cannot be parsed or a chat that is not there (400), a wrong"
        " token (401); of a group that has become a supergroup the new id is told. With a parse"
        " mode, text that others wrote goes into `values`, or a `<` of theirs breaks the message."
    ),
    on_repeat=(
        "The Bot API has no idempotency key. What was sent is remembered for 7 days: a repeat after"
        " a crash of the hub sends nothing and gives the first's result. Where Telegram's answer"
        " was lost (no answer in time, a broken connection, 5xx), or the hub died before it was"
        " noted, the message is sent a second time if the first had arrived."
    ),
    category="channel",
    icon="send",
    effect="at-least-once",
    connection=KIND,
    config=SendConfig,
    output=SendOutput,
    handler=send,
    examples=(
        Example(
            "Tell a group of a lead",
            {
                "chat": -1001234567890,
                "parse_mode": "HTML",
                "text": "<b>A new lead</b>: {name}, {phone}",
                "values": {"name": "Anna <3", "phone": "+79161234567"},
                "buttons": [
                    [
                        {"text": "Take it", "data": "take 42"},
                        {"text": "Open", "url": "https://crm.example/leads/42"},
                    ]
                ],
            },
        ),
        Example(
            "Answer a person with a file",
            {
                "chat": 123456789,
                "text": "Your invoice.",
                "files": [{"blob": "sha256:" + "0" * 64, "name": "invoice.pdf"}],
                "reply_to": 17,
            },
        ),
    ),
)

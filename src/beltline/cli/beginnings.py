"""What `beltline modules new` and `beltline modules import` write."""

from __future__ import annotations

MODULE = '''\
"""{title}."""

from typing import Annotated

from beltline.sdk import Config, Context, Example, Module, Output, Reject, Retry, field


class {type}Config(Config):
    """What the step is given."""

    text: Annotated[str, field("Text", "The text to work on.", examples=["hello"])]


class {type}Output(Output):
    """What the step adds to the document."""

    text: Annotated[str, field("Text", "The text in capital letters.")]


async def {function}(config: {type}Config, context: Context) -> {type}Output | Retry | Reject:
    """Return Retry when the world was not ready, Reject when trying again cannot help.

    `context.key` is the idempotency key; `context.http` is the way out.
    """
    return {type}Output(text=config.text.upper())


module = Module(
    name="{name}",
    version=1,
    summary="{title}.",
    category="site",
    icon="puzzle",
    effect="idempotent",
    on_repeat="It gives the same result.",
    config={type}Config,
    output={type}Output,
    handler={function},
    examples=(Example("A greeting", {{"text": "hello"}}, {{"text": "HELLO"}}),),
)
'''

TEST = '''\
"""The module {name}: its examples, and what they do not show."""

import asyncio
from pathlib import Path

from beltline.sdk.testing import answer, given, loaded, wrong_examples

module = loaded(Path(__file__).parents[1] / "modules" / "{function}.py")


def test_its_examples() -> None:
    assert asyncio.run(wrong_examples(module)) == []


def test_letters_of_all_alphabets() -> None:
    result = asyncio.run(answer(module, {{"text": "добрый день"}}, given()))
    assert result == {{"text": "ДОБРЫЙ ДЕНЬ"}}
'''

IMPORTED = '''\
"""A module for each operation of the OpenAPI document beside this file.

`beltline modules import FILE --name {name}` puts a newer document in its place.
"""

from pathlib import Path

from beltline.modules.openapi import modules_of

modules = modules_of(Path(__file__).with_suffix(".openapi.json"), "{name}")
'''

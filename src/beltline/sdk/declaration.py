"""A module is one declaration: from it come the form, the schema, the checks, the pages, the tests.

class SetConfig(Config):
name: Annotated[str, field("Field", "Name of the field to set.", examples=["status"])]

module = Module(name="set-field", version=1, summary="…", category="transform", icon="…",
effect="pure", config=SetConfig, output=SetOutput, handler=set_field,
examples=(Example("Mark as seen", {"name": "status"}, {"name": "seen"}),))
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Generic, Literal, TypeAlias, TypeVar

import msgspec

from beltline.sdk.context import Context
from beltline.sdk.outcome import Reject, Retry

Category = Literal["data", "flow", "memory", "http", "crm", "channel", "queue", "log", "site"]


class Config(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Base of a module's parameters: an unknown parameter is an error, never ignored."""


class Output(msgspec.Struct, kw_only=True, omit_defaults=False):
    """Base of a module's result."""


C = TypeVar("C")
R = TypeVar("R")
Answer: TypeAlias = R | Retry | Reject
Handler = Callable[[C, Context], Answer[R] | Awaitable[Answer[R]]]
BatchHandler = Callable[[list[tuple[C, Context]]], Awaitable[list[Answer[R]]]]


class Example(msgspec.Struct, frozen=True):
    """An example that is also a test: with these parameters the module gives this result.

    `output` None means that the result depends on the outside and is not compared.
    """

    title: str
    config: dict[str, Any]
    output: Any = None


class Module(msgspec.Struct, Generic[C, R], frozen=True, kw_only=True):
    """The declaration of a module.

    `config` and `output` are msgspec Structs, or plain `dict` where the names are the author's
    own. `handler` None marks a step that the engine itself runs. `effect` says what a second call
    with the same idempotency key does: nothing to the outside at all (`pure`), the same as one
    (`idempotent`), or perhaps a second effect (`at-least-once`). `connection` names the kind of
    connection that the module needs. `on_repeat` tells people what a repeated call does, where
    `effect` leaves it open.

    `requests` is the most that one call asks of its connection, whose limits count them. Where many
    calls on one connection wait, up to `batch_most` of them go to `batch` together (an `async
    def`), which makes one request for all and gives an answer for each, in their order; what it
    raises is a failure of each. Calls that may repeat an earlier one and are `at-least-once` go to
    the handler alone, so that it can look for what the first one did.
    """

    name: str
    version: int
    summary: str
    category: Category
    icon: str
    effect: Literal["pure", "idempotent", "at-least-once"]
    config: type[C]
    output: type[R]
    handler: Handler[C, R] | None
    examples: tuple[Example, ...]
    description: str = ""
    connection: str | None = None
    on_repeat: str = ""
    requests: int = 1
    batch: BatchHandler[C, R] | None = None
    batch_most: int = 50

    @property
    def pinned(self) -> str:
        """The name that a published step is pinned to: `name@major`."""
        return f"{self.name}@{self.version}"

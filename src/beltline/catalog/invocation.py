"""A module made ready to be called: what the dispatcher holds for each step it carries out.

Everything that can be worked out once is worked out here, since `decode` and `encode` run for
every step of every run: reading the parameters of a step takes well under a microsecond.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, get_args, get_origin

import msgspec

from beltline.sdk import Context, Module


class Invocation(msgspec.Struct, frozen=True):
    """A module with all that a call of it needs.

    `decode` turns a step's resolved parameters into the handler's `config`; it raises
    `msgspec.ValidationError`, a `ValueError`, for which `catalog.parameters.explain` has words.
    `fits` tells whether a result is of the type that the module declares; `read` makes it from
    plain JSON data, and raises as `decode` does. `call` is the handler.
    `is_async` tells whether it is a coroutine function; a plain function may block and belongs
    into a thread.
    """

    module: Module[Any, Any]
    decode: Callable[[Any], Any]
    fits: Callable[[Any], bool]
    read: Callable[[Any], Any]
    call: Callable[[Any, Context], Any]
    is_async: bool


def invocation_of(module: Module[Any, Any]) -> Invocation:
    """The module's invocation, compiled once."""
    return Invocation(
        module=module,
        decode=_decoder(module.config),
        fits=_fits(module),
        read=_decoder(module.output),
        call=module.handler or _by_the_engine,
        is_async=inspect.iscoroutinefunction(module.handler),
    )


def _by_the_engine(config: Any, context: Context) -> Any:
    raise TypeError(
        "this module has no handler here: [modules.NAME] transport binds it to a worker"
    )


def _decoder(config: Any) -> Callable[[Any], Any]:
    if get_origin(config) is dict and get_args(config) == (str, Any):
        return _plain  # msgspec would copy it, item by item
    # Strict: a number is not a text and "1" is not a number, as in the check of the definition.
    return partial(msgspec.convert, type=config, strict=True)


def _plain(params: Any) -> Any:
    if isinstance(params, dict):
        return params
    raise msgspec.ValidationError(f"Expected `object`, got {type(params).__name__}")


def _fits(module: Module[Any, Any]) -> Callable[[Any], bool]:
    declared = get_origin(module.output) or module.output
    if declared is Any or not isinstance(declared, type):  # Any is a class, but has no instances
        return lambda result: True
    return lambda result: isinstance(result, declared)

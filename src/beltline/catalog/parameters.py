"""The check of a step's `with` against what its module declares.

It runs when a definition is loaded, so that a wrong parameter is told with its line before any
request meets it. Values that hold `{{ }}` are not known yet: a text that is one expression may
become anything, a text around an expression becomes some text, and what they become is checked
when the step runs. All problems are given at once, each at its own place.
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec.structs import FieldInfo

from beltline.core.lexing import closing_braces
from beltline.core.problem import Place, Problem
from beltline.definition.finding import nearest

_WORDS = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "null": "null",
    "object": "an object",
    "array": "a list",
}
_TYPE_NAMES = re.compile(r"`((?:str|int|float|bool|null|object|array|[ |])+)`")
_TEXT_LENGTH = re.compile(r"`str` of length (..) (\d+)")
_LIST_LENGTH = re.compile(r"`(array|object)` of length (..) (\d+)")
_COMPARISONS = {">=": "at least", "<=": "at most"}


def check_parameters(config: Any, params: Any, place: Place) -> list[Problem]:
    """What is wrong with `params`, plain data that stands at `place`.

    `config` is the module's: a Struct, or a plain `dict`, whose names are the author's own.
    """
    return list(_value(config, {} if params is None else params, place, None))


def explain(error: msgspec.ValidationError) -> str:
    """A refusal of msgspec in words for people who write definitions, not Python."""
    what, _, where = str(error).partition(" - at `")
    text = _in_words(what)
    path = where.rstrip("`").removeprefix("$.")
    return f"`{path}`: {text}" if path and not path.startswith(("$", "key")) else text


def _value(kind: Any, value: Any, place: Place, field: FieldInfo | None) -> Iterator[Problem]:
    if isinstance(value, str) and _is_expression(value):
        return
    branches = list(_branches(kind))
    if isinstance(value, dict):
        for branch in branches:
            if isinstance(branch, type) and issubclass(branch, msgspec.Struct):
                yield from _struct(branch, value, place)
                return
    if not _has_unknown(value):
        yield from _constant(kind, value, place, field)
        return
    yield from _partly_known(kind, branches, value, place, field)


def _partly_known(
    kind: Any, branches: list[Any], value: Any, place: Place, field: FieldInfo | None
) -> Iterator[Problem]:
    """A text, list or object with an expression somewhere inside."""
    if Any in branches:
        return
    for branch in branches:
        origin = get_origin(branch) or branch
        if isinstance(value, dict) and origin in (dict, Mapping):
            inner = (get_args(branch) or (Any, Any))[1]
            for key, element in value.items():
                yield from _value(inner, element, (*place, key), None)
            return
        if isinstance(value, list) and origin in (list, tuple, Sequence):
            inner = (get_args(branch) or (Any,))[0]
            for index, element in enumerate(value):
                yield from _value(inner, element, (*place, index), None)
            return
        if isinstance(value, str) and (origin is str or origin is Literal):
            return
    # No branch takes a value of this shape: the constant check words the refusal.
    shape: Any = "" if isinstance(value, str) else type(value)()
    yield from _constant(kind, shape, place, field)


def _struct(struct: type[msgspec.Struct], value: dict[Any, Any], place: Place) -> Iterator[Problem]:
    fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    sound = True
    for key, element in value.items():
        if key not in fields:
            sound = False
            yield _unknown(key, list(fields), place)
            continue
        found = [
            *_not_constant(fields[key], element, (*place, key)),
            *_value(fields[key].type, element, (*place, key), fields[key]),
        ]
        sound = sound and not found
        yield from found
    for name, field in fields.items():
        if field.required and name not in value:
            sound = False
            yield Problem(place, f"the parameter `{name}` is missing", _hint(field))
    if sound and not _has_unknown(value):
        # What concerns several parameters at once, such as "one of the two".
        yield from _constant(struct, value, place, None)


def _not_constant(field: FieldInfo, value: Any, place: Place) -> Iterator[Problem]:
    """What is an expression in a field that takes none (`sdk.field(constant=…)`)."""
    metas = [extra for extra in _extras(field.type) if isinstance(extra, msgspec.Meta)]
    wanted = next(
        (meta.extra_json_schema.get("constant") for meta in metas if meta.extra_json_schema), None
    )
    name = field.encode_name
    if wanted == "value" and _has_unknown(value):
        yield Problem(
            place,
            f"`{name}` takes no expressions: what comes in could change what it says",
            "Write it out, and give values as parameters of their own.",
        )
    elif wanted == "keys" and (
        isinstance(value, str) or (isinstance(value, dict) and any("{{" in key for key in value))
    ):
        yield Problem(place, f"the names in `{name}` must be written out", "Write `NAME: VALUE`.")


def _constant(kind: Any, value: Any, place: Place, field: FieldInfo | None) -> Iterator[Problem]:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        what = str(error).partition(" - at `")[0]
        choices = _choices(kind)
        if choices and what.startswith(("Invalid enum value", "Expected")):
            allowed = ", ".join(choices)
            near = nearest(str(value), choices) if isinstance(value, str) else None
            suggestion = f'Did you mean "{near}"?' if near else ""
            yield Problem(place, f"{_shown(value)} is none of {allowed}", suggestion)
            return
        suggestion = _hint(field) if field is not None else ""
        yield Problem(place, _named(_in_words(what), field), suggestion)


def _unknown(key: Any, known: list[str], place: Place) -> Problem:
    if not isinstance(key, str):
        return Problem(place, f"the parameter name {key!r} is not a text")
    near = nearest(key, known)
    suggestion = (
        f'Did you mean "{near}"?'
        if near is not None
        else f"The module takes {', '.join(known)}."
        if known
        else "The module takes no parameters."
    )
    return Problem((*place, key), f'unknown parameter "{key}"', suggestion)


def _branches(kind: Any) -> Iterator[Any]:
    """The types of a union, without what `Annotated` adds to them."""
    origin = get_origin(kind)
    if origin is Annotated:
        yield from _branches(get_args(kind)[0])
    elif origin in (Union, types.UnionType):
        for branch in get_args(kind):
            yield from _branches(branch)
    else:
        yield kind


def _choices(kind: Any) -> list[str]:
    """The words that a field of fixed choices takes; nothing for any other field."""
    branches = [branch for branch in _branches(kind) if branch is not types.NoneType]
    if len(branches) == 1 and get_origin(branches[0]) is Literal:
        return [str(choice) for choice in get_args(branches[0])]
    return []


def _is_expression(text: str) -> bool:
    """Whether the whole text is one `{{ }}`."""
    return text.startswith("{{") and closing_braces(text, 2) == len(text) - 2


def _has_unknown(value: Any) -> bool:
    if isinstance(value, str):
        return "{{" in value
    if isinstance(value, dict):
        return any(_has_unknown(element) for element in value.values())
    return isinstance(value, list) and any(_has_unknown(element) for element in value)


def _in_words(what: str) -> str:
    if "matching regex" in what:
        return "the text has not the form that is wanted"
    if what.startswith("Object missing required field"):
        return what.replace("Object missing required field", "the parameter") + " is missing"
    if what.startswith("Object contains unknown field"):
        return what.replace("Object contains unknown field", "unknown parameter")
    for pattern, things in ((_TEXT_LENGTH, "characters"), (_LIST_LENGTH, "entries")):
        if match := pattern.search(what):
            comparison, count = match.groups()[-2:]
            excess = "short" if comparison == ">=" else "long"
            return f"too {excess}: {_COMPARISONS[comparison]} {count} {things}"
    words = _TYPE_NAMES.sub(
        lambda match: " or ".join(_WORDS.get(name, name) for name in match[1].split(" | ")), what
    )
    return words[:1].lower() + words[1:]


def _named(text: str, field: FieldInfo | None) -> str:
    return text if field is None else f"`{field.encode_name}`: {text}"


def _hint(field: FieldInfo) -> str:
    """What to write, from the field's own declaration."""
    meta = next((extra for extra in _extras(field.type) if isinstance(extra, msgspec.Meta)), None)
    if meta is None:
        return ""
    if meta.examples:
        return f"Write it like {_shown(meta.examples[0])}."
    return f"It is: {meta.description}" if meta.description else ""


def _extras(kind: Any) -> tuple[Any, ...]:
    return get_args(kind)[1:] if get_origin(kind) is Annotated else ()


def _shown(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 60 else f"{text[:60]}…"

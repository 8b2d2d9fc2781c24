"""Operations: the tests of a condition on one value, written as pipelines.

A pipeline is read from the left and ends with a test: ``!|empty``, ``trim|lower|=``, ``any|len|>``.
Everything before the test either turns the result round (`!`), asks the elements of a list (`any`,
`all`), or changes the field's value (never the `value` that it is compared with).

`TRANSFORMS`, and `TESTS` in `comparisons`, describe them all; the reference page is made from
these tables.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec

from beltline.core.comparisons import (
    TESTS,
    TYPE_NAMES,
    Check,
    Comparison,
    PatternError,
    compile_pattern,
    equal,
    is_empty,
    type_name,
)
from beltline.core.limits import LIMITS
from beltline.core.path import MISSING


class OperationError(ValueError):
    """A text that is no operation; `suggestion` says what to write instead, or is empty."""

    def __init__(self, message: str, suggestion: str = "") -> None:
        super().__init__(message)
        self.suggestion = suggestion


# Transforms


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


def _trim(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def _length(value: Any) -> Any:
    return len(value) if isinstance(value, str | list | dict) else MISSING


_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_LONGEST_NUMBER = 400  # of digits; longer ones overflow a float and are slow to read as integers


def _number(value: Any) -> Any:
    if isinstance(value, bool):
        return MISSING
    if isinstance(value, int | float):
        return value
    if not isinstance(value, str):
        return MISSING
    text = value.strip()
    if len(text) > _LONGEST_NUMBER or _NUMBER.fullmatch(text) is None:
        return MISSING
    if text.lstrip("+-").isdigit():
        return int(text)
    number = float(text)
    return number if math.isfinite(number) else MISSING


def _first(value: Any) -> Any:
    return (value[0] if value else MISSING) if isinstance(value, list) else value


def _last(value: Any) -> Any:
    return (value[-1] if value else MISSING) if isinstance(value, list) else value


def _keys(value: Any) -> Any:
    return list(value) if isinstance(value, dict) else MISSING


def _values(value: Any) -> Any:
    return list(value.values()) if isinstance(value, dict) else MISSING


# Tables


class TransformDoc(msgspec.Struct, frozen=True):
    """One word that may stand before the test; `change` is None where it is no plain function."""

    name: str
    summary: str
    change: Callable[[Any], Any] | None = None


TRANSFORMS: Final[Mapping[str, TransformDoc]] = {
    transform.name: transform
    for transform in (
        TransformDoc("!", "Turns the result of all that follows round."),
        TransformDoc(
            "any",
            "At least one element of the list passes what follows; false for an"
            " empty list, null or nothing. Another value counts as its only element.",
        ),
        TransformDoc(
            "all",
            "Every element of the list passes what follows; true for an empty"
            " list, null or nothing. Another value counts as its only element.",
        ),
        TransformDoc("lower", "The text in small letters; another value as it is.", _lower),
        TransformDoc("upper", "The text in capital letters; another value as it is.", _upper),
        TransformDoc("trim", "The text without space around it; another value as it is.", _trim),
        TransformDoc(
            "len", "How many characters, elements or keys; missing for another value.", _length
        ),
        TransformDoc(
            "number", "The number that the text spells; missing where it spells none.", _number
        ),
        TransformDoc(
            "first",
            "The first element of a list, missing if it has none; another value as it is.",
            _first,
        ),
        TransformDoc(
            "last",
            "The last element of a list, missing if it has none; another value as it is.",
            _last,
        ),
        TransformDoc("keys", "The keys of an object, as a list; missing for another value.", _keys),
        TransformDoc(
            "values", "The values of an object, as a list; missing for another value.", _values
        ),
    )
}

# What people bring from other languages, and what to write here.
_OTHER_NAMES: Final[Mapping[str, str]] = {
    "==": "=",
    "===": "=",
    "eq": "=",
    "equals": "=",
    "is": "=",
    "!==": "!=",
    "<>": "!=",
    "ne": "!=",
    "not_equals": "!=",
    "not-equals": "!=",
    "gt": ">",
    "gte": ">=",
    "ge": ">=",
    "=>": ">=",
    "lt": "<",
    "lte": "<=",
    "le": "<=",
    "=<": "<=",
    "not": "!",
    "not_empty": "!|empty",
    "not-empty": "!|empty",
    "notempty": "!|empty",
    "!empty": "!|empty",
    "null": "empty",
    "blank": "empty",
    "isset": "exists",
    "!exists": "!|exists",
    "not_exists": "!|exists",
    "not-exists": "!|exists",
    "!in": "!|in",
    "not_in": "!|in",
    "not-in": "!|in",
    "in_array": "in",
    "includes": "contains",
    "has": "contains",
    "starts_with": "starts",
    "starts-with": "starts",
    "startswith": "starts",
    "ends_with": "ends",
    "ends-with": "ends",
    "endswith": "ends",
    "regex": "matches",
    "regexp": "matches",
    "match": "matches",
    "preg_match": "matches",
    "~": "matches",
    "lowercase": "lower",
    "strtolower": "lower",
    "uppercase": "upper",
    "strtoupper": "upper",
    "strip": "trim",
    "length": "len",
    "count": "len",
    "size": "len",
    "strlen": "len",
    "int": "number",
    "float": "number",
    "some": "any",
    "every": "all",
    "each": "all",
}


class Operation(msgspec.Struct, frozen=True):
    """A compiled pipeline.

    `text` is what the author wrote, `words` its parts, the last of them the test. `value` tells
    what the test takes as `value`: "" for nothing. `holds` decides, and appends a note for the
    journal where values had no order.
    """

    text: str
    words: tuple[str, ...]
    value: str
    holds: Comparison

    def value_problem(self, value: Any) -> str:
        """What is wrong with a constant `value` for this operation; "" where nothing is."""
        test = self.words[-1]
        if self.value == "order" and type_name(value) not in ("number", "string"):
            return f"{test} takes a number or a string, not {type_name(value)}"
        if self.value in ("string", "pattern") and not isinstance(value, str):
            return f"{test} takes a string, not {type_name(value)}"
        if self.value == "pattern":
            try:
                compile_pattern(value)
            except PatternError as error:
                return str(error)
        if self.value == "list" and not isinstance(value, list):
            return f"{test} takes a list, not {type_name(value)}"
        if self.value == "pair":
            kinds = [type_name(end) for end in value] if isinstance(value, list) else []
            if kinds not in (["number", "number"], ["string", "string"]):
                return f"{test} takes a list of two numbers or of two strings"
        if self.value == "type" and value not in TYPE_NAMES:
            return f"{test} takes one of {', '.join(TYPE_NAMES)}"
        return ""

    def check(self, value: Any) -> Check | None:
        """The test with a constant inside, where it needs no notes; None where it may note."""
        if self.value in ("order", "pair"):
            return None
        plain = TESTS[self.words[-1]].check
        check = _bound(self.words[-1], value) if plain is None else plain
        for word in reversed(self.words[:-1]):
            check = _prefixed_check(word, check)
        return check


def _bound(test: str, value: Any) -> Check:
    """Put the constant into the test; the ones that hot ways use most are closures of their own."""
    if test in ("=", "!="):
        wanted = test == "="
        if isinstance(value, str):
            return lambda field: (field == value) is wanted
        return lambda field: equal(field, value) is wanted
    if test == "in" and all(isinstance(element, str) for element in value):
        choices = frozenset(value)
        return lambda field: isinstance(field, str) and field in choices
    if test == "matches":
        search = compile_pattern(value)
        return lambda field: isinstance(field, str) and search(field)
    decide = TESTS[test].decide
    return lambda field: decide(field, value, [])


@lru_cache(maxsize=1_024)
def compile_operation(text: str) -> Operation:
    """Compile a pipeline such as ``!|empty`` or ``trim|lower|=``.

    Raises `OperationError`, with what to write instead, where a word is not known or the last one
    is no test.
    """
    words = tuple(word.strip() for word in text.split("|"))
    if len(text) > LIMITS.name_bytes:
        raise OperationError(
            f"an operation takes at most {LIMITS.name_bytes} characters (limit name_bytes)"
        )
    for word in words[:-1]:
        if word not in TRANSFORMS:
            raise _unknown_word(word, text, before_test=True)
    last = words[-1]
    if last not in TESTS:
        raise _unknown_word(last, text, before_test=False)
    test = TESTS[last]
    holds = test.decide
    for word in reversed(words[:-1]):
        holds = _prefixed(word, holds)
    return Operation(text, words, test.value, holds)


def _elements(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    return [] if value is None or value is MISSING else [value]


def _prefixed(word: str, rest: Comparison) -> Comparison:
    if word == "!":
        return lambda field, value, notes: not rest(field, value, notes)
    if word == "any":
        return lambda field, value, notes: any(
            rest(element, value, notes) for element in _elements(field)
        )
    if word == "all":
        return lambda field, value, notes: all(
            rest(element, value, notes) for element in _elements(field)
        )
    change = TRANSFORMS[word].change
    assert change is not None
    return lambda field, value, notes: rest(change(field), value, notes)


def _prefixed_check(word: str, rest: Check) -> Check:
    if word == "!":
        return _is_not_empty if rest is is_empty else lambda field: not rest(field)
    if word == "any":
        return lambda field: any(rest(element) for element in _elements(field))
    if word == "all":
        return lambda field: all(rest(element) for element in _elements(field))
    change = TRANSFORMS[word].change
    assert change is not None
    return lambda field: rest(change(field))


def _is_not_empty(value: Any) -> bool:
    return bool(value) or (
        value is not None and value is not MISSING and isinstance(value, int | float)
    )


def _unknown_word(word: str, text: str, *, before_test: bool) -> OperationError:
    if not word:
        return OperationError(
            f"the operation {text!r} has an empty part",
            "write words with one | between them, such as !|empty",
        )
    if not before_test and word in TRANSFORMS:
        return OperationError(
            f"the operation {text!r} ends with {word}, which is no test",
            f"write {text}|empty or another test at the end",
        )
    if before_test and word in TESTS:
        return OperationError(
            f"the test {word} stands before the end of {text!r}",
            "put the test last; transforms go before it",
        )
    known = [*TRANSFORMS] if before_test else [*TESTS, *TRANSFORMS]
    guess = _OTHER_NAMES.get(word.lower())
    if guess is None:
        near = difflib.get_close_matches(word.lower(), known, 1)
        guess = near[0] if near else None
    what = "transform" if before_test else "operation"
    return OperationError(
        f"unknown {what} {word!r}",
        f"did you mean {guess}?" if guess else f"known: {' '.join(known)}",
    )

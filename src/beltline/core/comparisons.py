"""Comparisons: the tests that a condition can make of one value, without pipelines.

They never fail, whatever JSON they meet: values of unlike types are unequal, have no order (which
is noted), and match nothing. `TESTS` describes them all; `operations` builds pipelines on them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec
import re2

from beltline.core.limits import LIMITS
from beltline.core.path import MISSING

Check = Callable[[Any], bool]
"""A test on the field's value alone, the constant it is compared with already inside."""
Comparison = Callable[[Any, Any, list[str]], bool]
"""A test of the field's value against another, with a list that takes notes for the journal."""


class PatternError(ValueError):
    """A pattern that RE2 does not take."""


# Equality


def equal(left: Any, right: Any) -> bool:
    """Whether two JSON values are the same value; never fails, however deep they are.

    Unlike types are unequal: true is not 1, null is not a missing field. 1 equals 1.0. Lists and
    objects are compared by the same rule all the way down. A missing field equals nothing, not
    even another missing field.
    """
    kind = type(left)
    if kind is str or kind is bool:
        return type(right) is kind and bool(left == right)
    if kind is int or kind is float:
        other = type(right)
        return (other is int or other is float) and bool(left == right)
    if left is None or right is None:
        return left is right
    return _deep_equal(left, right)


def _deep_equal(left: Any, right: Any) -> bool:
    pending = [(left, right)]
    while pending:
        left, right = pending.pop()
        if isinstance(left, list):
            if not isinstance(right, list) or len(left) != len(right):
                return False
            pending.extend(zip(left, right, strict=True))
        elif isinstance(left, dict):
            if not isinstance(right, dict) or left.keys() != right.keys():
                return False
            pending.extend((value, right[key]) for key, value in left.items())
        elif left is MISSING or right is MISSING or not _equal_scalars(left, right):
            return False
    return True


def _equal_scalars(left: Any, right: Any) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, int | float):
        return isinstance(right, int | float) and left == right
    return type(left) is type(right) and bool(left == right)


# Tests


def _without_value(check: Check) -> Comparison:
    return lambda field, value, notes: check(field)


def type_name(value: Any) -> str:
    """The JSON type of a value, as the operation `type` and the messages name it."""
    if value is MISSING:
        return "missing"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "list" if isinstance(value, list) else "object"


TYPE_NAMES: Final = ("missing", "null", "boolean", "number", "string", "list", "object")


def is_empty(value: Any) -> bool:
    """Missing, null, "", [] and {}; 0 and false are values like any other."""
    return not value and (value is None or value is MISSING or not isinstance(value, int | float))


def is_php_empty(value: Any) -> bool:
    """What PHP's `empty()` says: also 0, 0.0, "0" and false."""
    return not value or value == "0"


def _exists(value: Any) -> bool:
    return value is not MISSING


def _compare(left: Any, right: Any, notes: list[str]) -> int | None:
    """-1, 0 or 1; None, with a note, for values that have no order between them."""
    if isinstance(left, str) and isinstance(right, str):
        return (left > right) - (left < right)
    if (
        isinstance(left, int | float)
        and isinstance(right, int | float)
        and not isinstance(left, bool)
        and not isinstance(right, bool)
    ):
        return (left > right) - (left < right)
    notes.append(f"{type_name(left)} and {type_name(right)} have no order")
    return None


def _greater(left: Any, right: Any, notes: list[str]) -> bool:
    return _compare(left, right, notes) == 1


def _greater_or_equal(left: Any, right: Any, notes: list[str]) -> bool:
    return _compare(left, right, notes) in (0, 1)


def _less(left: Any, right: Any, notes: list[str]) -> bool:
    return _compare(left, right, notes) == -1


def _less_or_equal(left: Any, right: Any, notes: list[str]) -> bool:
    return _compare(left, right, notes) in (0, -1)


def _between(left: Any, right: Any, notes: list[str]) -> bool:
    if not isinstance(right, list) or len(right) != 2:
        notes.append("between takes a list of two values")
        return False
    return _greater_or_equal(left, right[0], notes) and _less_or_equal(left, right[1], notes)


def _equals(left: Any, right: Any, notes: list[str]) -> bool:
    return equal(left, right)


def _differs(left: Any, right: Any, notes: list[str]) -> bool:
    return not equal(left, right)


def _is_in(left: Any, right: Any, notes: list[str]) -> bool:
    if not isinstance(right, list):
        notes.append(f"in takes a list, not {type_name(right)}")
        return False
    return any(equal(left, element) for element in right)


def _contains(left: Any, right: Any, notes: list[str]) -> bool:
    if isinstance(left, str):
        return isinstance(right, str) and right in left
    if isinstance(left, list):
        return any(equal(element, right) for element in left)
    return isinstance(left, dict) and isinstance(right, str) and right in left


def _starts(left: Any, right: Any, notes: list[str]) -> bool:
    return isinstance(left, str) and isinstance(right, str) and left.startswith(right)


def _ends(left: Any, right: Any, notes: list[str]) -> bool:
    return isinstance(left, str) and isinstance(right, str) and left.endswith(right)


def _matches(left: Any, right: Any, notes: list[str]) -> bool:
    if not isinstance(left, str) or not isinstance(right, str):
        return False
    try:
        return compile_pattern(right)(left)
    except PatternError as error:
        notes.append(str(error))
        return False


def _type_is(left: Any, right: Any, notes: list[str]) -> bool:
    return bool(type_name(left) == right)


@lru_cache(maxsize=256)
def compile_pattern(pattern: str) -> Check:
    """Compile an RE2 pattern; it is looked for anywhere in the text, in linear time."""
    if len(pattern.encode("utf-8", "surrogatepass")) > LIMITS.regex_bytes:
        raise PatternError(
            f"a pattern takes at most {LIMITS.regex_bytes} bytes (limit regex_bytes)"
        )
    options = re2.Options()
    options.log_errors = False
    try:
        search = re2.compile(pattern, options).search
    except (re2.error, UnicodeEncodeError) as error:
        reason = error.args[0] if error.args else "unknown"
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise PatternError(f"the pattern is not RE2: {text}") from error

    def matches(text: Any) -> bool:
        try:
            return search(text) is not None
        except UnicodeEncodeError:  # half of a surrogate pair, which no pattern can mean
            return False

    return matches


# The table


class TestDoc(msgspec.Struct, frozen=True):
    """One test: what it says, the kind of `value` it takes ("" for none), and how it decides.

    A test that takes no value has its `check`, and `decide` is made from that.
    """

    __test__ = False  # not a test of pytest

    name: str
    summary: str
    value: str
    decide: Comparison
    check: Check | None = None


TESTS: Final[Mapping[str, TestDoc]] = {
    test.name: test
    for test in (
        TestDoc(
            "empty",
            'The field is missing, null, "", [] or {}; 0 and false are not empty.',
            "",
            _without_value(is_empty),
            is_empty,
        ),
        TestDoc("exists", "The field is there, be it null.", "", _without_value(_exists), _exists),
        TestDoc("=", "The values are equal; unlike types are not, 1 and 1.0 are.", "any", _equals),
        TestDoc("!=", "The values are not equal: exactly !|=.", "any", _differs),
        TestDoc(
            ">", "The field is greater: numbers by size, strings by code point.", "order", _greater
        ),
        TestDoc(">=", "The field is greater or equal.", "order", _greater_or_equal),
        TestDoc("<", "The field is less.", "order", _less),
        TestDoc("<=", "The field is less or equal.", "order", _less_or_equal),
        TestDoc("in", "The field equals one element of the list in value.", "list", _is_in),
        TestDoc(
            "contains",
            "The text has the part, the list the element, the object the key.",
            "any",
            _contains,
        ),
        TestDoc("starts", "The text starts with value.", "string", _starts),
        TestDoc("ends", "The text ends with value.", "string", _ends),
        TestDoc(
            "matches",
            "The RE2 pattern in value is found in the text; ^ and $ tie it down.",
            "pattern",
            _matches,
        ),
        TestDoc(
            "between",
            "The field is not less than the first nor greater than the second of the two in value.",
            "pair",
            _between,
        ),
        TestDoc("type", f"The field's type is value: {', '.join(TYPE_NAMES)}.", "type", _type_is),
        TestDoc(
            "php-empty",
            'The field is empty as PHP has it: also 0, "0" and false.',
            "",
            _without_value(is_php_empty),
            is_php_empty,
        ),
    )
}

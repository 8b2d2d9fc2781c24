"""The single tests of a condition: `field` with `operation` and `value`, and `if`."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from beltline.core.comparisons import Check, type_name
from beltline.core.expression import Expression, ExpressionError, Scope, compile_expression
from beltline.core.operations import Operation, OperationError, compile_operation
from beltline.core.path import Path, PathError, Reader, compile_path
from beltline.core.routing import AnyTest, Saw


class LeafError(ValueError):
    """A test that does not compile: `key` is the one at fault ("" for the test as a whole)."""

    def __init__(self, key: str, message: str, suggestion: str = "") -> None:
        super().__init__(message)
        self.key = key
        self.suggestion = suggestion


class Leaf(msgspec.Struct, frozen=True):
    """A compiled test: either `read` and `check`, or `test`; `name` is what it shows its value by.

    `identity` is equal for two tests that always give the same answer, or the opposite one when
    `is_negated` differs; None where that is not known. `never_holds` is the reason why the test
    cannot hold, whatever the document is; "" where it can.
    """

    name: str
    roots: frozenset[str] | None
    read: Reader | None = None
    check: Check | None = None
    test: AnyTest | None = None
    identity: tuple[Any, ...] | None = None
    is_negated: bool = False
    never_holds: str = ""


def compile_comparison(data: Mapping[str, Any]) -> Leaf:
    """Compile `field`, `operation` and `value`; raises `LeafError`."""
    path = _compile_field(data["field"])
    if "operation" not in data:
        raise LeafError("", "the test has a field and no operation", "add operation: empty, = ...")
    text = data["operation"]
    if not isinstance(text, str):
        raise LeafError(
            "operation", f"operation must be a text, not {type_name(text)}", "put it between quotes"
        )
    try:
        operation = compile_operation(text)
    except OperationError as error:
        raise LeafError("operation", str(error), error.suggestion) from error
    test_name = operation.words[-1]
    if not operation.value:
        if "value" in data:
            raise LeafError("value", f"{test_name} takes no value", "leave value out")
        return _leaf_of_constant(path, operation, None)
    if "value" not in data:
        raise LeafError("", f"{test_name} needs a value to compare with", "add value: ...")
    value = data["value"]
    if isinstance(value, str) and value.strip().startswith("{{"):
        return _leaf_of_two_paths(path, operation, _compile_value_path(value))
    _check_constant(value)
    problem = operation.value_problem(value)
    if problem:
        raise LeafError("value", problem)
    return _leaf_of_constant(path, operation, value)


def _compile_field(text: Any) -> Path:
    if not isinstance(text, str):
        raise LeafError(
            "field", f"field must be a path, not {type_name(text)}", "put it between quotes"
        )
    try:
        return compile_path(text)
    except PathError as error:
        inner = text.strip().removeprefix("{{").removesuffix("}}").strip()
        if inner != text:
            raise LeafError(
                "field",
                "field is a path, without braces or space around it",
                f"write field: {inner}",
            ) from error
        raise LeafError(
            "field",
            f"field is no path: {error} (character {error.offset + 1})",
            "write a path, or the whole test as if: an expression",
        ) from error


def _compile_value_path(text: str) -> Path:
    inner = text.strip()
    if not inner.endswith("}}"):
        raise LeafError(
            "value",
            "value is a constant or one {{ path }}, without text around it",
            "compare in if: an expression",
        )
    inner = inner[2:-2].strip()
    try:
        return compile_path(inner)
    except PathError as error:
        raise LeafError(
            "value",
            f"value takes a constant or a {{{{ path }}}}: {error}",
            "compare in if: an expression",
        ) from error


def _check_constant(value: Any) -> None:
    """Refuse what is not JSON, and texts that look as if they were to be replaced."""
    pending = [value]
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            pending.extend(part)
            pending.extend(part.values())
        elif isinstance(part, list):
            pending.extend(part)
        elif isinstance(part, str):
            if "{{" in part:
                raise LeafError(
                    "value",
                    "value is a constant or one whole {{ path }}; braces"
                    " inside it are not replaced",
                    "compare in if: an expression",
                )
        elif part is not None and not isinstance(part, int | float):
            raise LeafError(
                "value",
                f"a value of type {type(part).__name__} is not JSON",
                "put it between quotes to make it a text",
            )
        elif isinstance(part, float) and not math.isfinite(part):
            raise LeafError("value", "value is no finite number")


def _leaf_of_constant(path: Path, operation: Operation, value: Any) -> Leaf:
    words, is_negated = _without_negation(operation.words)
    frozen = _frozen(value)
    identity = None if frozen is None else (path.segments, words, frozen)
    check = operation.check(value)
    if check is not None:
        return Leaf(
            path.text,
            frozenset((path.root,)),
            read=path.read,
            check=check,
            identity=identity,
            is_negated=is_negated,
            never_holds=_never_holds(operation, value),
        )
    read, name, holds, text = path.read, path.text, operation.holds, operation.text

    def test(document: Mapping[str, Any], scope: Scope, saw: Saw, notes: list[str]) -> bool:
        field = read(document)
        saw[name] = field
        found: list[str] = []
        result = holds(field, value, found)
        if found:
            notes.append(f"{name} {text}: {found[0]}")
        return result

    return Leaf(
        name,
        frozenset((path.root,)),
        test=test,
        identity=identity,
        is_negated=is_negated,
        never_holds=_never_holds(operation, value),
    )


def _leaf_of_two_paths(path: Path, operation: Operation, other: Path) -> Leaf:
    read, name, holds, text = path.read, path.text, operation.holds, operation.text
    read_other, other_name = other.read, other.text

    def test(document: Mapping[str, Any], scope: Scope, saw: Saw, notes: list[str]) -> bool:
        field = read(document)
        value = read_other(document)
        saw[name] = field
        saw[other_name] = value
        found: list[str] = []
        result = holds(field, value, found)
        if found:
            notes.append(f"{name} {text} {other_name}: {found[0]}")
        return result

    words, is_negated = _without_negation(operation.words)
    return Leaf(
        name,
        frozenset((path.root, other.root)),
        test=test,
        is_negated=is_negated,
        identity=(path.segments, words, ("path", other.segments)),
    )


def compile_if(data: Mapping[str, Any], step_ids: Collection[str]) -> Leaf:
    """Compile `if`, with or without ``{{ }}`` around the expression; raises `LeafError`."""
    for key in ("operation", "value"):
        if key in data:
            raise LeafError(
                key,
                f"{key} stands beside if, and has no field",
                "write the whole test into if, or add field instead of it",
            )
    text = data["if"]
    if not isinstance(text, str):
        raise LeafError(
            "if", f"if must be an expression, not {type_name(text)}", "put it between quotes"
        )
    source = text.strip()
    if source.startswith("{{") and source.endswith("}}"):
        source = source[2:-2].strip()
    try:
        expression = compile_expression(source, step_ids)
    except ExpressionError as error:
        raise LeafError("if", str(error)) from error
    if expression.reader is not None:
        return Leaf(source, expression.roots, read=expression.reader, check=is_true)
    return Leaf(source, expression.roots, test=_test_of(expression))


def _test_of(expression: Expression) -> AnyTest:
    evaluate, name = expression.evaluate, expression.source

    def test(document: Mapping[str, Any], scope: Scope, saw: Saw, notes: list[str]) -> bool:
        value = evaluate(document, scope)
        saw[name] = value
        return is_true(value)

    return test


def is_true(value: Any) -> bool:
    """JSONata's rule: nothing, null, false, 0, "", {} and lists without a true element are not."""
    if not isinstance(value, list):
        return bool(value)
    pending = list(value)
    while pending:
        part = pending.pop()
        if isinstance(part, list):
            pending.extend(part)
        elif part:
            return True
    return False


# What is known of a test without a document


def _without_negation(words: tuple[str, ...]) -> tuple[tuple[str, ...], bool]:
    is_negated = False
    while words[0] == "!":
        words = words[1:]
        is_negated = not is_negated
    if words == ("!=",):
        return ("=",), not is_negated
    return words, is_negated


def _frozen(value: Any) -> tuple[str, bytes] | None:
    """A constant as a key; None where it has none, being too deep or too large to be written."""
    try:
        return ("constant", msgspec.json.encode(value))
    except (ValueError, TypeError, RecursionError, OverflowError):
        return None


def _never_holds(operation: Operation, value: Any) -> str:
    if "!" in operation.words or "all" in operation.words:
        return ""
    test = operation.words[-1]
    if test == "in" and value == []:
        return "the list in value is empty"
    if test == "between" and value[0] > value[1]:
        return f"{value[0]!r} is greater than {value[1]!r}"
    return ""

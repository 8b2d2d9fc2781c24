"""Values with expressions in them: what stands in a step's `with`, compiled once.

A text that is one ``{{ expression }}`` gives the expression's value with its type. With text
around it, it gives a text: a missing value and null print as nothing, texts as they are, numbers,
true and false as in JSON, lists and objects as JSON. A key whose expression gives nothing is left
out of its object, and such an element out of its list; null stays null.

Resolving is on the way of every step, so the usual shape, a flat object of paths, has its own
loop. What is resolved shares values with the document: nobody may change it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgspec

from beltline.core.expression import (
    Expression,
    ExpressionError,
    ExpressionFailed,
    Scope,
    compile_expression,
)
from beltline.core.lexing import closing_braces
from beltline.core.limits import LIMITS
from beltline.core.path import MISSING, Reader
from beltline.core.problem import Place, Problem

Resolver = Callable[[Mapping[str, Any], Scope], Any]


class Template:
    """A compiled value.

    `resolve(document, scope)` gives the value, or `MISSING` where a whole expression gives
    nothing, and raises `ExpressionFailed` where one fails. `roots` are the keys of the document
    that it can read (None: any); `is_constant` holds where it reads none.
    """

    __slots__ = ("is_constant", "resolve", "roots")

    def __init__(
        self, resolve: Resolver, roots: frozenset[str] | None, *, is_constant: bool
    ) -> None:
        self.resolve = resolve
        self.roots = roots
        self.is_constant = is_constant


class _Compiled(msgspec.Struct, frozen=True):
    """A part of a template: how to resolve it, and what it reads."""

    resolve: Resolver
    constant: bool
    reader: Reader | None = None  # where the part is a bare path


def compile_value(
    value: Any, step_ids: Collection[str], place: Place
) -> tuple[Template, list[Problem]]:
    """Compile any JSON value with ``{{ }}`` in its texts.

    Gives the template, and every problem with its place (`place` and the keys below it). A
    template with errors must not be resolved.
    """
    compiler = _Compiler(step_ids)
    whole = compiler.compile(value, place)
    roots = frozenset(compiler.roots) if compiler.roots is not None else None
    return Template(whole.resolve, roots, is_constant=whole.constant), compiler.problems


class _Compiler:
    """One walk over a value; its depth is bounded, so recursion is safe."""

    def __init__(self, step_ids: Collection[str]) -> None:
        self.step_ids = step_ids
        self.problems: list[Problem] = []
        self.roots: set[str] | None = set()

    def compile(self, value: Any, place: Place, depth: int = 0) -> _Compiled:
        if isinstance(value, str):
            return self._text(value, place) if "{{" in value else _constant(value)
        if isinstance(value, dict | list) and depth >= LIMITS.request_depth:
            return self._refuse(
                place,
                f"values nest more than {LIMITS.request_depth} levels deep (limit request_depth)",
                "write a flatter value",
            )
        if isinstance(value, dict):
            return self._object(value, place, depth)
        if isinstance(value, list):
            return self._list(value, place, depth)
        if value is None or isinstance(value, bool | int | float):
            return _constant(value)
        return self._refuse(
            place,
            f"a value of type {type(value).__name__} is not JSON",
            "put it between quotes to make it a text",
        )

    def _refuse(self, place: Place, message: str, suggestion: str = "") -> _Compiled:
        self.problems.append(Problem(place, message, suggestion))
        return _constant(None)

    def _object(self, value: dict[Any, Any], place: Place, depth: int) -> _Compiled:
        parts: list[tuple[str, _Compiled]] = []
        for key, element in value.items():
            if not isinstance(key, str):
                self._refuse(
                    (*place, key if isinstance(key, int) else str(key)),
                    f"the key {key!r} is not a text",
                    f'write "{key}"',
                )
                continue
            parts.append((key, self.compile(element, (*place, key), depth + 1)))
        if all(part.constant for _, part in parts):
            return _constant(value)
        readers = [(key, part.reader) for key, part in parts if part.reader is not None]
        if len(readers) == len(parts):
            return _Compiled(_object_of_paths(tuple(readers)), constant=False)
        return _Compiled(
            _object_of_parts(tuple((key, part.resolve) for key, part in parts)), constant=False
        )

    def _list(self, value: list[Any], place: Place, depth: int) -> _Compiled:
        parts = [
            self.compile(element, (*place, index), depth + 1) for index, element in enumerate(value)
        ]
        if all(part.constant for part in parts):
            return _constant(value)
        return _Compiled(_list_of_parts(tuple(part.resolve for part in parts)), constant=False)

    def _text(self, text: str, place: Place) -> _Compiled:
        pieces: list[str | Expression] = []
        offset = 0
        while (opening := text.find("{{", offset)) >= 0:
            closing = closing_braces(text, opening + 2)
            if closing < 0:
                return self._refuse(
                    place,
                    f"the {{{{ at character {opening + 1} has no }}}}",
                    'close it; a text with such braces is written {{ "{{" }}',
                )
            if opening > offset:
                pieces.append(text[offset:opening])
            try:
                expression = compile_expression(text[opening + 2 : closing].strip(), self.step_ids)
            except ExpressionError as error:
                return self._refuse(place, str(error))
            self._reads(expression)
            pieces.append(expression)
            offset = closing + 2
        if offset < len(text):
            pieces.append(text[offset:])
        only = pieces[0]
        if len(pieces) == 1 and isinstance(only, Expression):
            return _Compiled(only.evaluate, constant=False, reader=only.reader)
        return _Compiled(_joined_text(tuple(pieces)), constant=False)

    def _reads(self, expression: Expression) -> None:
        if expression.roots is None:
            self.roots = None
        elif self.roots is not None:
            self.roots |= expression.roots


def _constant(value: Any) -> _Compiled:
    return _Compiled(lambda document, scope: value, constant=True)


def _object_of_paths(readers: tuple[tuple[str, Reader], ...]) -> Resolver:
    def resolve(document: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
        result = {}
        for key, read in readers:
            value = read(document)
            if value is not MISSING:
                result[key] = value
        return result

    return resolve


def _object_of_parts(parts: tuple[tuple[str, Resolver], ...]) -> Resolver:
    def resolve(document: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
        result = {}
        for key, part in parts:
            value = part(document, scope)
            if value is not MISSING:
                result[key] = value
        return result

    return resolve


def _list_of_parts(parts: tuple[Resolver, ...]) -> Resolver:
    def resolve(document: Mapping[str, Any], scope: Scope) -> list[Any]:
        values = [part(document, scope) for part in parts]
        return [value for value in values if value is not MISSING]

    return resolve


def _joined_text(pieces: tuple[str | Expression, ...]) -> Resolver:
    def resolve(document: Mapping[str, Any], scope: Scope) -> str:
        texts = [
            piece if isinstance(piece, str) else _printed(piece.evaluate(document, scope))
            for piece in pieces
        ]
        length = sum(map(len, texts))
        if length > LIMITS.expression_result_bytes:
            raise ExpressionFailed(
                f"the text would have {length} characters, more than"
                f" {LIMITS.expression_result_bytes}"
                " (limit expression_result_bytes)"
            )
        return "".join(texts)

    return resolve


def _printed(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None or value is MISSING:
        return ""
    try:
        return msgspec.json.encode(value).decode()
    except (ValueError, RecursionError, OverflowError) as error:
        raise ExpressionFailed("a value in a text nests too deeply to be printed") from error

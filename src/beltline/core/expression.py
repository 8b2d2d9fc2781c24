"""Expressions: what stands in ``{{ }}`` and in `if`, compiled once.

A bare path is read directly. Anything longer is JSONata: the survey looks at it first (step ids,
roots, forbidden functions), guards bound what a size in the data could raise, and the library
compiles and evaluates. This is the only file that knows the library.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import jsonatapy
import msgspec

from beltline.core.functions import FUNCTIONS
from beltline.core.guards import (
    BOUND_SEQUENCE,
    CROSSED_CHARACTERS,
    CROSSED_SEQUENCE,
    CROSSED_STACK,
    guard,
)
from beltline.core.limits import LIMITS
from beltline.core.path import MISSING, Path, PathError, Reader, compile_path
from beltline.core.survey import Survey, SurveyError, survey


class Scope(msgspec.Struct, frozen=True):
    """What an expression may know besides the document, so that a decision can be repeated.

    `now_ms` is the decision's own time (Unix, milliseconds), `run` the run's id, `seq` the
    decision's number in the run.
    """

    now_ms: int
    run: str
    seq: int


class ExpressionError(ValueError):
    """An expression that does not compile; `offset` is the character, where it is known."""

    def __init__(self, message: str, offset: int | None = None) -> None:
        super().__init__(message)
        self.offset = offset


class ExpressionFailed(Exception):
    """An expression that failed on this document: the visit ends with an error of its kind."""


Evaluator = Callable[[Mapping[str, Any], Scope], Any]


class Expression:
    """A compiled expression.

    `evaluate(document, scope)` gives the value or `MISSING`, and raises `ExpressionFailed`.
    `roots` are the keys of the document that it can read, None for any. A bare path has its
    `reader`, which needs no scope and never fails.
    """

    __slots__ = ("evaluate", "reader", "roots", "source")

    def __init__(
        self,
        source: str,
        roots: frozenset[str] | None,
        evaluate: Evaluator,
        reader: Reader | None = None,
    ) -> None:
        self.source = source
        self.roots = roots
        self.evaluate = evaluate
        self.reader = reader

    def __repr__(self) -> str:
        return f"Expression({self.source!r})"


_CONSTANTS: Final = frozenset(("true", "false", "null"))
_LARGEST_EXACT: Final = 2**53


def compile_expression(source: str, step_ids: Collection[str]) -> Expression:
    """Compile what stands between the braces; `step_ids` are the ids that may have hyphens.

    Raises `ExpressionError`, which says what to write instead.
    """
    source = source.strip()
    if not source:
        raise ExpressionError("the expression is empty", 0)
    if len(source.encode("utf-8", "surrogatepass")) > LIMITS.expression_bytes:
        raise ExpressionError(
            f"an expression takes at most {LIMITS.expression_bytes} bytes"
            " (limit expression_bytes); longer work belongs to a module",
            0,
        )
    path = _bare_path(source)
    if path is not None:
        read = path.read
        return Expression(
            source, frozenset((path.root,)), lambda document, scope: read(document), read
        )
    try:
        seen = survey(source, step_ids)
    except SurveyError as error:
        raise ExpressionError(str(error), error.offset) from error
    _compile(seen.source)  # alone, so that an error is the author's and not the guards'
    for regex in seen.regexes:
        _check_regex(regex)
    roots = None if seen.chains is None else frozenset(chain[0] for chain in seen.chains)
    return Expression(source, roots, _Evaluation(seen).evaluate)


def _bare_path(source: str) -> Path | None:
    if source in _CONSTANTS or (source[0].isdigit() and source.replace("e", "").isdigit()):
        return None
    try:
        return compile_path(source)
    except PathError:
        return None


def _compile(source: str) -> jsonatapy.JsonataExpression:
    try:
        return jsonatapy.compile(source)
    except (ValueError, TypeError) as error:
        raise ExpressionError(_reason(error)) from error


def _check_regex(regex: str) -> None:
    """The library compiles a regular expression when it first meets it; here it is met."""
    if len(regex.encode("utf-8", "surrogatepass")) > LIMITS.regex_bytes:
        raise ExpressionError(
            f"a regular expression takes at most {LIMITS.regex_bytes} bytes (limit regex_bytes)"
        )
    try:
        _compile(f'$contains("", {regex})').evaluate({})
    except ValueError as error:
        raise ExpressionError(
            f"the regular expression {regex} does not compile: {str(error).splitlines()[-1]}"
        ) from error


def _reason(error: BaseException) -> str:
    """The library's message without its codes and wrappings, cut to a readable length."""
    message = str(error)
    for beginning in ("Parse error: ", "Invalid syntax: ", "Syntax error: "):
        message = message.removeprefix(beginning)
    code, colon, rest = message.partition(": ")
    if colon and len(code) == 5 and code[0] in "SDTU" and code[1:].isdigit():
        if code == "D1012":
            return f"it took longer than {LIMITS.expression_time_ms} ms (limit expression_time_ms)"
        if code == "D1011":
            return (
                "its calls nest too deeply (limit expression_stack): a function calls itself"
                " without end, or a value is too deep"
            )
        message = rest
    return message.removeprefix("beltline: ")[: LIMITS.error_message_bytes // 4]


class _Evaluation:
    """One JSONata expression with what it needs for a document.

    A program of the library belongs to the thread that compiled it: another one can neither
    evaluate nor free it. Definitions may be read in one thread and run in another, so that the
    programs that are kept are compiled when the first document comes; that they compile is
    checked when the expression is read.
    """

    def __init__(self, seen: Survey) -> None:
        self.crosses = seen.crosses
        self.sequence = LIMITS.expression_sequence
        self.stack = LIMITS.expression_stack
        if seen.crosses:
            self.sequence = BOUND_SEQUENCE if seen.binds else CROSSED_SEQUENCE
            self.stack = CROSSED_STACK
        self.readers: tuple[Reader, ...] | None = None
        self.roots: frozenset[str] = frozenset()
        if seen.chains is not None:
            self.readers = tuple(Path("", chain).read for chain in seen.chains)
            self.roots = frozenset(chain[0] for chain in seen.chains)
        self.own_names = tuple(sorted(seen.names & FUNCTIONS.keys()))
        self.knows_time = bool(seen.names & {"now", "millis"})
        self.is_random = "random" in seen.names
        self.text = guard(seen.source, seen.names, crosses=seen.crosses)
        # Only asked for a result of None, which stands for nothing, null and a function alike.
        self.type_text = guard(f"$type(({seen.source}\n))", seen.names, crosses=seen.crosses)
        self.compile(self.text)
        self.program: jsonatapy.JsonataExpression | None = None
        self.type_program: jsonatapy.JsonataExpression | None = None

    def compile(self, text: str) -> jsonatapy.JsonataExpression:
        program = _compile(text)
        for name in self.own_names:
            program.register(f"beltline_{name}", FUNCTIONS[name].call)
        return program

    def evaluate(self, document: Mapping[str, Any], scope: Scope) -> Any:
        data, sequence = self.prepare(document)
        if self.program is None:
            self.program = self.compile(self.text)
        result = self.call(self.program, self.text, data, scope, sequence)
        if result is None:
            if self.type_program is None:
                self.type_program = self.compile(self.type_text)
            kind = self.call(self.type_program, self.type_text, data, scope, sequence)
            if kind == "function":
                raise ExpressionFailed("it gives a function, which is no value; call it")
            return None if kind == "null" else MISSING
        _check_result(result)
        return result

    def prepare(self, document: Mapping[str, Any]) -> tuple[Mapping[str, Any], int]:
        """The data for the library, integers that it would round as texts, and the bound of lists.

        Nothing is copied unless there is such an integer.
        """
        if self.readers is None:
            values: list[Any] = [document]
        else:
            values = [read(document) for read in self.readers]
        if not self.crosses:
            if not _holds_large_integer(values):
                return document, self.sequence
            return self.exact(document), self.sequence
        has_large, longest_list, longest_text = _sizes(values)
        sequence = min(self.sequence, CROSSED_CHARACTERS // max(1, longest_text))
        if longest_list > sequence:
            raise ExpressionFailed(
                f"it combines the elements of a list with other data; then a list may have at"
                f" most {sequence} elements, and one here has {longest_list}: use a for-each step"
            )
        return (self.exact(document) if has_large else document), sequence

    def exact(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        if self.readers is None:
            return _with_texts(dict(document))
        return _with_texts({root: document[root] for root in self.roots if root in document})

    def call(
        self,
        program: jsonatapy.JsonataExpression,
        text: str,
        data: Mapping[str, Any],
        scope: Scope,
        sequence: int,
    ) -> Any:
        if self.is_random:
            program = self.compile(text).register_override("random", _chance(text, scope))
        bindings = {"beltline_time": scope.now_ms} if self.knows_time else None
        try:
            return program.evaluate(
                data,
                bindings,
                timeout=LIMITS.expression_time_ms,
                max_stack_depth=self.stack,
                # One more, for the guard that measures a list.
                max_sequence_length=sequence + self.crosses,
            )
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            if str(error).startswith("D2015"):
                raise ExpressionFailed(
                    f"a list in it has more than {sequence} elements"
                    " (limit expression_sequence; lower where an expression combines lists)"
                ) from error
            raise ExpressionFailed(_reason(error)) from error
        except BaseException as error:
            # A panic of the library is no Exception for Python; it harms nothing but this call.
            if type(error).__name__ == "PanicException":
                raise ExpressionFailed("the expression library gave up on these values") from error
            raise


def _chance(text: str, scope: Scope) -> Callable[[], float]:
    """Numbers in [0, 1) that are the same whenever the decision is repeated."""
    draws = itertools.count(1)

    def draw() -> float:
        seed = f"{scope.run}\0{scope.seq}\0{next(draws)}\0{text}"
        digest = hashlib.blake2b(seed.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        return (int.from_bytes(digest) >> 11) / 2**53  # as many bits as a float holds exactly

    return draw


# Walks over data, with stacks of their own


def _holds_large_integer(values: list[Any]) -> bool:
    pending = values
    while pending:
        value = pending.pop()
        kind = type(value)
        if kind is str:
            continue
        if kind is dict:
            pending.extend(value.values())
        elif kind is list:
            pending.extend(value)
        elif kind is int and not -_LARGEST_EXACT <= value <= _LARGEST_EXACT:
            return True
    return False


def _sizes(values: list[Any]) -> tuple[bool, int, int]:
    """Whether there is an integer beyond 2^53, the longest list or object, the longest text."""
    has_large = False
    longest_list = longest_text = 0
    pending = values
    while pending:
        value = pending.pop()
        if isinstance(value, str):
            longest_text = max(longest_text, len(value))
        elif isinstance(value, dict | list):
            longest_list = max(longest_list, len(value))
            pending.extend(value.values() if isinstance(value, dict) else value)
        elif isinstance(value, int) and abs(value) > _LARGEST_EXACT:
            has_large = True
    return has_large, longest_list, longest_text


def _with_texts(data: dict[str, Any]) -> dict[str, Any]:
    """A copy in which integers beyond 2^53 are texts; `data` itself is used up."""
    pending: list[dict[Any, Any] | list[Any]] = [data]
    while pending:
        part = pending.pop()
        entries = part.items() if isinstance(part, dict) else enumerate(part)
        for key, value in list(entries):
            if isinstance(value, dict | list):
                part[key] = copied = value.copy()
                pending.append(copied)
            elif type(value) is int and abs(value) > _LARGEST_EXACT:
                part[key] = str(value)
    return data


def _check_result(result: Any) -> None:
    """Refuse what JSON cannot carry, and a text that is too long."""
    pending = [result]
    while pending:
        value = pending.pop()
        kind = type(value)
        if kind is str:
            if len(value) > LIMITS.expression_result_bytes:
                raise ExpressionFailed(
                    f"it gives a text of more than {LIMITS.expression_result_bytes} characters"
                    " (limit expression_result_bytes)"
                )
        elif kind is dict:
            pending.extend(value.values())
        elif kind is list:
            pending.extend(value)
        elif kind is float and not math.isfinite(value):
            raise ExpressionFailed(
                "a number in its result is not finite: a division by zero, or one that is too large"
            )

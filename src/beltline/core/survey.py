"""A look at a JSONata expression before it is compiled: what it names, reads and may multiply.

The survey walks the words once, with a stack of brackets that tells what names inside them mean:
at the top they are roots of the document; in the brackets of a path (``items[...]``,
``items.(...)``) they are fields of the item at hand.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import msgspec

from beltline.core.lexing import Token, scan


class SurveyError(ValueError):
    """An expression that is refused before compiling; `offset` is the character."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


class Survey(msgspec.Struct, frozen=True):
    """What was seen.

    `source` is the text with the hyphenated step ids between backticks. `chains` are the
    beginnings of what it reads from the document, each a root and the fields after it; None says
    that it may read everything. `names` are the functions and variables that it mentions, without
    their sign. `crosses` holds where it can evaluate something for each element of a list that is
    no part of this element: its cost is then a product of sizes, not a sum; `binds` where it does
    so with @ or #, which is dearer. `regexes` are its regular expressions.
    """

    source: str
    chains: tuple[tuple[str, ...], ...] | None
    names: frozenset[str]
    crosses: bool
    binds: bool
    regexes: tuple[str, ...]


_FORBIDDEN: Final = {
    "eval": "$eval would run a text as code",
    "shuffle": "$shuffle has no repeatable result; sort by a field instead: items^(name)",
}
_KEYWORDS: Final = frozenset(("true", "false", "null", "function", "λ"))
_LAMBDAS: Final = frozenset(("function", "λ"))
# Functions that take the whole context, an object too, when the last of these arguments lacks.
_TAKES_CONTEXT: Final = {
    "string": 1,
    "boolean": 1,
    "not": 1,
    "keys": 1,
    "lookup": 2,
    "spread": 1,
    "each": 2,
    "sift": 2,
}
# What names in the brackets mean: fields of the document; of an item that is only filtered or
# sorted; of an item for which something is made.
_DOCUMENT, _FILTER, _ITEM = range(3)
_ITEM_COPIES: Final = 4
_CLOSING: Final = {")": "(", "]": "[", "}": "{"}


def survey(source: str, step_ids: Collection[str]) -> Survey:
    """Look through an expression; raises `SurveyError` where it is refused."""
    tokens = _quote_names(list(scan(source)), step_ids)
    for token in tokens:
        if token.kind == "open":
            raise SurveyError("a text, backtick or comment is not closed", token.start)
        if token.kind == "variable" and token.text[1:] in _FORBIDDEN:
            raise SurveyError(_FORBIDDEN[token.text[1:]], token.start)
        if token.kind == "variable" and token.text.startswith("$beltline"):
            raise SurveyError("names that start with $beltline belong to the hub", token.start)
    walk = _Walk(tokens)
    walk.run()
    names = frozenset(token.text[1:] for token in tokens if token.kind == "variable")
    return Survey(
        _rewrite(source, tokens),
        None if walk.reads_all else tuple(dict.fromkeys(walk.chains)),
        names,
        walk.crosses,
        any(token.text in ("@", "#") for token in tokens),
        tuple(token.text for token in tokens if token.kind == "regex"),
    )


# Hyphens


def _quote_names(tokens: list[Token], step_ids: Collection[str]) -> list[Token]:
    """Join hyphenated words that are step ids into one quoted word; refuse the others."""
    result: list[Token] = []
    index = 0
    while index < len(tokens):
        token = tokens[index]
        if token.kind == "number" and result and result[-1].text == ".":
            before = result[-2].text if len(result) > 1 else "items"
            raise SurveyError(
                f"a list index is written in brackets: {before}[{token.text}],"
                f" not {before}.{token.text}",
                token.start,
            )
        if token.kind not in ("name", "number"):
            result.append(token)
            index += 1
            continue
        end = _end_of_word(tokens, index)
        word = "".join(part.text for part in tokens[index:end])
        if word in step_ids and (end > index + 1 or token.text[0].isdigit()):
            result.append(Token("quoted", f"`{word}`", token.start, token.after_operand))
        elif end > index + 1 and token.kind == "name":
            raise SurveyError(
                f"{word} is not the id of a step here: put a name with hyphens"
                f" between backticks, `{word}`, and space around a minus,"
                f" {word.replace('-', ' - ')}",
                token.start,
            )
        else:
            result.extend(tokens[index:end])
        index = end
    return result


def _end_of_word(tokens: list[Token], index: int) -> int:
    """The index behind a word such as find-contact, written without space inside."""
    end = index + 1
    while (
        end + 1 < len(tokens)
        and tokens[end].text == "-"
        and tokens[end].start == tokens[end - 1].end
        and tokens[end + 1].kind in ("name", "number")
        and tokens[end + 1].start == tokens[end].end
    ):
        end += 2
    return end


def _rewrite(source: str, tokens: list[Token]) -> str:
    """The source with the words that were quoted; these are longer than what they stand for."""
    parts: list[str] = []
    offset = 0
    for token in tokens:
        if token.kind == "quoted" and source[token.start] != "`":
            parts += (source[offset : token.start], token.text)
            offset = token.start + len(token.text) - 2
    return "".join((*parts, source[offset:]))


# What is read


class _Walk:
    """One walk over the words, with the meaning of names by the brackets around them."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.meanings = [_DOCUMENT]
        self.chains: list[tuple[str, ...]] = []
        self.reads_all = False
        self.crosses = False
        self.item_copies = 0
        self.lambda_depths: list[int] = []  # where the parameters of a function stand
        self.body_follows = False

    def text(self, index: int) -> str:
        return self.tokens[index].text if 0 <= index < len(self.tokens) else ""

    def run(self) -> None:
        for index, token in enumerate(self.tokens):
            if token.kind == "mark":
                self.mark(index, token)
            elif token.kind == "variable":
                self.variable(index, token)
            elif token.kind in ("name", "quoted"):
                self.name(index, token)

    def mark(self, index: int, token: Token) -> None:
        text = token.text
        if text in ("(", "[", "{"):
            self.open(index, token)
        elif text in _CLOSING:
            if len(self.meanings) > 1:
                self.meanings.pop()
            if self.lambda_depths and self.lambda_depths[-1] == len(self.meanings):
                self.lambda_depths.pop()
                self.body_follows = True
        elif text in (":=", "@", "#"):
            self.crosses = True
        elif text == "|" and not token.after_operand:
            self.reads_all = True
        elif text in ("*", "**", "%") and not token.after_operand:
            self.crosses = self.crosses or text != "*"
            if text == "%" or (self.text(index - 1) != "." and self.meanings[-1] == _DOCUMENT):
                self.reads_all = True

    def open(self, index: int, token: Token) -> None:
        outer = self.meanings[-1]
        before = self.text(index - 1)
        meaning = outer
        if self.body_follows and token.text == "{":
            self.body_follows = False
        elif (
            before == "."
            or (token.text == "{" and token.after_operand)
            or (token.text == "(" and before.startswith("$") and self.text(index - 2) == ".")
        ):
            meaning = _ITEM
        elif before == "^" or (token.text == "[" and token.after_operand):
            meaning = max(outer, _FILTER)
        elif token.text == "(" and before in _LAMBDAS:
            self.lambda_depths.append(len(self.meanings))
        self.meanings.append(meaning)

    def variable(self, index: int, token: Token) -> None:
        after_dot = self.text(index - 1) == "."
        meaning = self.meanings[-1]
        if token.text == "$$":
            self.crosses = self.crosses or after_dot or meaning == _ITEM
            self.chain_behind(index)
        elif token.text == "$":
            if meaning == _DOCUMENT and not after_dot:
                self.chain_behind(index)
            elif meaning == _ITEM:
                # An item that stands in itself several times over, again and again, doubles.
                self.item_copies += 1
                self.crosses = self.crosses or self.item_copies > _ITEM_COPIES
        elif self.text(index + 1) != "(" and self.text(index - 1) != "~>":
            self.crosses = True  # a function as a value gets more arguments than are written
        elif token.text[1:] in _TAKES_CONTEXT and meaning == _DOCUMENT and not after_dot:
            piped = self.text(index - 1) == "~>"
            if self.text(index + 1) == "(":
                given = self.arguments(index + 1) + piped
                if given < _TAKES_CONTEXT[token.text[1:]]:
                    self.reads_all = True

    def chain_behind(self, index: int) -> None:
        """`$$` and `$` stand for the document: with a name behind it is one root, else all."""
        if (
            self.text(index + 1) == "."
            and index + 2 < len(self.tokens)
            and (self.tokens[index + 2].kind in ("name", "quoted"))
        ):
            self.chains.append(self.chain(index + 2))
        else:
            self.reads_all = True

    def name(self, index: int, token: Token) -> None:
        if token.kind == "name":
            if token.text in _LAMBDAS:
                self.crosses = True
            if token.text in _KEYWORDS or (
                token.text in ("and", "or", "in") and token.after_operand
            ):
                return
        if self.body_follows or self.text(index - 1) == "." or self.meanings[-1] != _DOCUMENT:
            return
        self.chains.append(self.chain(index))

    def chain(self, index: int) -> tuple[str, ...]:
        """The names from here on that are joined by dots."""
        names = [self.text(index).strip("`")]
        while (
            self.text(index + 1) == "."
            and index + 2 < len(self.tokens)
            and (self.tokens[index + 2].kind in ("name", "quoted"))
        ):
            index += 2
            names.append(self.text(index).strip("`"))
        return tuple(names)

    def arguments(self, index: int) -> int:
        """How many arguments stand in the brackets that open here."""
        if self.text(index + 1) == ")":
            return 0
        depth = commas = 0
        for token in self.tokens[index:]:
            if token.text in ("(", "[", "{"):
                depth += 1
            elif token.text in _CLOSING:
                depth -= 1
                if depth == 0:
                    break
            elif token.text == "," and depth == 1:
                commas += 1
        return commas + 1

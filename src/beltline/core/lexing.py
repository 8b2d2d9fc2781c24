"""The words of an expression: just enough of JSONata's grammar to look before it is compiled.

The expression library compiles and evaluates; what it cannot know stands here: where a `{{ }}`
ends, which hyphenated word is a step's id, and which roots of the document an expression can
read. Texts, comments, regular expressions and backticks are recognised, so nothing inside them is
ever taken for a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec


class Token(msgspec.Struct, frozen=True):
    """One word: `kind` is name, quoted, variable, number, text, regex, mark or open (unclosed)."""

    kind: str
    text: str
    start: int
    after_operand: bool  # an operand stands before: `-` subtracts, `[` filters, `/` divides

    @property
    def end(self) -> int:
        """The offset behind the word."""
        return self.start + len(self.text)


_WORD = re.compile(
    r"""(?P<space>\s+|/\*.*?\*/)
    |(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |(?P<quoted>`[^`]*`)
    |(?P<open>["'`]|/\*)
    |(?P<variable>\$\$?(?:\w+)?)
    |(?P<number>[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?!\w))
    |(?P<name>\w+)
    |(?P<mark>\*\*|:=|!=|<=|>=|~>|\.\.|\?\?|\?:|.)""",
    re.VERBOSE | re.DOTALL,
)
_REGEX = re.compile(r"/(?:[^/\\]|\\.)+/[im]*", re.DOTALL)
_ENDS_OPERAND = {")", "]", "}"}
_WORD_OPERATORS = {"and", "or", "in"}


def scan(source: str, start: int = 0) -> Iterator[Token]:
    """Give the words from `start` on, without space and comments; never fails.

    A text, backtick or comment that is not closed is given as one `open` word, the last one.
    """
    operand = False
    offset = start
    while offset < len(source):
        if source[offset] == "/" and not operand and not source.startswith("/*", offset):
            regex = _REGEX.match(source, offset)
            if regex is not None:
                yield Token("regex", regex.group(), offset, False)
                operand, offset = True, regex.end()
                continue
        found = _WORD.match(source, offset)
        assert found is not None  # the last choice takes anything
        assert found.lastgroup is not None
        kind, text, offset = found.lastgroup, found.group(), found.end()
        if kind == "space":
            continue
        if kind == "open":
            yield Token(kind, source[found.start() :], found.start(), operand)
            return
        yield Token(kind, text, found.start(), operand)
        if kind == "mark":
            # A wildcard is an operand, a multiplication sign is not.
            operand = text in _ENDS_OPERAND or (text in ("*", "**", "%") and not operand)
        else:
            operand = not (kind == "name" and text in _WORD_OPERATORS and operand)


def closing_braces(source: str, start: int) -> int:
    """The offset of the `}}` that ends an expression which begins at `start`; -1 if none does."""
    depth = 0
    for token in scan(source, start):
        if token.text == "{":
            depth += 1
        elif token.text == "}":
            if depth == 0:
                return token.start if source.startswith("}}", token.start) else -1
            depth -= 1
    return -1

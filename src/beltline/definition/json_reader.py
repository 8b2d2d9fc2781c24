"""JSON text -> positioned tree, strictly by RFC 8259, without recursion.

Beyond the standard it refuses what cannot be kept as it is written: keys given twice, numbers past
64 bits, half surrogate pairs.
"""

from __future__ import annotations

import json
import re
from typing import Any

from beltline.core.limits import LIMITS, Limits
from beltline.definition.tree import (
    Document,
    Fault,
    TreeBuilder,
    Unreadable,
    check_size,
    integer_fits,
)

_TOKEN = re.compile(
    r"""[ \t\n\r]*(?:
        (?P<plain>"[^"\\\x00-\x1f]*")
      | (?P<string>"[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+)*+")
      | (?P<mark>[{}\[\],:])
      | (?P<integer>-?(?:0|[1-9][0-9]*)(?![0-9.eE]))
      | (?P<float>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?(?![0-9.eE]))
      | (?P<word>true|false|null)(?!\w)
      | (?P<end>\Z)
    )""",
    re.VERBOSE,
)
_SPACE = re.compile(r"[ \t\n\r]*")
_ODD_WORD = re.compile(r"[-+]?[A-Za-z_]\w*")
_WORDS = {"true": True, "false": False, "null": None}
_ESCAPE = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})')

# What may come next.
_VALUE, _VALUE_OR_END, _KEY, _KEY_OR_END, _COLON, _COMMA, _NOTHING = range(7)
_EXPECTED = (
    "a value", "a value or ]", "a key in double quotes", "a key in double quotes or }", "a colon",
    "a comma or the end of the list or object", "nothing more",
)  # fmt: skip


def read_json(text: str, *, limits: Limits = LIMITS) -> Document:
    """Reads one JSON value.

    Mistakes after which reading can go on are in the document's `faults`. Raises `Unreadable` for
    the others.
    """
    text = text.removeprefix("\ufeff")
    check_size(text, limits)
    return _JsonReader(text, TreeBuilder(limits)).read()


class _JsonReader:
    def __init__(self, text: str, tree: TreeBuilder) -> None:
        self._text = text
        self._tree = tree

    def read(self) -> Document:
        text, tree, match = self._text, self._tree, _TOKEN.match
        expected, at = _VALUE, 0
        while True:
            token = match(text, at)
            if token is None:
                raise Unreadable(self._strange(at, expected))
            kind = token.lastgroup
            at = token.end()
            assert kind is not None
            offset = token.start(kind)
            if kind == "end":
                if expected != _NOTHING:
                    raise Unreadable(
                        Fault(offset, f"the text ends where {_EXPECTED[expected]} should stand")
                    )
                return tree.document(text)
            if kind == "mark":
                expected = self._mark(token[kind], offset, expected)
            elif expected in (_KEY, _KEY_OR_END):
                if kind not in ("plain", "string"):
                    raise Unreadable(self._unexpected(token[kind], offset, expected))
                tree.key(self._string(token[kind], kind, offset), offset)
                expected = _COLON
            elif expected in (_VALUE, _VALUE_OR_END):
                tree.value(self._scalar(token[kind], kind, offset), offset)
                expected = _COMMA if tree.depth else _NOTHING
            else:
                raise Unreadable(self._unexpected(token[kind], offset, expected))

    def _mark(self, mark: str, offset: int, expected: int) -> int:
        """Takes one of `{}[],:` and tells what may come after it."""
        tree = self._tree
        if mark in "{[":
            if expected in (_VALUE, _VALUE_OR_END):
                tree.open({} if mark == "{" else [], offset)
                return _KEY_OR_END if mark == "{" else _VALUE_OR_END
        elif mark == "," and expected == _COMMA:
            return _KEY if tree.in_object else _VALUE
        elif mark == ":" and expected == _COLON:
            return _VALUE
        elif expected in (_COMMA, _KEY_OR_END if mark == "}" else _VALUE_OR_END) and (
            mark == ("}" if tree.in_object else "]")
        ):
            tree.close()
            return _COMMA if tree.depth else _NOTHING
        raise Unreadable(self._unexpected(mark, offset, expected))

    def _scalar(self, token: str, kind: str, offset: int) -> Any:
        if kind == "plain":
            return token[1:-1]
        if kind == "integer":
            if integer_fits(token):
                return int(token)
            self._tree.fault(
                offset, "a whole number past 64 bits cannot be kept", "Write it in quotes."
            )
            return 0
        if kind == "float":
            number = float(token)
            if number - number != 0.0:
                self._tree.fault(offset, f"{token[:40]} is too large for a number")
                return 0.0
            return number
        if kind == "word":
            return _WORDS[token]
        return self._string(token, kind, offset)

    def _string(self, token: str, kind: str, offset: int) -> str:
        if kind == "plain":
            return token[1:-1]
        text: str = json.loads(token)
        try:
            text.encode()
        except UnicodeEncodeError:
            self._tree.fault(offset, "the text holds half of a surrogate pair")
            return text.encode(errors="replace").decode()
        return text

    def _unexpected(self, token: str, offset: int, expected: int) -> Fault:
        before = self._text[:offset].rstrip(" \t\r\n")
        if token in ("}", "]") and before.endswith(","):
            return Fault(len(before) - 1, f"a comma stands before {token}", "Remove the comma.")
        return Fault(offset, f"{_EXPECTED[expected]} should stand here, not {token[:40]}")

    def _strange(self, at: int, expected: int) -> Fault:
        """What stands here is no token of JSON."""
        space = _SPACE.match(self._text, at)
        offset = space.end() if space is not None else at
        character = self._text[offset]
        if character == '"':
            return self._broken_string(offset)
        if character == "'":
            return Fault(offset, "JSON takes texts in double quotes", 'Write ".')
        if character in "/#":
            return Fault(offset, "JSON has no comments", "Remove it, or write YAML.")
        word = _ODD_WORD.match(self._text, offset)
        if word is not None:
            return Fault(
                offset,
                f"{word.group()[:40]} is no value of JSON",
                "Texts stand in double quotes; words are true, false and null.",
            )
        if character.isdigit() or character in "-+.":
            return Fault(offset, "this is not a number of JSON", "Write it like 1, -0.5 or 2e3.")
        return Fault(offset, f"{_EXPECTED[expected]} should stand here, not {character!r}")

    def _broken_string(self, offset: int) -> Fault:
        text, at = self._text, offset + 1
        while at < len(text):
            character = text[at]
            if character < "\x20":
                return Fault(
                    at, "a line break or control character stands in a text", "Write it as \\n."
                )
            if character == "\\":
                escape = _ESCAPE.match(text, at)
                if escape is None:
                    return Fault(at, "this escape is not known to JSON", "Write \\\\ for a \\.")
                at = escape.end()
            else:
                at += 1
        return Fault(offset, "the text that begins here has no end", 'Close it with ".')

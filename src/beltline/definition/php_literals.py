"""What PHP's literals mean, by PHP's own rules: texts with escapes, numbers, keys of arrays."""

from __future__ import annotations

import re

_SINGLE_ESCAPE = re.compile(r"\\([\\'])")
_DOUBLE_ESCAPE = re.compile(
    rb"\\(?:(?P<plain>[nrtvef\\$\"])|(?P<octal>[0-7]{1,3})|x(?P<hex>[0-9A-Fa-f]{1,2})"
    rb"|u\{(?P<point>[0-9A-Fa-f]{1,8})\})"
)
_PLAIN = {
    b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v", b"e": b"\x1b", b"f": b"\f",
    b"\\": b"\\", b"$": b"$", b'"': b'"',
}  # fmt: skip
_DECIMAL_KEY = re.compile(r"(?:0|-?[1-9][0-9]{0,17})\Z")
_HEREDOC = re.compile(
    r"<<<[ \t]*(?P<quote>['\"]?)(?P<name>\w+)(?P=quote)[ \t]*(?:\r\n|\n|\r)"
    r"(?:(?P<body>.*?)(?:\r\n|\n|\r))??(?P<indent>[ \t]*)(?P=name)\Z",
    re.DOTALL,
)


class NotLiteral(Exception):
    """An expression whose value is not written out; the message says why."""


def single_quoted(raw: str) -> str:
    r"""The text of `'…'`: only `\\` and `\'` are escapes."""
    return _SINGLE_ESCAPE.sub(r"\1", raw[raw.index("'") + 1 : -1])


def double_quoted(raw: str) -> str:
    """The text of `"…"` without variables."""
    return _unescaped(raw[raw.index('"') + 1 : -1], quote=True)


def heredoc(raw: str) -> str:
    """The text of a heredoc without variables, without the indentation of its end."""
    return _unescaped(nowdoc(raw), quote=False)


def nowdoc(raw: str) -> str:
    """The text of a nowdoc, without the indentation of its end."""
    found = _HEREDOC.match(raw)
    if found is None:
        raise NotLiteral("this form of text is not read")
    indent, body = found["indent"], found["body"] or ""
    if not indent:
        return body
    return "\n".join(line.removeprefix(indent) for line in body.split("\n"))


def _unescaped(raw: str, *, quote: bool) -> str:
    def replace(found: re.Match[bytes]) -> bytes:
        if found["plain"] is not None:
            if found["plain"] == b'"' and not quote:
                return found.group()
            return _PLAIN[found["plain"]]
        if found["octal"] is not None:
            return bytes((int(found["octal"], 8) & 0xFF,))
        if found["hex"] is not None:
            return bytes((int(found["hex"], 16),))
        point = int(found["point"], 16)
        if point > 0x10FFFF or 0xD800 <= point <= 0xDFFF:
            raise NotLiteral("this character does not exist")
        return chr(point).encode()

    try:
        return _DOUBLE_ESCAPE.sub(replace, raw.encode()).decode()
    except UnicodeDecodeError:
        raise NotLiteral("the bytes of this text are not UTF-8") from None


def number(raw: str) -> int | float:
    """A number; `0x`, `0b`, `0o` and a leading 0 (octal) count as in PHP."""
    digits = raw.replace("_", "").lower()
    if digits.startswith(("0x", "0b", "0o")):
        return _integer(digits[2:], {"x": 16, "b": 2, "o": 8}[digits[1]])
    if digits.isdigit():
        is_octal = len(digits) > 1 and digits[0] == "0"
        return _integer(digits, 8 if is_octal else 10)
    value = float(digits)
    if value - value != 0.0:
        raise NotLiteral("it is too large for a number")
    return value


def _integer(digits: str, base: int) -> int:
    if len(digits) > 100:
        raise NotLiteral("a whole number past 64 bits cannot be kept")
    return int(digits, base)


def array_key(value: object) -> str | int:
    """A key as PHP keeps it: whole numbers in texts, true, false and fractions become numbers."""
    if value is None:
        return ""
    if isinstance(value, str):
        return int(value) if _DECIMAL_KEY.match(value) else value
    if isinstance(value, (bool, int, float)):
        return int(value)
    raise NotLiteral("an array cannot be a key")

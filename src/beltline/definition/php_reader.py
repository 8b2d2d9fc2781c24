"""A PHP file that returns an array -> positioned tree. Nothing of the file is executed.

Arrays of literals are read: both forms of array, texts with their escapes, joined texts, numbers,
true, false and null. The name of a class constant is kept as a text, since its value stands
elsewhere. Everything else (calls, variables, conditionals) is reported and left out.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import TYPE_CHECKING, Any

from beltline.core.limits import LIMITS, Limits
from beltline.definition.php_literals import (
    NotLiteral,
    array_key,
    double_quoted,
    heredoc,
    nowdoc,
    number,
    single_quoted,
)
from beltline.definition.tree import (
    Document,
    Fault,
    TreeBuilder,
    Unreadable,
    check_size,
    integer_fits,
)

if TYPE_CHECKING:
    from tree_sitter import Node

_WITHOUT_EFFECT = frozenset(
    (
        "php_tag", "comment", "declare_statement", "namespace_definition",
        "namespace_use_declaration", "empty_statement", "text_interpolation",
    )
)  # fmt: skip
_SHOWN = 60


class PhpArray:
    """What was read: the tree, and `notes` on what is not in it as the file has it."""

    __slots__ = ("document", "notes")

    def __init__(self, document: Document, notes: list[Fault]) -> None:
        self.document = document
        self.notes = notes


def read_php(text: str, *, limits: Limits = LIMITS) -> PhpArray:
    """Reads the array that a PHP file returns.

    The document's `faults` are the expressions that could not be carried over, `notes` what was
    carried over in another form. Raises `Unreadable` where the text is no PHP, or returns no array.
    """
    text = text.removeprefix("\ufeff")
    check_size(text, limits)
    try:
        source = text.encode()
    except UnicodeEncodeError as error:
        raise Unreadable(Fault(error.start, "the text is not readable as UTF-8")) from None
    root = _parse(source)
    reader = _PhpReader(text, source, TreeBuilder(limits))
    if root.has_error:
        raise Unreadable(reader.syntax_fault(root))
    return reader.read(root)


def _parse(source: bytes) -> Node:
    try:
        import tree_sitter  # noqa: PLC0415  # the extra `php`: most homes have no PHP
        import tree_sitter_php  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise Unreadable(
            Fault(
                0,
                f"reading PHP needs the package {error.name}",
                "Install it with `pip install beltline[php]`.",
            )
        ) from None
    language = tree_sitter.Language(tree_sitter_php.language_php())
    return tree_sitter.Parser(language).parse(source).root_node


class _PhpReader:
    def __init__(self, text: str, source: bytes, tree: TreeBuilder) -> None:
        self._text = text
        self._source = source
        self._tree = tree
        self._notes: list[Fault] = []
        # Where characters of more than one byte end, and how many bytes too many there are then.
        self._wide_ends: list[int] = []
        self._surplus: list[int] = [0]
        surplus = 0
        for found in re.finditer(r"[^\x00-\x7f]", text):
            extra = len(found.group().encode()) - 1
            surplus += extra
            self._wide_ends.append(found.end() + surplus)
            self._surplus.append(surplus)

    def read(self, root: Node) -> PhpArray:
        array = self._returned_array(root)
        tree = self._tree
        # What is still to be done, last first: an array's element, or None for an array's end.
        waiting: list[tuple[Node, str | None, Node | None] | None] = []
        self._open(array, waiting)
        while waiting:
            entry = waiting.pop()
            if entry is None:
                tree.close()
                continue
            value, key, key_node = entry
            while value.type == "parenthesized_expression":
                value = _content(value)[0]
            is_array = value.type == "array_creation_expression"
            scalar = None
            if not is_array:
                try:
                    scalar = self._scalar(value)
                except NotLiteral as error:
                    self._left_out(value, str(error))
                    continue
            if key is not None:
                tree.key(key, self._offset(key_node or value))
            if is_array:
                self._open(value, waiting)
            else:
                tree.value(scalar, self._offset(value))
        return PhpArray(tree.document(self._text), self._notes)

    def syntax_fault(self, root: Node) -> Fault:
        """Where PHP's grammar is first broken."""
        node = root
        while not (node.is_error or node.is_missing):
            broken = [
                child
                for child in node.children
                if child.is_error or child.is_missing or child.has_error
            ]
            if not broken:
                break
            node = broken[0]
        if node.is_missing:
            return Fault(self._offset(node), f"this is not PHP: {node.type} is missing here")
        return Fault(self._offset(node), "this is not PHP from here on")

    def _returned_array(self, root: Node) -> Node:
        returned: Node | None = None
        for statement in root.children:
            if statement.type == "return_statement" and returned is None:
                returned = statement
            elif statement.type not in _WITHOUT_EFFECT:
                self._left_out(statement, "only the array that the file returns is read")
        if returned is None:
            raise Unreadable(
                Fault(0, "the file returns no array", "It has to read `<?php return [ … ];`.")
            )
        value = next(iter(_content(returned)), returned)
        while value.type == "parenthesized_expression":
            value = _content(value)[0]
        if value.type != "array_creation_expression":
            raise Unreadable(
                Fault(
                    self._offset(value),
                    f"the file returns {self._shown(value)}, not an array that is written out",
                )
            )
        return value

    def _open(
        self, array: Node, waiting: list[tuple[Node, str | None, Node | None] | None]
    ) -> None:
        """Opens an array as a list or an object, and puts its elements on the waiting list."""
        entries = self._entries(array)
        keys = [key for _, key, _ in entries]
        is_list = keys == list(range(len(keys)))
        self._tree.open([] if is_list else {}, self._offset(array))
        waiting.append(None)
        for value, key, key_node in reversed(entries):
            waiting.append((value, None if is_list else str(key), key_node))

    def _entries(self, array: Node) -> list[tuple[Node, str | int, Node | None]]:
        """The elements with their keys, as PHP numbers them."""
        entries: list[tuple[Node, str | int, Node | None]] = []
        following = 0
        for element in array.named_children:
            if element.type != "array_element_initializer":
                continue
            parts = _content(element)
            if len(parts) == 2:
                try:
                    key = array_key(self._scalar(parts[0]))
                except NotLiteral as error:
                    self._left_out(element, f"as a key, {error}")
                    continue
            elif parts and parts[0].type in ("variadic_unpacking", "by_ref"):
                self._left_out(element, "only values that are written out are read")
                continue
            else:
                key = following
            if isinstance(key, int):
                following = max(following, key + 1)
            entries.append((parts[-1], key, parts[0] if len(parts) == 2 else None))
        return entries

    def _scalar(self, node: Node) -> Any:
        """The value of a literal. Raises `NotLiteral`."""
        kind = node.type
        if kind in ("string", "encapsed_string", "heredoc", "nowdoc"):
            return self._text_literal(node)
        if kind in ("integer", "float"):
            return self._number(node, "")
        if kind == "boolean":
            return self._raw(node).lower() == "true"
        if kind == "null":
            return None
        if kind == "class_constant_access_expression":
            return self._constant(node)
        if kind == "unary_op_expression":
            sign, operand = node.children[0], node.children[-1]
            if sign.type in ("-", "+") and operand.type in ("integer", "float"):
                return self._number(operand, sign.type)
        if kind in ("binary_expression", "parenthesized_expression"):
            return self._joined_text(node)
        raise NotLiteral(f"{_KINDS.get(kind, kind.replace('_', ' '))} is not a written-out value")

    def _number(self, node: Node, sign: str) -> int | float:
        value = number(self._raw(node))
        if sign == "-":
            value = -value
        if isinstance(value, int) and not integer_fits(str(value)):
            raise NotLiteral("a whole number past 64 bits cannot be kept")
        return value

    def _text_literal(self, node: Node) -> str:
        if any(
            child.type not in _TEXT_PARTS and child.is_named
            for holder in (node, *node.named_children)
            for child in holder.children
            if holder is node or holder.type in ("heredoc_body", "nowdoc_body")
        ):
            raise NotLiteral("a text with a variable in it is not a written-out value")
        raw = self._raw(node)
        if node.type == "string":
            return single_quoted(raw)
        if node.type == "encapsed_string":
            return double_quoted(raw)
        return nowdoc(raw) if node.type == "nowdoc" else heredoc(raw)

    def _constant(self, node: Node) -> str:
        name = self._raw(node)
        if name.endswith("::class"):
            name = name.removesuffix("::class").lstrip("\\")
        self._notes.append(
            Fault(
                self._offset(node),
                f"could not carry over: constant {self._raw(node)}, written as text",
                "Write its value instead.",
            )
        )
        return name

    def _joined_text(self, node: Node) -> str:
        """Texts and numbers joined by dots, of any length, in any parentheses."""
        pieces: list[str] = []
        waiting = [node]
        while waiting:
            part = waiting.pop()
            if part.type == "parenthesized_expression":
                waiting.append(_content(part)[0])
            elif part.type == "binary_expression":
                operands = _content(part)
                if not any(child.type == "." for child in part.children) or len(operands) != 2:
                    raise NotLiteral("a calculation is not a written-out value")
                waiting.extend((operands[1], operands[0]))
            else:
                value = self._scalar(part)
                if isinstance(value, bool) or value is None:
                    value = "1" if value else ""
                elif isinstance(value, float):
                    raise NotLiteral("a number joined to a text is not a written-out value")
                pieces.append(str(value))
        return "".join(pieces)

    def _left_out(self, node: Node, reason: str) -> None:
        self._tree.fault(
            self._offset(node), f"could not carry over: {self._shown(node)} ({reason})"
        )

    def _shown(self, node: Node) -> str:
        raw = " ".join(self._raw(node).split())
        return raw if len(raw) <= _SHOWN else raw[:_SHOWN] + "…"

    def _raw(self, node: Node) -> str:
        return self._source[node.start_byte : node.end_byte].decode()

    def _offset(self, node: Node) -> int:
        """The node's start in characters."""
        if not self._wide_ends:
            return node.start_byte
        return node.start_byte - self._surplus[_ended_before(self._wide_ends, node.start_byte)]


_TEXT_PARTS = frozenset(
    (
        "string_content", "escape_sequence", "heredoc_start", "heredoc_body", "heredoc_end",
        "nowdoc_body", "nowdoc_string",
    )
)  # fmt: skip
_KINDS = {
    "function_call_expression": "a call",
    "member_call_expression": "a call",
    "scoped_call_expression": "a call",
    "object_creation_expression": "a new object",
    "variable_name": "a variable",
    "conditional_expression": "a choice",
    "anonymous_function": "a function",
    "arrow_function": "a function",
    "name": "a constant",
    "qualified_name": "a constant",
    "cast_expression": "a conversion",
    "unary_op_expression": "a calculation",
}


def _content(node: Node) -> list[Node]:
    """The named children that are no comments."""
    return [child for child in node.named_children if child.type != "comment"]


def _ended_before(ends: list[int], byte: int) -> int:
    return bisect_left(ends, byte + 1)

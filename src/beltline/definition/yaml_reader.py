"""YAML text -> positioned tree, from libyaml's events, without recursion.

The scalars are YAML 1.2's core schema, resolved here: only `true` and `false` are booleans, so
`on`, `yes`, `no` and `off` are the words that they look like; dates, times and `1_000` are text.
What would be read as something other than it looks like (`0123`), or would bring hidden content
(anchors, aliases, tags, merge keys), is refused with its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from beltline.core.limits import LIMITS, Limits
from beltline.definition.tree import (
    Document,
    Fault,
    TreeBuilder,
    Unreadable,
    check_size,
    integer_fits,
    line_starts,
)

_INTEGER = re.compile(r"[-+]?[0-9]+\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_PREFIXED = re.compile(r"0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)\Z|\.(?:nan|NaN|NAN)\Z")
_WORDS: dict[str, Any] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_UNPRINTABLE = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\ufeff]"
)
_TAB_AT_START = re.compile(r"^[ ]*\t[ \t]*(?=[^ \t\r\n#])", re.MULTILINE)

# libyaml looks through all open flow levels for every token: the sum of the depths of all events
# is its work, and 5e8 of it takes about a second. A process of 10,000 steps whose conditions are
# all ten levels deep takes 1e8.
_FLOW_WORK = 500_000_000


def read_yaml(text: str, *, limits: Limits = LIMITS) -> Document:
    """Reads one YAML document.

    Mistakes after which reading can go on are in the document's `faults`. Raises `Unreadable` for
    the others.
    """
    text = text.removeprefix("\ufeff")
    check_size(text, limits)
    reader = _YamlReader(text, limits)
    try:
        return reader.read()
    except yaml.MarkedYAMLError as error:
        raise Unreadable(_syntax_fault(error, text)) from None
    except (yaml.reader.ReaderError, UnicodeEncodeError):
        raise Unreadable(_unprintable_fault(text)) from None


class _YamlReader:
    def __init__(self, text: str, limits: Limits) -> None:
        self._text = text
        self._tree = TreeBuilder(limits)
        self._work = 0
        # Where scalars begin and end, kept only for a text in which a tab starts a line.
        self._spans: list[tuple[int, int]] | None = [] if _TAB_AT_START.search(text) else None

    def read(self) -> Document:
        tree = self._tree
        documents = 0
        events: Iterator[Any] = yaml.parse(self._text, Loader=yaml.CSafeLoader)
        # True while the open container is an object that waits for a key.
        expects_key = False
        keys: list[bool] = []
        for event in events:
            kind = type(event)
            if kind is ScalarEvent:
                if expects_key:
                    self._key(event)
                    expects_key = False
                    continue
                tree.value(self._scalar(event), event.start_mark.index)
            elif kind is MappingStartEvent or kind is SequenceStartEvent:
                if expects_key:
                    self._refuse_container_as_key(event, events)
                    expects_key = False
                    continue
                self._refuse_decoration(event)
                tree.open({} if kind is MappingStartEvent else [], event.start_mark.index)
                self._count_work(event)
                keys.append(expects_key)
                expects_key = kind is MappingStartEvent
                continue
            elif kind is MappingEndEvent or kind is SequenceEndEvent:
                tree.close()
                expects_key = keys.pop()
            elif kind is AliasEvent:
                self._refuse_alias(event)
                if expects_key:
                    tree.drop_key()
                    expects_key = False
                    continue
                tree.value(None, event.start_mark.index)
            else:
                if kind is DocumentStartEvent:
                    documents += 1
                    if documents > 1:
                        raise Unreadable(
                            Fault(
                                event.start_mark.index,
                                "a second document starts here",
                                "Write one definition per file.",
                            )
                        )
                continue
            # A value is complete: in an object the next thing is a key.
            expects_key = tree.in_object
        if documents == 0:
            raise Unreadable(Fault(0, "the file is empty"))
        self._refuse_tabs()
        return tree.document(self._text)

    def _count_work(self, event: Any) -> None:
        if event.flow_style:
            self._work += self._tree.depth
            if self._work > _FLOW_WORK:
                raise Unreadable(Fault(event.start_mark.index, "nested too deeply for its length"))

    def _key(self, event: Any) -> None:
        tree, offset, text = self._tree, event.start_mark.index, event.value
        self._refuse_decoration(event)
        if self._spans is not None:
            self._spans.append((offset, event.end_mark.index))
        if event.implicit[0] and event.tag is None:
            if text == "<<":
                tree.fault(offset, "merge keys (<<) are not allowed", "Write the keys out.")
                tree.drop_key()
                return
            if text in _WORDS or _FLOAT.match(text) or _PREFIXED.match(text):
                tree.fault(
                    offset,
                    f"a key is text, and {text} is not" if text else "a key is missing",
                    f'Write it in quotes: "{text}".' if text else "",
                )
        tree.key(text, offset)

    def _scalar(self, event: Any) -> Any:
        text: str = event.value
        if event.anchor is not None or event.tag is not None:
            self._refuse_decoration(event)
            return (f"{event.tag} {text}" if text else event.tag) if event.tag else text
        if self._spans is not None:
            self._spans.append((event.start_mark.index, event.end_mark.index))
        if event.implicit[0]:
            first = text[:1]
            if first in _NUMBER_STARTS:
                return self._number(text, event.start_mark.index)
            return _WORDS.get(text, text)
        if not text and event.style in (">", "|"):
            self._tree.fault(
                event.start_mark.index,
                f'"{event.style}" starts a text of several lines, and none follows',
                f'Write it in quotes: "{event.style}".',
            )
        return text

    def _number(self, text: str, offset: int) -> Any:
        if _INTEGER.match(text):
            digits = text.lstrip("+-")
            if len(digits) > 1 and digits[0] == "0":
                self._tree.fault(
                    offset,
                    f"{text} could be a number or a text",
                    f'Write "{text}" in quotes for the text, '
                    f"{digits.lstrip('0') or '0'} for the number.",
                )
                return text
            if not integer_fits(text):
                return self._refuse_number(offset, "a whole number past 64 bits cannot be kept")
            return int(text)
        if _FLOAT.match(text):
            number = float(text)
            if number - number != 0.0:
                return self._refuse_number(offset, f"{text[:40]} is too large for a number")
            return number
        if _PREFIXED.match(text):
            number_of_digits = int(text[:20], 0)
            if len(text) > 20 or number_of_digits >= 2**64:
                return self._refuse_number(offset, "a whole number past 64 bits cannot be kept")
            return number_of_digits
        if _NOT_FINITE.match(text):
            return self._refuse_number(offset, f"{text} is not a number that JSON data can hold")
        return text

    def _refuse_number(self, offset: int, message: str) -> int:
        self._tree.fault(offset, message, "Write it in quotes if it is a text.")
        return 0

    def _refuse_alias(self, event: Any) -> None:
        self._tree.fault(
            event.start_mark.index,
            f"aliases (*{event.anchor}) are not allowed",
            "Write the value out, or in quotes if the * belongs to a text.",
        )

    def _refuse_decoration(self, event: Any) -> None:
        """Anchors and tags, which change what a value is without showing it."""
        if event.anchor is not None:
            self._tree.fault(
                event.start_mark.index,
                f"anchors (&{event.anchor}) are not allowed",
                "Write the value without it, or in quotes if the & belongs to a text.",
            )
        elif event.tag is not None:
            text = getattr(event, "value", "")
            written = f"{event.tag} {text}" if text else event.tag
            self._tree.fault(
                event.start_mark.index,
                f"tags ({event.tag}) are not allowed",
                "Leave the tag out."
                if event.tag.startswith("tag:")
                else f'Write a text that begins with ! in quotes: "{written}".',
            )

    def _refuse_container_as_key(self, event: Any, events: Iterator[Any]) -> None:
        offset = event.start_mark.index
        if self._text[offset - 1 : offset + 1] == "{{":
            self._tree.fault(
                offset - 1,
                "a value with {{ }} must stand in quotes",
                f'Write "{self._expression_at(offset - 1)}".',
            )
        else:
            self._tree.fault(offset, "a key must be a text, not a list or an object")
        depth = 1
        while depth:
            kind = type(next(events))
            if kind is MappingStartEvent or kind is SequenceStartEvent:
                depth += 1
            elif kind is MappingEndEvent or kind is SequenceEndEvent:
                depth -= 1
        self._tree.drop_key()

    def _expression_at(self, offset: int) -> str:
        end = self._text.find("}}", offset, offset + 200)
        return self._text[offset : end + 2] if end > 0 else "{{ … }}"

    def _refuse_tabs(self) -> None:
        """Tabs before the first sign of a line, unless they are part of a text."""
        if self._spans is None:
            return
        spans = iter([*self._spans, (len(self._text) + 1, len(self._text) + 1)])
        start, end = next(spans)
        for found in _TAB_AT_START.finditer(self._text):
            tab = self._text.index("\t", found.start())
            while end <= tab:
                start, end = next(spans)
            if not start <= tab:
                self._tree.fault(
                    tab, "a tab stands where the line is indented", "Indent with spaces."
                )


_NUMBER_STARTS = frozenset("0123456789+-.")


def _syntax_fault(error: yaml.MarkedYAMLError, text: str) -> Fault:
    mark = error.problem_mark or error.context_mark
    offset = min(mark.index, len(text)) if mark is not None else 0
    message = str(error.problem or error.context or "this is not YAML")
    context = str(error.context or "")
    if text[offset : offset + 1] == "\t" or "tab character" in message:
        return Fault(offset, "a tab stands where the line is indented", "Indent with spaces.")
    if context.startswith("while scanning a tag"):
        return Fault(
            offset, message, 'Write a text that begins with ! in quotes, such as "!|empty".'
        )
    if context.startswith("while scanning a block scalar"):
        return Fault(
            offset, message, 'Write a text that begins with > or | in quotes, such as ">=".'
        )
    if text[offset : offset + 1] in ("@", "`", "%"):
        return Fault(
            offset, f"a plain text cannot begin with {text[offset]}", "Write it in quotes."
        )
    if message == "mapping values are not allowed in this context":
        return Fault(
            offset,
            'a ": " cannot stand here',
            "Check the indentation, or write the text in quotes.",
        )
    if error.context_mark is not None and context:
        line = len(line_starts(text[: error.context_mark.index]))
        return Fault(offset, f"{message} ({context}, which began on line {line})")
    return Fault(offset, message)


def _unprintable_fault(text: str) -> Fault:
    found = _UNPRINTABLE.search(text)
    if found is None:
        return Fault(0, "the text is not readable as UTF-8")
    return Fault(
        found.start(),
        f"the character U+{ord(found.group()):04X} cannot stand in YAML",
        "Write it in double quotes as an escape, or remove it.",
    )

"""HTML built from elements, so that text cannot be written unescaped.

Every child that is not itself `Html` is escaped, and so is every attribute's value.
"""

from __future__ import annotations

from html import escape

VOID = frozenset({"meta", "link", "br", "hr", "img"})


class Html(str):
    """Text that is markup already; only `element` and `page` make it."""

    __slots__ = ()


Child = Html | str | int | None


def element(tag: str, *children: Child, **attributes: str | None) -> Html:
    """One element. An attribute's trailing underscore is dropped, None leaves it out."""
    parts = [
        f' {name.rstrip("_").replace("_", "-")}="{escape(value, quote=True)}"'
        for name, value in attributes.items()
        if value is not None
    ]
    opening = f"<{tag}{''.join(parts)}>"
    if tag in VOID:
        return Html(opening)
    return Html(f"{opening}{join(*children)}</{tag}>")


def join(*children: Child) -> Html:
    """Children one after the other; None is nothing."""
    return Html(
        "".join(
            child if isinstance(child, Html) else escape(str(child))
            for child in children
            if child is not None
        )
    )


def page(language: str, head: Html, body: Html) -> Html:
    """A whole document."""
    return Html(f"<!doctype html>{element('html', head, body, lang=language)}")

"""The pages for people: a board of what the portal holds, newest first, and a page per element.

They are plain HTML that refreshes itself: no script, and every value goes through `element`, which
escapes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from bitrix24_portal.context import Context
from bitrix24_portal.crm import dynamic_values
from bitrix24_portal.entities import BY_CODE, COMPANY, CONTACT, DEAL, ENTITIES, LEAD, Entity
from bitrix24_portal.filters import Clause
from bitrix24_portal.markup import Child, Html, element, join, page
from bitrix24_portal.multifields import of_elements
from bitrix24_portal.portal import Portal
from bitrix24_portal.storage import Row
from bitrix24_portal.tables import USERS
from bitrix24_portal.words import LANGUAGES, text

REFRESH_S = 5
CARDS = 40
CARD_COMMENTS = 2
MESSAGES = 8
ALL = Clause("1")
_SEMANTICS = {"S": "won", "F": "lost"}


def board_page(portal: Portal, language: str) -> Html:
    """Leads, deals, contacts and companies in columns, and the latest messages."""
    context = portal.context()
    columns = [_column(context, entity, language) for entity in (LEAD, DEAL, CONTACT, COMPANY)]
    body = join(element("main", *columns, class_="board"), _messages_section(context, language))
    return _document(portal, language, "/", text(language, "portal"), body)


def element_page(portal: Portal, entity: Entity, id: int, language: str) -> Html | None:
    """All about one element; None when there is none."""
    context = portal.context()
    row = context.storage.find(entity.name, id)
    if row is None:
        return None
    reached = of_elements(context.storage, entity.code, [id])[id]
    title = title_of(entity, row)
    body = element(
        "main",
        element("a", f"← {text(language, 'back')}", href=_link("/", language), class_="back"),
        element(
            "h1",
            element("span", text(language, f"one_{entity.name}"), f" {id}", class_="kind"),
            title,
        ),
        _stage_badge(context, entity, row),
        _related(context, entity, row, language),
        _reached_list(reached),
        _comments(context, entity, id, language, limit=100, heading=True),
        _activities(context, entity, id, language),
        _field_table(context, entity, row, language),
        class_="one",
    )
    return _document(portal, language, f"/{entity.name}/{id}", title, body)


def missing_page(portal: Portal, language: str) -> Html:
    """The page for an address that leads nowhere."""
    body = element(
        "main",
        element("p", text(language, "missing")),
        element("a", f"← {text(language, 'back')}", href=_link("/", language), class_="back"),
        class_="one",
    )
    return _document(portal, language, "/", text(language, "missing"), body)


def title_of(entity: Entity, row: Row) -> str:
    """What an element is called: its title, or a person's name."""
    if entity is CONTACT:
        name = " ".join(str(row[part]) for part in ("NAME", "LAST_NAME") if row[part])
        return name or f"{entity.title} #{row['ID']}"
    return str(row["TITLE"] or f"{entity.title} #{row['ID']}")


def _document(portal: Portal, language: str, path: str, title: str, body: Html) -> Html:
    other = LANGUAGES[1 - LANGUAGES.index(language)]
    counted = portal.storage.row('SELECT coalesce(max("ID"), 0) AS n FROM "call"') or {"n": 0}
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", http_equiv="refresh", content=str(REFRESH_S)),
        element("title", title),
        element("link", rel="icon", href="/icon.svg"),
        element("link", rel="stylesheet", href="/portal.css"),
    )
    header = element(
        "header",
        element("a", text(language, "portal"), href=_link("/", language), class_="name"),
        element("span", portal.settings.host, class_="host"),
        element(
            "span",
            element("a", text(language, "calls", n=counted["n"]), href="/ledger"),
            element("span", text(language, "refreshes", n=REFRESH_S), class_="quiet"),
            element(
                "a", text(language, "other"), href=_link(path, other), hreflang=other, lang=other
            ),
            class_="right",
        ),
    )
    return page(language, head, element("body", header, body))


def _link(path: str, language: str) -> str:
    return f"{path}?lang={language}"


def _column(context: Context, entity: Entity, language: str) -> Html:
    storage = context.storage
    rows = storage.rows(
        f'SELECT * FROM "{entity.name}" ORDER BY "ID" DESC LIMIT ?',  # noqa: S608 - declared
        (CARDS,),
    )
    total = storage.count(entity.name, ALL)
    ids = [int(row["ID"]) for row in rows]
    reached = of_elements(storage, entity.code, ids)
    cards = [_card(context, entity, row, reached[int(row["ID"])], language) for row in rows]
    return element(
        "section",
        element("h2", text(language, entity.name), element("span", total, class_="count")),
        *(cards or [element("p", text(language, "none"), class_="empty")]),
        _more(language, total - len(rows)),
        class_=f"column {entity.name}",
    )


def _more(language: str, hidden: int) -> Child:
    return element("p", text(language, "more", n=hidden), class_="empty") if hidden > 0 else None


def _card(
    context: Context, entity: Entity, row: Row, reached: dict[str, list[Row]], language: str
) -> Html:
    id = int(row["ID"])
    title = element("a", title_of(entity, row), href=_link(f"/{entity.name}/{id}", language))
    lines = [one["VALUE"] for several in reached.values() for one in several][:3]
    person = " ".join(str(row[n]) for n in ("NAME", "LAST_NAME") if row.get(n))
    return element(
        "article",
        element("div", element("span", f"#{id}", class_="id"), _when(row), class_="top"),
        element("h3", title),
        element("p", person, class_="person") if person and entity is LEAD else None,
        element("p", _money(row), class_="money") if _money(row) else None,
        *(element("p", line, class_="reach") for line in lines),
        _stage_badge(context, entity, row),
        _comments(context, entity, id, language, limit=CARD_COMMENTS, heading=False),
        class_="card",
    )


def _when(row: Row) -> Html:
    moment = str(row["DATE_CREATE"] or "")
    shown = f"{moment[8:10]}.{moment[5:7]} {moment[11:19]}" if moment else ""
    return element("time", shown, datetime=moment)


def _money(row: Row) -> str:
    amount = row.get("OPPORTUNITY")
    if not amount:
        return ""
    whole = f"{amount:,.2f}".replace(",", "\u202f").removesuffix(".00")
    return f"{whole} {row['CURRENCY_ID'] or ''}".strip()


def _stage_badge(context: Context, entity: Entity, row: Row) -> Child:
    """The stage by its name, with the source beside it."""
    parts: list[Child] = []
    if entity.stage_field is not None and row[entity.stage_field]:
        semantics = row["STAGE_SEMANTIC_ID" if entity is DEAL else "STATUS_SEMANTIC_ID"]
        name = _status_name(context, row[entity.stage_field], "DEAL_STAGE", "STATUS", entity)
        parts.append(element("span", name, class_=f"badge {_SEMANTICS.get(semantics, 'open')}"))
    if row.get("SOURCE_ID"):
        found = context.storage.row(
            'SELECT "NAME" FROM "status" WHERE "ENTITY_ID" = ? AND "STATUS_ID" = ?',
            ("SOURCE", row["SOURCE_ID"]),
        )
        parts.append(
            element("span", found["NAME"] if found else row["SOURCE_ID"], class_="badge source")
        )
    return element("p", *parts, class_="badges") if parts else None


def _status_name(context: Context, status_id: str, deal: str, lead: str, entity: Entity) -> str:
    prefix = f"{deal}%" if entity is DEAL else lead
    found = context.storage.row(
        'SELECT "NAME" FROM "status" WHERE "ENTITY_ID" LIKE ? AND "STATUS_ID" = ?',
        (prefix, status_id),
    )
    return str(found["NAME"]) if found else status_id


def _comments(
    context: Context, entity: Entity, id: int, language: str, *, limit: int, heading: bool
) -> Child:
    rows = context.storage.rows(
        'SELECT * FROM "comment" WHERE "ENTITY_TYPE" = ? AND "ENTITY_ID" = ? '
        'ORDER BY "ID" DESC LIMIT ?',
        (entity.name, id, limit),
    )
    if not rows:
        return None
    return element(
        "section",
        element("h2", text(language, "comments")) if heading else None,
        *(
            element(
                "blockquote",
                element("p", _plain(row["COMMENT"])),
                element("footer", _user(row["AUTHOR_ID"]), " · ", str(row["CREATED"])[11:16]),
            )
            for row in rows
        ),
        class_="comments",
    )


def _plain(written: str) -> str:
    """A comment without the portal's bracket codes for bold, lists and the like."""
    return re.sub(r"\[/?(?:[BIUS]|URL|LIST|COLOR|SIZE)(?:=[^\]]*)?\]", "", written)


def _activities(context: Context, entity: Entity, id: int, language: str) -> Child:
    rows = context.storage.rows(
        'SELECT * FROM "activity" WHERE "OWNER_TYPE_ID" = ? AND "OWNER_ID" = ? ORDER BY "ID" DESC',
        (entity.type_id, id),
    )
    if not rows:
        return None
    lines = [
        element("li", row["SUBJECT"] or f"#{row['ID']}", " · ", str(row["DEADLINE"])[:16])
        for row in rows
    ]
    return element("section", element("h2", text(language, "activities")), element("ul", *lines))


def _related(context: Context, entity: Entity, row: Row, language: str) -> Child:
    links: list[Child] = []
    for field in entity.columns:
        if field.multiple or field.kind not in {"crm_contact", "crm_company", "crm_lead"}:
            continue
        other = BY_CODE[field.kind.removeprefix("crm_").upper()]
        found = context.storage.find(other.name, row[field.name]) if row[field.name] else None
        if found is not None:
            links.append(_related_link(other, found, language))
    for other in ENTITIES:
        column = f"{entity.code}_ID"
        field_ = other.by_name.get(column)
        if field_ is None or field_.multiple or entity is LEAD:
            continue
        links.extend(
            _related_link(other, found, language)
            for found in context.storage.rows(
                f'SELECT * FROM "{other.name}" WHERE "{column}" = ? '  # noqa: S608 - declared
                'ORDER BY "ID" DESC LIMIT 20',
                (row["ID"],),
            )
        )
    if not links:
        return None
    return element(
        "section", element("h2", text(language, "related")), element("p", *links, class_="related")
    )


def _related_link(entity: Entity, row: Row, language: str) -> Html:
    return element(
        "a",
        element("span", text(language, f"one_{entity.name}"), class_="kind"),
        title_of(entity, row),
        href=_link(f"/{entity.name}/{row['ID']}", language),
    )


def _reached_list(reached: dict[str, list[Row]]) -> Child:
    rows = [one for several in reached.values() for one in several]
    if not rows:
        return None
    return element(
        "ul",
        *(
            element("li", element("span", row["VALUE_TYPE"].lower(), class_="kind"), row["VALUE"])
            for row in rows
        ),
        class_="reached",
    )


def _field_table(context: Context, entity: Entity, row: Row, language: str) -> Html:
    """Every field that has a value. Titles are the portal's own, in Russian; English has names."""
    pairs: list[tuple[str, str, Any]] = [
        (field.title, field.name, field.show_older(row[field.name], context.zone))
        for field in entity.columns
        if row[field.name] not in (None, "", "[]")
    ]
    pairs.extend((name, name, value) for name, value in dynamic_values(row).items())
    return element(
        "section",
        element("h2", text(language, "fields")),
        element("table", *(_field_row(*pair, titled=language == "ru") for pair in pairs)),
    )


def _field_row(title: str, name: str, value: Any, *, titled: bool) -> Html:
    shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    heading = (title, element("code", name)) if titled else (name,)
    return element("tr", element("th", *heading, scope="row"), element("td", shown))


def _messages_section(context: Context, language: str) -> Child:
    rows = context.storage.rows('SELECT * FROM "message" ORDER BY "ID" DESC LIMIT ?', (MESSAGES,))
    if not rows:
        return None
    return element(
        "section",
        element("h2", text(language, "messages")),
        element("ul", *_message_lines(rows, language)),
        class_="messages",
    )


def _message_lines(rows: Iterable[Row], language: str) -> list[Html]:
    lines = []
    for row in rows:
        chat = row["KIND"] == "CHAT"
        name = row["RECIPIENT"] if chat else _user(int(row["RECIPIENT"]))
        to = text(language, "to_chat" if chat else "to_user", name=name)
        lines.append(
            element(
                "li",
                element("time", str(row["CREATED"])[11:19], datetime=str(row["CREATED"])),
                element("span", to, class_="kind"),
                element("span", _plain(row["TEXT"])),
            )
        )
    return lines


def _user(id: int) -> str:
    return next((f"{one.name} {one.last_name}" for one in USERS if one.id == id), f"#{id}")

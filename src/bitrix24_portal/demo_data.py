"""A few contacts, companies and deals in Russian, so that a first look shows something."""

from __future__ import annotations

from typing import Any

from bitrix24_portal.portal import Portal
from bitrix24_portal.registry import call

_COMPANIES = (
    {"TITLE": "ООО «Северный ветер»", "COMPANY_TYPE": "CUSTOMER", "INDUSTRY": "DELIVERY"},
    {"TITLE": "ИП Кузнецова Е. А.", "COMPANY_TYPE": "CUSTOMER", "INDUSTRY": "OTHER"},
)
_CONTACTS: tuple[tuple[str, str, str, str, str, int | None], ...] = (
    ("Иван", "Петров", "+7 912 345-67-89", "ivan.petrov@example.ru", "Директор", 1),
    ("Елена", "Кузнецова", "8 (905) 111-22-33", "elena@example.ru", "Владелец", 2),
    ("Сергей", "Орлов", "+7 921 555-00-11", "s.orlov@example.ru", "Закупки", 1),
    ("Ольга", "Никитина", "+7 903 777-88-99", "olga.nikitina@example.ru", "", None),
)
_DEALS: tuple[tuple[str, int, float, str, str], ...] = (
    ("Поставка упаковки", 1, 185_000.0, "EXECUTING", "CALL"),
    ("Сайт для кофейни", 2, 96_500.0, "PREPARATION", "WEB"),
    ("Договор на доставку", 3, 420_000.0, "NEW", "RECOMMENDATION"),
    ("Пробный заказ", 4, 12_300.0, "WON", "STORE"),
)
_COMMENTS = (
    (1, "Просили перезвонить после обеда и прислать счёт."),
    (2, "Согласовали макет главной страницы."),
)


def seed(portal: Portal) -> bool:
    """Fills an empty portal; a portal that holds a contact or a deal already is left alone."""
    storage = portal.storage
    if storage.row('SELECT 1 FROM "contact" UNION ALL SELECT 1 FROM "deal" LIMIT 1'):
        return False
    with storage.transaction():
        companies = [_add(portal, "company", fields) for fields in _COMPANIES]
        contacts = [
            _add(
                portal,
                "contact",
                {
                    "NAME": name,
                    "LAST_NAME": last_name,
                    "POST": post,
                    "TYPE_ID": "CLIENT",
                    "COMPANY_ID": companies[company - 1] if company else None,
                    "PHONE": [{"VALUE": phone, "VALUE_TYPE": "WORK"}],
                    "EMAIL": [{"VALUE": email, "VALUE_TYPE": "WORK"}],
                },
            )
            for name, last_name, phone, email, post, company in _CONTACTS
        ]
        deals = [
            _add(
                portal,
                "deal",
                {
                    "TITLE": title,
                    "CONTACT_ID": contacts[contact - 1],
                    "OPPORTUNITY": amount,
                    "STAGE_ID": stage,
                    "SOURCE_ID": source,
                },
            )
            for title, contact, amount, stage, source in _DEALS
        ]
        for deal, comment in _COMMENTS:
            _call(
                portal,
                "crm.timeline.comment.add",
                {"ENTITY_ID": deals[deal - 1], "ENTITY_TYPE": "deal", "COMMENT": comment},
            )
    return True


def _add(portal: Portal, entity: str, fields: dict[str, Any]) -> int:
    return int(_call(portal, f"crm.{entity}.add", fields))


def _call(portal: Portal, name: str, fields: dict[str, Any]) -> Any:
    method = portal.methods.find(name)
    assert method is not None, "the demo calls methods that exist"
    return call(method, portal.context(), {"fields": fields}).result

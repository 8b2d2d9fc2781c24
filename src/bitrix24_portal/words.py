"""The page's texts in English and Russian, and which of the two a visitor reads."""

from __future__ import annotations

LANGUAGES = ("en", "ru")

_TEXTS: dict[str, tuple[str, str]] = {
    "portal": ("Local Bitrix24 portal", "Локальный портал Битрикс24"),
    "lead": ("Leads", "Лиды"),
    "deal": ("Deals", "Сделки"),
    "contact": ("Contacts", "Контакты"),
    "company": ("Companies", "Компании"),
    "one_lead": ("Lead", "Лид"),
    "one_deal": ("Deal", "Сделка"),
    "one_contact": ("Contact", "Контакт"),
    "one_company": ("Company", "Компания"),
    "none": ("Nothing here yet", "Пока ничего нет"),
    "more": ("and {n} more", "и ещё {n}"),
    "comments": ("Comments", "Комментарии"),
    "messages": ("Messages", "Сообщения"),
    "to_user": ("to {name}", "для: {name}"),
    "to_chat": ("to chat {name}", "в чат {name}"),
    "refreshes": ("refreshes every {n} s", "обновляется каждые {n} с"),
    "calls": ("{n} REST calls", "вызовов REST: {n}"),
    "back": ("All elements", "Все элементы"),
    "missing": ("There is no such element.", "Такого элемента нет."),
    "other": ("Русский", "English"),
    "activities": ("Activities", "Дела"),
    "related": ("Linked with", "Связи"),
    "fields": ("Fields", "Поля"),
}


def text(language: str, key: str, **values: object) -> str:
    """A text of the page, with its values put in."""
    return _TEXTS[key][LANGUAGES.index(language)].format(**values)


def choose_language(asked: str | None, accepted: str) -> str:
    """The asked language if it is one of ours, else the first acceptable one, else English."""
    if asked in LANGUAGES:
        return asked
    weighed = []
    for place, part in enumerate(accepted.split(",")):
        tag, _, parameters = part.strip().partition(";")
        try:
            weight = float(parameters.strip().removeprefix("q=") or "1")
        except ValueError:
            weight = 0.0
        weighed.append((-weight, place, tag.split("-")[0].strip().lower()))
    return next(
        (tag for weight, _, tag in sorted(weighed) if tag in LANGUAGES and weight < 0), "en"
    )

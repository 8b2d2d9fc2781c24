"""The landing page's texts in English and Russian, and which of the two a visitor reads."""

from __future__ import annotations

from collections.abc import Mapping

LANGUAGES = ("en", "ru")

_WORDS: dict[str, tuple[str, str]] = {
    "self": ("English", "Русский"),
    "brand": ("Birch & Co.", "Берёза и Ко"),
    "title": ("Birch & Co. · Ask us", "Берёза и Ко · Задать вопрос"),
    "heading": ("Ask us anything", "Задайте нам вопрос"),
    "lead": (
        "Leave a phone number or an e-mail address, and we get back to you within the hour.",
        "Оставьте телефон или почту, и мы ответим в течение часа.",
    ),
    "name": ("Your name", "Ваше имя"),
    "phone": ("Phone", "Телефон"),
    "email": ("E-mail", "Эл. почта"),
    "question": ("Your question", "Ваш вопрос"),
    "send": ("Send", "Отправить"),
    "behind": (
        (
            "A demonstration: what you send goes to the hub on this machine, and from there to the"
            " local portal. Try a number that the portal knows, such as 8 912 345-67-89."
        ),
        (
            "Это демонстрация: заявка уходит в хаб на этой машине, а из него в локальный портал."
            " Попробуйте номер, который портал знает, например 8 912 345-67-89."
        ),
    ),
    "no_name": ("Please tell us your name.", "Пожалуйста, укажите имя."),
    "no_contact": (
        "Please give a phone number or an e-mail address, so that we can answer.",
        "Пожалуйста, укажите телефон или почту, чтобы мы могли ответить.",
    ),
    "too_large": (
        "That is too long; please shorten it.",
        "Слишком длинный текст; пожалуйста, сократите его.",
    ),
    "unreadable": (
        "The form did not arrive whole. Please send it again.",
        "Форма пришла повреждённой. Пожалуйста, отправьте её ещё раз.",
    ),
    "not_sent": (
        "Your question could not be sent just now. Nothing is lost: please send it again.",
        "Сейчас отправить вопрос не удалось. Ничего не потеряно: отправьте его ещё раз.",
    ),
    "thanks": ("Thank you", "Спасибо"),
    "accepted": (
        "Your question is stored safely, and will be carried to its end.",
        "Заявка надёжно сохранена и будет доведена до конца.",
    ),
    "request": ("Request", "Заявка"),
    "arrives": ("Where it arrives", "Куда она придёт"),
    "portal": ("The portal", "Портал"),
    "its_way": ("Its way, step by step", "Её путь по шагам"),
    "another": ("Send another", "Отправить ещё одну"),
}


def words(language: str) -> Mapping[str, str]:
    """All texts in one language."""
    return {key: texts[LANGUAGES.index(language)] for key, texts in _WORDS.items()}


def choose_language(asked: str | None, accepted: str) -> str:
    """The language asked for, else the first that the browser accepts and the page has."""
    if asked in LANGUAGES:
        return asked
    for part in accepted.split(","):
        tag = part.partition(";")[0].split("-")[0].strip().lower()
        if tag in LANGUAGES:
            return tag
    return LANGUAGES[0]

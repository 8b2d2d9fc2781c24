"""The page with the form of a source, and the pages that answer it: plain HTML without script.

What the author of the source wrote and what the sender sent stand in it as text only. The few words
of our own are in English or Russian, as the browser prefers.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection
from html import escape
from typing import Any

from beltline.api.answer import HTML, Answer
from beltline.definition.form import FormField, FormPage
from beltline.sources.headers import Headers

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:2rem auto;padding:0 1rem;color:#222}
label,legend{display:block;font-weight:600;margin-top:1rem}
input:not([type=checkbox]),select,textarea{font:inherit;font-weight:400;width:100%;box-sizing:border-box;
padding:.5rem;border:1px solid #888;border-radius:4px}
fieldset{border:1px solid #ccc;border-radius:4px;margin-top:1rem}
label.choice{font-weight:400;margin-top:.25rem}
button{font:inherit;margin-top:1.5rem;padding:.6rem 1.5rem}
.hint{color:#555;margin:.1rem 0}.wrong{color:#a00;margin:.1rem 0}
""".strip().replace("\n", "")
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

_WORDS = {
    "en": {
        "send": "Send",
        "choose": "Choose…",
        "optional": "optional",
        "again": "Fill in another one",
        "thanks": "Thank you. Your request has been received.",
        "sent": "Received",
        "wrong": "Please look at the marked fields and send again.",
        "missing": "Please fill in this field.",
        "unfit": "This value does not fit here.",
        "failed": "This could not be sent",
        "later": "Please try again later.",
        "back": "Back to the form",
    },
    "ru": {
        "send": "Отправить",
        "choose": "Выберите…",
        "optional": "необязательно",
        "again": "Заполнить ещё одну",
        "thanks": "Спасибо. Ваша заявка принята.",
        "sent": "Принято",
        "wrong": "Проверьте отмеченные поля и отправьте снова.",
        "missing": "Заполните это поле.",
        "unfit": "Это значение здесь не подходит.",
        "failed": "Отправить не удалось",
        "later": "Попробуйте ещё раз позже.",
        "back": "Вернуться к форме",
    },
}
_TICKED = (True, "true")  # as it is sent, and with the type of the schema
_INPUT_TYPES = {"integer": "number"}


def wants_page(headers: Headers) -> bool:
    """Whether a browser shows the answer to a person, rather than a program reading it."""
    return any(name == b"accept" and b"text/html" in value for name, value in headers)


def language_of(headers: Headers) -> str:
    """`ru` where the browser prefers it to English, else `en`."""
    best, language = 0.0, "en"
    for name, value in headers:
        if name != b"accept-language":
            continue
        for part in value[:500].decode("latin-1").split(","):
            tag, _, parameter = part.partition(";")
            primary = tag.strip().lower().partition("-")[0]
            weight = _weight(parameter)
            if primary in _WORDS and weight > best:
                best, language = weight, primary
    return language


def _weight(parameter: str) -> float:
    key, _, value = parameter.partition("=")
    if key.strip().lower() != "q":
        return 1.0
    text = value.strip()
    return float(text) if text.replace(".", "", 1).isdigit() and len(text) < 8 else 0.0


class FormView:
    """A form page for one reader; `posts_elsewhere`: its answer may lead to another site."""

    def __init__(self, form: FormPage, language: str, *, posts_elsewhere: bool) -> None:
        self._form = form
        self._language = language
        self._words = _WORDS[language]
        self._posts_to = "*" if posts_elsewhere else "'self'"

    def empty(self) -> Answer:
        """The form, to be filled in."""
        return self._page(200, self._form.title, self._filled({}, {}))

    def refused(self, status: int, sent: Any, errors: Collection[tuple[str, str]]) -> Answer:
        """The form with what was sent, and a word at each field that does not fit; `errors` are
        pairs of a JSON pointer and the rule that it breaks.
        """
        marks: dict[str, str] = {}
        for pointer, rule in errors:
            marks.setdefault(pointer, self._words["missing" if rule == "required" else "unfit"])
        filled = self._filled(sent if isinstance(sent, dict) else {}, marks)
        told = f'<p class="wrong" role="alert">{self._words["wrong"]}</p>{filled}'
        return self._page(status, self._form.title, told)

    def thanks(self) -> Answer:
        """What is shown once a request was taken in."""
        text = self._form.thanks or self._words["thanks"]
        return self._page(
            200,
            self._words["sent"],
            f'<p>{escape(text)}</p><p><a href="?">{self._words["again"]}</a></p>',
        )

    def failed(self, status: int, headers: dict[str, str]) -> Answer:
        """What is shown where nothing could be taken in, for a reason that no field has."""
        text = self._words["later"] if status >= 500 or status == 429 else ""
        page = self._page(
            status,
            self._words["failed"],
            f'<p>{text}</p><p><a href="?">{self._words["back"]}</a></p>',
        )
        return Answer(status, page.body, HTML, {**headers, **page.headers})

    def _filled(self, sent: dict[str, Any], marks: dict[str, str]) -> str:
        form = self._form
        kind = ' enctype="multipart/form-data"' if form.sends_files else ""
        fields = "".join(self._field(field, sent, marks) for field in form.fields)
        intro = f"<p>{escape(form.intro)}</p>" if form.intro else ""
        # A page that says `?sent` posts to the address without it.
        return (
            f'{intro}<form method="post" action="?"{kind}>{fields}'
            f'<button type="submit">{self._words["send"]}</button></form>'
        )

    def _field(self, field: FormField, sent: dict[str, Any], marks: dict[str, str]) -> str:
        value = _value_at(sent, field.path)
        mark = marks.get(f"#{field.path}", "")
        notes = f'<p class="hint">{escape(field.hint)}</p>' if field.hint else ""
        if mark:
            notes += f'<p class="wrong">{mark}</p>'
        label = escape(field.label)
        if field.control == "group":
            inner = "".join(self._field(one, sent, marks) for one in field.fields)
            return f"<fieldset><legend>{label}</legend>{notes}{inner}</fieldset>"
        if field.control == "choices":
            return f"<fieldset><legend>{label}</legend>{notes}{_choices(field, value)}</fieldset>"
        if field.control == "checkbox":
            is_on = value in _TICKED if value is not None else bool(field.default) and not sent
            box = _tag("input", field, {"type": "checkbox", "value": "true"}, checked=is_on)
            return f'<label class="choice">{box} {label}</label>{notes}'
        optional = "" if field.required else f" ({self._words['optional']})"
        text = field.default if value is None and not sent else _text(value)
        return f"<label>{label}{optional}{self._control(field, text)}</label>{notes}"

    def _control(self, field: FormField, text: str) -> str:
        attributes = {**field.bounds}
        if field.control == "choice":
            options = f'<option value="">{self._words["choose"]}</option>'
            for option in field.options:
                chosen = " selected" if option == text else ""
                shown = escape(option)
                options += f'<option value="{shown}"{chosen}>{shown}</option>'
            return f"{_tag('select', field, attributes)}{options}</select>"
        if field.control == "lines":
            # The line break after the tag is not part of the text.
            return (
                f"{_tag('textarea', field, {'rows': '5', **attributes})}\n{escape(text)}</textarea>"
            )
        attributes["type"] = _INPUT_TYPES.get(field.control, field.control)
        if field.control != "file":
            attributes["value"] = text
        return _tag("input", field, attributes)

    def _page(self, status: int, title: str, body: str) -> Answer:
        return html_page(self._language, status, title, body, self._posts_to)


def html_page(language: str, status: int, title: str, body: str, posts_to: str) -> Answer:
    """A page; `body` is HTML, and forms in it post to `posts_to`, as a policy has it."""
    shown = escape(title)
    page = (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{shown}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{shown}</h1>{body}</main></body></html>"
    )
    return Answer(
        status,
        page.encode("utf-8", "replace"),
        HTML,
        {
            "content-security-policy": (
                f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none';"
                f" form-action {posts_to}; frame-ancestors 'none'"
            ),
            # Without a referrer browsers send `Origin: null`, even to where the page is from.
            "referrer-policy": "same-origin",
            "vary": "accept-language, origin",
        },
    )


def _choices(field: FormField, value: Any) -> str:
    chosen = [_text(one) for one in value] if isinstance(value, list) else []
    return "".join(
        f'<label class="choice">'
        f"{_tag('input', field, {'type': 'checkbox', 'value': option}, checked=option in chosen)}"
        f" {escape(option)}</label>"
        for option in field.options
    )


def _tag(name: str, field: FormField, attributes: dict[str, str], *, checked: bool = False) -> str:
    parts = [f'{name} name="{escape(field.name)}"']
    parts += [f'{key}="{escape(value)}"' for key, value in attributes.items()]
    if field.required:
        parts.append("required")
    if checked:
        parts.append("checked")
    return f"<{' '.join(parts)}>"


def _value_at(sent: Any, path: str) -> Any:
    """What was sent at a JSON pointer; None where there is nothing."""
    for token in path.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        sent = sent.get(name) if isinstance(sent, dict) else None
    return sent


def _text(value: Any) -> str:
    """A value as it stood in its control; files and the like cannot be put back."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else f"{value}" if isinstance(value, int | float) else ""

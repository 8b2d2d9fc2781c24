"""The pages for people: what they show, in two languages, and that nothing in them is markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitrix24_portal.demo_data import seed
from bitrix24_portal.markup import element, join
from bitrix24_portal.words import choose_language
from tests.integration.bitrix24_portal.stand import Stand

EVIL = """<script>alert(1)</script>"'><img src=x onerror=alert(1)>&amp;"""


async def test_the_board_shows_what_arrived_newest_first(stand: Stand) -> None:
    assert seed(stand.portal) is True
    await stand.add("lead", TITLE="Первая", NAME="Мария", PHONE=[{"VALUE": "+7 912"}])
    await stand.add("lead", TITLE="Вторая", SOURCE_ID="WEB")
    await stand.call("im.notify", {"USER_ID": 2, "MESSAGE": "Новая заявка"})
    reply = await stand.send("GET", "/?lang=ru")
    assert reply.status == 200
    text = reply.text
    assert text.index("Вторая") < text.index("Первая")
    for shown in ("Мария", "+7 912", "Веб-сайт", "Не обработан", "Поставка упаковки"):
        assert shown in text
    for shown in ("Просили перезвонить", "185\u202f000 RUB", "Новая заявка", "Пётр Соколов"):
        assert shown in text
    assert 'http-equiv="refresh"' in text


async def test_everything_that_callers_wrote_is_escaped(stand: Stand) -> None:
    fields = {"TITLE": EVIL, "NAME": EVIL, "COMMENTS": EVIL, "SOURCE_ID": EVIL, "UF_CRM_1": EVIL}
    await stand.add("lead", **fields, PHONE=[{"VALUE": EVIL, "VALUE_TYPE": EVIL}])
    await stand.add("contact", NAME=EVIL, LAST_NAME=EVIL)
    await stand.add("deal", TITLE=EVIL, CURRENCY_ID=EVIL, OPPORTUNITY=5, CONTACT_ID=1)
    for entity in ("lead", "deal"):
        comment = {"ENTITY_ID": 1, "ENTITY_TYPE": entity, "COMMENT": EVIL}
        await stand.call("crm.timeline.comment.add", {"fields": comment})
    await stand.call("im.message.add", {"DIALOG_ID": EVIL, "MESSAGE": EVIL})
    todo = {"ownerTypeId": 1, "ownerId": 1, "deadline": "2026-10-01", "title": EVIL}
    await stand.call("crm.activity.todo.add", todo)
    for path in ("/", "/lead/1", "/deal/1", "/contact/1", "/?lang=%22%3E%3Cscript%3E"):
        reply = await stand.send("GET", path)
        assert reply.status == 200
        assert "&lt;script&gt;" in reply.text
        seen = _Tags()
        seen.feed(reply.text)
        assert not {"script", "img"} & seen.tags
        assert not {name for name in seen.attributes if name.startswith("on")}


class _Tags(HTMLParser):
    """The tags and attributes that a browser would see."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


MARKS = st.text("<>&\"'/=;# ax\u0436")


@given(MARKS, MARKS)
def test_text_and_attributes_come_back_as_they_were(text: str, attribute: str) -> None:
    class Reader(HTMLParser):
        seen = ""
        titles: tuple[str | None, ...] = ()

        def handle_data(self, data: str) -> None:
            self.seen += data

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.titles = (*self.titles, tag, dict(attrs).get("title"))

    reader = Reader(convert_charrefs=True)
    reader.feed(join(element("p", text, title=attribute), element("b", "end")))
    reader.close()
    assert reader.titles == ("p", attribute, "b", None)
    assert reader.seen == text + "end"


async def test_pages_allow_no_script_and_nothing_from_elsewhere(stand: Stand) -> None:
    reply = await stand.send("GET", "/")
    policy = reply.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'")
    assert "unsafe" not in policy
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"(style=|https?://)", reply.text)
    style = await stand.send("GET", "/portal.css")
    assert "prefers-color-scheme: dark" in style.text
    assert style.headers["content-type"].startswith("text/css")
    assert (await stand.send("GET", "/icon.svg")).headers["content-type"] == "image/svg+xml"


async def test_an_element_has_a_page_with_its_links(stand: Stand) -> None:
    seed(stand.portal)
    text = (await stand.send("GET", "/contact/1?lang=en")).text
    assert 'href="/deal/1?lang=en"' in text
    assert 'href="/company/1?lang=en"' in text
    assert "ivan.petrov@example.ru" in text
    assert 'href="/contact/1?lang=ru"' in text, "the other language of the same page"
    assert 'href="/contact/1?lang=en"' in (await stand.send("GET", "/deal/1?lang=en")).text


@pytest.mark.parametrize("path", ["/lead/99", "/nothing/1"])
async def test_a_missing_element_is_a_404(stand: Stand, path: str) -> None:
    reply = await stand.send("GET", path)
    assert reply.status == 404
    assert "There is no such element." in reply.text


@pytest.mark.parametrize(
    ("asked", "accepted", "language"),
    [
        ("ru", "en", "ru"),
        (None, "ru-RU,ru;q=0.9,en;q=0.8", "ru"),
        (None, "en;q=0.5, ru;q=0.7", "ru"),
        (None, "de,fr", "en"),
        (None, "ru;q=0", "en"),
        (None, "ru;q=x", "en"),
        ("xx", "", "en"),
    ],
)
def test_the_language_of_a_visitor(asked: str | None, accepted: str, language: str) -> None:
    assert choose_language(asked, accepted) == language


async def test_the_languages_differ_in_words_only(stand: Stand) -> None:
    russian = (await stand.send("GET", "/", headers={"accept-language": "ru"})).text
    english = (await stand.send("GET", "/")).text
    assert '<html lang="ru">' in russian
    assert "Сделки" in russian
    assert '<html lang="en">' in english
    assert "Deals" in english


async def test_seeding_leaves_a_portal_in_use_alone(stand: Stand) -> None:
    await stand.add("deal")
    assert seed(stand.portal) is False
    assert (await stand.call("crm.contact.list"))["total"] == 0

"""The page with a source's form: what a person sees, sends and is told; and nothing injected."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from html.parser import HTMLParser
from typing import Any

import pytest

from tests.unit.api.calling import Answered
from tests.unit.api.stage import Stage
from tests.unit.sources.parts import CONTENT_TYPE, field, file, multipart

FORM = """
source: page
kind: webhook
process: lead
verify: none
form: true
schema:
  title: A lead
  description: Tell us about it.
  type: object
  required: [name, email, size, agree]
  properties:
    name: {type: string, title: Your name, maxLength: 50, minLength: 2}
    email: {type: string, format: email, description: We write to it.}
    size: {enum: [S, M, 42], title: Size}
    count: {type: integer, minimum: 1, maximum: 9, default: 3}
    price: {type: number}
    on: {type: string, format: date}
    agree: {type: boolean, const: true, title: I agree}
    news: {type: boolean, default: true}
    text: {type: string, maxLength: 5000}
    colors: {type: array, items: {enum: [red, green]}}
    hidden: {type: string, readOnly: true}
    contact: {type: object, title: Contact, properties: {phone: {type: string, format: phone}}}
    photo: {type: object, format: file}
"""
HTML = ("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
URLENCODED = "application/x-www-form-urlencoded"
GOOD = b"name=Anna&email=a%40b.example&size=42&count=3&price=&on=&agree=true&text=&contact[phone]="


class Page(HTMLParser):
    """A page as a browser takes it apart: tags with their attributes, and the texts."""

    def __init__(self, answer: Answered) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(answer.body.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def control(self, name: str, value: str | None = None) -> tuple[str, dict[str, str | None]]:
        found = [
            (tag, attributes)
            for tag, attributes in self.tags
            if attributes.get("name") == name and value in (None, attributes.get("value"))
        ]
        assert len(found) == 1
        return found[0]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


async def page(stage: Stage, *headers: tuple[str, str], query: str = "") -> Answered:
    return await stage.send(f"page{query}", b"", *headers, method="GET", content_type=None)


async def test_the_form_is_made_of_the_schema(stage: Stage) -> None:
    stage.add_source(FORM)
    answer = await page(stage)
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    shown = Page(answer)
    assert shown.control("name") == ("input", {
        "name": "name", "maxlength": "50", "minlength": "2", "type": "text", "value": "",
        "required": None})  # fmt: skip
    assert shown.control("email")[1]["type"] == "email"
    assert shown.control("size") == ("select", {"name": "size", "required": None})
    assert [attributes["value"] for tag, attributes in shown.tags if tag == "option"] == [
        "", "S", "M", "42"]  # fmt: skip
    assert shown.control("count")[1] == {
        "name": "count",
        "step": "1",
        "min": "1",
        "max": "9",
        "type": "number",
        "value": "3",
    }
    assert shown.control("price")[1]["step"] == "any"
    assert shown.control("on")[1]["type"] == "date"
    assert shown.control("agree")[1] == {
        "name": "agree",
        "type": "checkbox",
        "value": "true",
        "required": None,
    }
    assert "checked" in shown.control("news")[1]
    assert shown.control("text")[0] == "textarea"
    assert shown.control("colors[]", "green")[1]["type"] == "checkbox"
    assert shown.control("contact[phone]")[1]["type"] == "tel"
    assert shown.control("photo")[1] == {"name": "photo", "type": "file"}
    assert "hidden" not in {attributes.get("name") for _, attributes in shown.tags}
    form = next(attributes for tag, attributes in shown.tags if tag == "form")
    assert form == {"method": "post", "action": "?", "enctype": "multipart/form-data"}
    assert shown.text.startswith("A lead")
    for text in ("Your name", "We write to it.", "price (optional)", "Tell us about it.", "Send"):
        assert text in shown.text


async def test_the_page_loads_nothing_and_runs_nothing(stage: Stage) -> None:
    stage.add_source(FORM)
    answer = await page(stage)
    shown = Page(answer)
    assert {tag for tag, _ in shown.tags} <= {
        "html", "head", "meta", "title", "style", "body", "main", "h1", "p", "form", "label",
        "input", "select", "option", "textarea", "fieldset", "legend", "button"}  # fmt: skip
    for _, attributes in shown.tags:
        assert not {name for name in attributes if name.startswith("on")}
        assert not {"src", "href", "style"} & attributes.keys()
    policy = answer.headers["content-security-policy"]
    style = re.search(r"<style>(.*?)</style>", answer.body.decode(), re.DOTALL)
    assert style is not None
    digest = b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'self';"
        " frame-ancestors 'none'"
    )
    assert answer.headers["x-content-type-options"] == "nosniff"


HOSTILE = """<script>alert(1)</script>"'><img src=x onerror=y>"""


async def test_hostile_titles_and_values_are_text(stage: Stage) -> None:
    text = HOSTILE.replace("'", "''")
    stage.add_source(f"""
source: page
kind: webhook
process: lead
verify: none
form: {{title: '{text}', thanks: '{text}'}}
schema:
  description: '{text}'
  required: [gone]
  properties:
    '{text}': {{title: '{text}', description: '{text}', type: string, default: '{text}'}}
    long: {{type: string, maxLength: 999}}
    pick: {{enum: ['{text}', b]}}
    box: {{type: array, items: {{enum: ['{text}']}}}}
    gone: {{type: string}}
""")
    sent = multipart(field("long", HOSTILE), field("pick", HOSTILE), field("box[]", HOSTILE))
    refused = await stage.send("page", sent, HTML, content_type=CONTENT_TYPE)
    assert refused.status == 422
    for answer in (await page(stage), await page(stage, query="?sent"), refused):
        shown = Page(answer)
        assert not {"script", "img"} & {tag for tag, _ in shown.tags}
        assert HOSTILE in shown.text
        assert b"<script>" not in answer.body
    assert Page(refused).text.count(HOSTILE) > Page(await page(stage)).text.count(HOSTILE)


async def test_what_is_sent_is_taken_in_and_led_to_a_page_of_thanks(stage: Stage) -> None:
    stage.add_source(FORM)
    answer = await stage.send("page", GOOD, HTML, content_type=URLENCODED)
    assert (answer.status, answer.headers["location"]) == (303, "?sent")
    runs = (await stage.ask("GET", "/api/v1/runs")).json()["runs"]
    run = await stage.run(runs[0]["id"])
    assert run["request"]["body"] == {
        "name": "Anna", "email": "a@b.example", "size": 42, "count": 3, "agree": True,
        "text": "", "contact": {},
    }  # fmt: skip
    thanks = await page(stage, query="?sent")
    assert thanks.status == 200
    assert "Thank you. Your request has been received." in Page(thanks).text
    assert ("a", {"href": "?"}) in Page(thanks).tags


async def test_a_file_may_be_sent_along(stage: Stage) -> None:
    stage.add_source(FORM)
    sent = multipart(
        field("name", "Anna"), field("email", "a@b.example"), field("size", "S"),
        field("agree", "true"), field("colors[]", "red"), file("photo", "a.png", b"x"),
    )  # fmt: skip
    answer = await stage.send("page", sent, HTML, content_type=CONTENT_TYPE)
    assert answer.status == 303


async def test_who_reads_no_pages_gets_the_plain_answers(stage: Stage) -> None:
    stage.add_source(FORM)
    answer = await stage.send("page", GOOD, content_type=URLENCODED)
    assert (answer.status, answer.headers["content-type"]) == (202, "application/json")
    answer = await stage.send("page", b"name=A", content_type=URLENCODED)
    assert (answer.status, answer.headers["content-type"]) == (422, "application/problem+json")


async def test_what_does_not_fit_comes_back_marked_and_filled_in(stage: Stage) -> None:
    stage.add_source(FORM)
    sent = (
        b"name=A&email=nobody&size=M&count=x&news=true&colors[]=green&contact[phone]=%2B7"
        b"&text=a%0Ab"
    )
    answer = await stage.send("page", sent, HTML, content_type=URLENCODED)
    assert answer.status == 422
    shown = Page(answer)
    assert shown.control("name")[1]["value"] == "A"
    assert shown.control("email")[1]["value"] == "nobody"
    assert shown.control("count")[1]["value"] == "x"
    assert shown.control("contact[phone]")[1]["value"] == "+7"
    assert "checked" in shown.control("colors[]", "green")[1]
    assert "checked" not in shown.control("colors[]", "red")[1]
    assert [one["value"] for tag, one in shown.tags if tag == "option" and "selected" in one] == [
        "M"]  # fmt: skip
    assert "\na\nb" in shown.texts  # browsers drop the first line break
    assert "checked" in shown.control("news")[1]
    assert "checked" not in shown.control("agree")[1]
    marks = [one for tag, one in shown.tags if tag == "p" and one.get("class") == "wrong"]
    assert len(marks) == 1 + 4  # the word above, and name, email, count, agree
    assert "Please fill in this field." in shown.text
    assert (await stage.ask("GET", "/api/v1/runs")).json()["runs"] == []


@pytest.mark.parametrize(
    ("accepted", "word"),
    [("ru", "Отправить"), ("ru-RU,ru;q=0.9,en;q=0.8", "Отправить"), ("en-US,en;q=0.9", "Send"),
     ("de,ru;q=0.5,en;q=0.4", "Отправить"), ("de", "Send"), ("", "Send"), ("ru;q=0", "Send"),
     ("en;q=0.1, ru;q=x", "Send"), ("*", "Send"), (";;,,q=1;", "Send")],
)  # fmt: skip
async def test_the_few_words_are_in_the_reader_s_language(
    stage: Stage, accepted: str, word: str
) -> None:
    stage.add_source(FORM)
    answer = await page(stage, ("Accept-Language", accepted))
    assert word in Page(answer).text
    assert f'<html lang="{"ru" if word == "Отправить" else "en"}">' in answer.body.decode()


async def test_thanks_may_be_the_author_s_own(stage: Stage) -> None:
    stage.add_source(FORM.replace("form: true", 'form: {title: Hi, thanks: "We call you."}'))
    assert "We call you." in Page(await page(stage, query="?sent")).text
    assert Page(await page(stage)).text.startswith("Hi")


async def test_an_answer_of_its_own_may_lead_to_another_site(stage: Stage) -> None:
    stage.add_source(FORM + 'answer: {status: 303, headers: {Location: "https://a.example/ok"}}\n')
    assert "form-action *;" in (await page(stage)).headers["content-security-policy"]
    answer = await stage.send("page", GOOD, HTML, content_type=URLENCODED)
    assert (answer.status, answer.headers["location"]) == (303, "https://a.example/ok")


async def test_a_reader_sees_a_page_where_nothing_can_be_taken_in(stage: Stage) -> None:
    stage.add_source(FORM)
    stage.hub.node.drain()
    answer = await stage.send("page", GOOD, HTML, content_type=URLENCODED)
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert "Please try again later." in Page(answer).text


async def test_other_sites_cannot_send_in_a_reader_s_name(stage: Stage) -> None:
    stage.add_source(FORM)
    own = [HTML, ("Host", "hub.example"), ("Origin", "https://hub.example")]
    assert (await stage.send("page", GOOD, *own, content_type=URLENCODED)).status == 303
    for origin in ("https://evil.example", "null", "https://hub.example.evil"):
        headers = [HTML, ("Host", "hub.example"), ("Origin", origin)]
        answer = await stage.send("page", GOOD, *headers, content_type=URLENCODED)
        assert answer.status == 403
    # With no referrer at all browsers would send `Origin: null` from the page itself.
    assert (await page(stage)).headers["referrer-policy"] == "same-origin"


async def test_a_form_behind_a_password_asks_for_it(stage: Stage) -> None:
    verify = 'verify: {basic: {user: a, secret: "${K}"}}'
    stage.add_source(FORM.replace("verify: none", verify))
    stage.secrets["K"] = "k"
    asked = await page(stage, HTML)
    assert asked.status == 401
    assert asked.headers["www-authenticate"].startswith("Basic ")
    assert b"<form" not in asked.body
    assert (await page(stage, ("Authorization", "Basic YTpr"))).status == 200


async def test_a_source_without_a_form_has_no_page(stage: Stage) -> None:
    answer = await stage.send("form", b"", HTML, method="GET")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    stage.add_source(FORM)
    answer = await stage.send("page", b"", method="DELETE")
    assert answer.headers["allow"] == "POST, GET, HEAD"


async def test_a_repeat_by_a_reader_is_thanked_too(stage: Stage) -> None:
    stage.add_source(FORM + 'identity: {by: "{{ request.email }}"}\n')
    answers: list[Any] = [
        await stage.send("page", GOOD, HTML, content_type=URLENCODED) for _ in range(2)
    ]
    assert [answer.status for answer in answers] == [303, 303]
    assert len((await stage.ask("GET", "/api/v1/runs")).json()["runs"]) == 1

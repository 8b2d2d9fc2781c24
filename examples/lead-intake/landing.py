"""The landing page of the demonstration: a form, whose server hands each lead to the hub.

The browser never talks to the hub and holds no secret: this server signs the lead and posts it
to `/in/site-form`. The visitor is thanked once the hub has answered 202, that is once the lead is
durable. The form carries the lead's id from the moment it is shown, so that a double click or a
reload sends the same lead, which the hub accepts once.

    python landing.py --port 8082      with HUB_ADDRESS, PORTAL_ADDRESS, HUB_HOME and
                                       SITE_FORM_SECRET in the environment
"""

from __future__ import annotations

import argparse
import os
import re
import socket
import sys
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from html import escape
from pathlib import Path
from urllib.parse import parse_qs, urlencode

import aiohttp
import uvicorn
from landing_words import LANGUAGES, choose_language, words
from leads import Lead, NotAccepted, send
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

FORM_BYTES = 32_768
FIELDS = {"name": 100, "phone": 40, "email": 200, "question": 2_000}  # longest values, characters
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_HERE = Path(__file__).parent


class LandingPage:
    """The page's server. `hub` and `portal` are addresses without a slash at the end; `home` is
    the hub's home, as a person would type it after `--home`.
    """

    def __init__(self, hub: str, portal: str, secret: str, home: str) -> None:
        self._hub = hub
        self._portal = portal
        self._secret = secret
        self._home = home
        self._session: aiohttp.ClientSession | None = None

    def app(self) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[
                Route("/", self._form, methods=["GET"]),
                Route("/", self._take, methods=["POST"]),
                Route("/thanks", self._thanks),
                Route("/landing.css", _style),
                Route("/icon.svg", _icon),
                Route("/healthz", _healthz),
            ],
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        async with aiohttp.ClientSession() as session:
            self._session = session
            yield

    async def _form(self, request: Request) -> Response:
        return _page(_language(request), _form_html(_language(request), {}, []))

    async def _take(self, request: Request) -> Response:
        language = _language(request)
        length = request.headers.get("content-length", "")
        if not length.isdigit() or int(length) > FORM_BYTES:
            return _page(language, _form_html(language, {}, ["too_large"]), 413)
        try:
            sent = parse_qs((await request.body()).decode(), strict_parsing=False)
        except UnicodeDecodeError:
            return _page(language, _form_html(language, {}, ["unreadable"]), 400)
        given = {name: values[0].strip() for name, values in sent.items()}
        troubles = _troubles(given)
        if troubles:
            return _page(language, _form_html(language, given, troubles), 422)
        lead = Lead(
            lead_id=given["lead_id"],
            name=given["name"],
            phone=given.get("phone", ""),
            email=given.get("email", ""),
            question=given.get("question", ""),
        )
        assert self._session is not None, "the server has started"
        try:
            id = await send(self._session, self._hub, self._secret, lead)
        except NotAccepted as reason:
            print(f"a lead was not sent: {reason}", file=sys.stderr)
            return _page(language, _form_html(language, given, ["not_sent"]), 503)
        # The thanks have an address of their own, so that a reload there sends nothing.
        return RedirectResponse(
            f"/thanks?{urlencode({'request': id, 'lang': language})}", 303, headers=HEADERS
        )

    async def _thanks(self, request: Request) -> Response:
        language = _language(request)
        id = request.query_params.get("request", "")
        if _ID.fullmatch(id) is None:
            return RedirectResponse(f"/?lang={language}", 303, headers=HEADERS)
        say = words(language)
        portal = f"{self._portal}/?lang={language}"
        command = f".venv/bin/beltline runs show {id} --home {self._home}"
        body = (
            f'<p class="tick" aria-hidden="true">✓</p><h1>{escape(say["thanks"])}</h1>'
            f"<p>{escape(say['accepted'])}</p>"
            f"<dl><dt>{escape(say['request'])}</dt><dd><code>{id}</code></dd>"
            f'<dt>{escape(say["arrives"])}</dt><dd><a href="{escape(portal)}">'
            f"{escape(say['portal'])}</a></dd>"
            f"<dt>{escape(say['its_way'])}</dt><dd><pre>{escape(command)}</pre></dd></dl>"
            f'<p><a class="button" href="/?lang={language}">{escape(say["another"])}</a></p>'
        )
        return _page(language, body, query={"request": id})


def _language(request: Request) -> str:
    return choose_language(
        request.query_params.get("lang"), request.headers.get("accept-language", "")
    )


def _troubles(given: Mapping[str, str]) -> list[str]:
    """What a visitor has to mend, as keys of `landing_words`."""
    if re.fullmatch(r"[0-9a-f]{32}", given.get("lead_id", "")) is None:
        return ["unreadable"]
    troubles = [] if given.get("name") else ["no_name"]
    if not given.get("phone") and not given.get("email"):
        troubles.append("no_contact")
    if any(len(given.get(name, "")) > most for name, most in FIELDS.items()):
        troubles.append("too_large")
    return troubles


def _form_html(language: str, given: Mapping[str, str], troubles: list[str]) -> str:
    say = words(language)
    lead_id = given.get("lead_id", "")
    if re.fullmatch(r"[0-9a-f]{32}", lead_id) is None:
        lead_id = uuid.uuid4().hex
    shown = "".join(f"<li>{escape(say[trouble])}</li>" for trouble in troubles)
    alert = f'<ul class="alert" role="alert">{shown}</ul>' if troubles else ""
    inputs = "".join(
        _input(say[name], name, kind, given.get(name, ""), complete, required=name == "name")
        for name, kind, complete in (
            ("name", "text", "name"),
            ("phone", "tel", "tel"),
            ("email", "email", "email"),
        )
    )
    question = escape(given.get("question", ""))
    return (
        f"<h1>{escape(say['heading'])}</h1><p>{escape(say['lead'])}</p>{alert}"
        f'<form method="post" action="/?lang={language}">'
        f'<input type="hidden" name="lead_id" value="{lead_id}">{inputs}'
        f'<label for="question">{escape(say["question"])}</label>'
        f'<textarea id="question" name="question" rows="4" maxlength="{FIELDS["question"]}">'
        f"{question}</textarea>"
        f"<button>{escape(say['send'])}</button></form>"
        f'<p class="quiet">{escape(say["behind"])}</p>'
    )


def _input(label: str, name: str, kind: str, value: str, complete: str, *, required: bool) -> str:
    return (
        f'<label for="{name}">{escape(label)}</label>'
        f'<input id="{name}" name="{name}" type="{kind}" value="{escape(value)}"'
        f' autocomplete="{complete}" maxlength="{FIELDS[name]}"{" required" if required else ""}>'
    )


def _page(
    language: str, main: str, status: int = 200, query: Mapping[str, str] | None = None
) -> Response:
    say = words(language)
    other = next(one for one in LANGUAGES if one != language)
    link = escape(f"?{urlencode({**(query or {}), 'lang': other})}")
    return HTMLResponse(
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(say['title'])}</title>"
        '<link rel="icon" href="/icon.svg"><link rel="stylesheet" href="/landing.css"></head><body>'
        f'<header><span class="brand">{escape(say["brand"])}</span>'
        f'<a href="{link}" lang="{other}" hreflang="{other}">{escape(words(other)["self"])}</a>'
        f"</header><main>{main}</main></body></html>",
        status,
        headers=HEADERS,
    )


async def _style(_request: Request) -> Response:
    css = (_HERE / "landing.css").read_text(encoding="utf-8")
    return Response(css, media_type="text/css; charset=utf-8")


async def _icon(_request: Request) -> Response:
    return Response((_HERE / "icon.svg").read_bytes(), media_type="image/svg+xml")


async def _healthz(_request: Request) -> Response:
    return Response("ok", media_type="text/plain")


def main() -> None:
    """Serves the page until it is told to stop."""
    options = argparse.ArgumentParser(description="The landing page of the demonstration.")
    options.add_argument("--port", type=int, default=8082, help="port to listen on; 0: any")
    port = options.parse_args().port
    page = LandingPage(
        os.environ["HUB_ADDRESS"],
        os.environ["PORTAL_ADDRESS"],
        os.environ["SITE_FORM_SECRET"],
        os.environ["HUB_HOME"],
    )
    # Listening before anything else: the printed address takes connections at once.
    with socket.create_server(("127.0.0.1", port), backlog=128) as listening:
        print(f"Landing page: http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
        config = uvicorn.Config(
            page.app(), log_level="warning", access_log=False, server_header=False
        )
        uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()

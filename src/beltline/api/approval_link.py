"""Links by which a person decides without an account.

A link names the visit and is signed; it is good while that visit waits, so it is good once. Opening
it decides nothing (programs look into mails before people do): the page has the two buttons.

    /approve/{run, step, visit}.{signature}
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from html import escape
from typing import Any
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope, Send

from beltline.api.answer import Answer, send_answer
from beltline.api.body import read_whole
from beltline.api.form_page import html_page, language_of
from beltline.api.hub import Hub
from beltline.api.problem import Problem
from beltline.api.runs import post_command
from beltline.core.inputs import Resolve
from beltline.engine.ids import key_of
from beltline.engine.inspection import Inspected, inspect
from beltline.engine.ports import NotFound

PREFIX = "/approve/"
BY = "by a link"
_TOKEN_MOST = 2_000
_COMMENT_MOST = 10_000

_WORDS = {
    "en": {
        "approve": "Approve",
        "reject": "Reject",
        "comment": "Comment",
        "done": "Thank you. Your decision has been taken in.",
        "gone": "This link is not good any more: it was decided, or its time is over.",
    },
    "ru": {
        "approve": "Согласовать",
        "reject": "Отклонить",
        "comment": "Комментарий",
        "done": "Спасибо. Ваше решение принято.",
        "gone": "Ссылка больше не действует: решение уже принято, или срок вышел.",
    },
}


def path_of(key: bytes | None, run: str, step: str, visit: int) -> str | None:
    """The link's path; None where there is no key to sign it with."""
    if key is None:
        return None
    told = _encoded(json.dumps([run, step, visit], ensure_ascii=False).encode())
    return f"{PREFIX}{told}.{_signature(key, told)}"


def _place(key: bytes | None, token: str) -> tuple[str, str, int] | None:
    """The visit that a link names; None for one that is not ours."""
    told, _, signature = token.partition(".")
    if key is None or len(token) > _TOKEN_MOST or not token.isascii():
        return None
    if not hmac.compare_digest(_signature(key, told), signature):
        return None
    try:
        run, step, visit = json.loads(base64.urlsafe_b64decode(told + "=" * (-len(told) % 4)))
    except (ValueError, binascii.Error):
        return None
    return run, step, visit


def _signature(key: bytes, told: str) -> str:
    return _encoded(hmac.digest(key, b"approval " + told.encode(), "sha256"))


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class ApprovalLinks:
    """The ASGI app behind `/approve/`."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Shows what is to be decided, or takes the decision in."""
        language = language_of(scope["headers"])
        if scope["method"] not in ("GET", "HEAD", "POST"):
            raise Problem(
                405, "wrong-method", "This address takes GET, POST.", headers={"allow": "GET, POST"}
            )
        place = _place(self._hub.link_key, scope["path"][len(PREFIX) :])
        found = None if place is None else await self._found(place)
        if place is None or found is None:
            await send_answer(send, _told(language, 410, "gone"))
            return
        if scope["method"] != "POST":
            await send_answer(send, _asked(language, *found))
            return
        raw = await read_whole(receive, scope["headers"], self._hub.limits)
        await send_answer(send, await self._decided(language, place, found[0], raw))

    async def _found(self, place: tuple[str, str, int]) -> tuple[Inspected, dict[str, Any]] | None:
        """The run, and what is to be decided; None where nothing is any more."""
        run, step, number = place
        key = key_of(run)
        assert key is not None  # the hub signed it
        try:
            inspected = await inspect(self._hub.store, self._hub.processes, key)
        except NotFound:
            return None
        if inspected.refusal(Resolve(step, True, number)) or inspected.run is None:
            return None
        return inspected, inspected.run.open[step, number].input

    async def _decided(
        self, language: str, place: tuple[str, str, int], inspected: Inspected, raw: bytes
    ) -> Answer:
        sent = dict(parse_qsl(raw.decode("utf-8", "replace"), max_num_fields=1_000))
        verdict = sent.pop("decision", "")
        if verdict not in ("approve", "reject"):
            raise Problem(422, "wrong-body", "decision is `approve` or `reject`.")
        comment = sent.pop("comment", "")[:_COMMENT_MOST]
        given = {name.removeprefix("field-"): text for name, text in sent.items() if text}
        _, step, visit = place
        command = Resolve(step, verdict == "approve", visit, comment, given, BY)
        why_not = inspected.refusal(command)
        if why_not:
            raise Problem(409, "refused", f"This cannot be decided now: {why_not}.")
        await post_command(self._hub, inspected.record.key, command)
        self._hub.wake_runs()
        return _told(language, 200, "done")


def _told(language: str, status: int, word: str) -> Answer:
    return html_page(language, status, _WORDS[language][word], "", "'none'")


def _asked(language: str, inspected: Inspected, asked: dict[str, Any]) -> Answer:
    words = _WORDS[language]
    fields = "".join(
        f'<label>{escape(title)}<input name="field-{escape(name)}"></label>'
        for name, title in asked.get("fields", {}).items()
    )
    body = (
        f"<p>{escape(asked.get('text', ''))}</p>"
        f'<form method="post">{fields}'
        f'<label>{words["comment"]}<textarea name="comment"></textarea></label>'
        f'<button name="decision" value="approve">{words["approve"]}</button> '
        f'<button name="decision" value="reject">{words["reject"]}</button></form>'
    )
    return html_page(language, 200, asked["title"], body, "'self'")

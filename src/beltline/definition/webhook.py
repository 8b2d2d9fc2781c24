"""The keys of a webhook source: who may send, what is taken, and what is answered.

verify                   verify.py
answer, wait, challenge  answer.py
form                     form.py, from the source's schema
cors, body               here
"""

from __future__ import annotations

import re
from typing import Any, ClassVar
from urllib.parse import urlsplit

import msgspec

from beltline.core.limits import LIMITS
from beltline.core.problem import Place
from beltline.definition.answer import (
    Challenge,
    OwnAnswer,
    SlackChallenge,
    Waiting,
    read_answer,
    read_challenge,
    read_wait,
)
from beltline.definition.finding import Report
from beltline.definition.form import FormPage, read_form_page
from beltline.definition.request_schema import read_schema
from beltline.definition.shape import check_keys, kind_of, read_object
from beltline.definition.verify import Verify, VerifyBasic, VerifyNone, read_verify

WEBHOOK_KEYS = ("verify", "answer", "wait", "challenge", "cors", "form", "body")
_SIZE = re.compile(r"([1-9][0-9]{0,9})(B|KiB|MiB)\Z")
_UNITS = {"B": 1, "KiB": 1_024, "MiB": 1_048_576}
_ORIGINS_MOST = 100


class Cors(msgspec.Struct, frozen=True):
    """The sites whose pages may send from a browser, as `https://shop.example`; `*`: any site."""

    origins: frozenset[str]

    def allows(self, origin: str) -> bool:
        """Whether a page of this origin may send."""
        return "*" in self.origins or origin in self.origins


class WebhookWay(msgspec.Struct, frozen=True):
    """Requests come to `POST /in/{source}`. `body_bytes` is how large a body may be (None: the
    limit `request_body_bytes`); only multipart may be larger than that limit.
    """

    kind: ClassVar[str] = "webhook"
    verify: Verify
    answer: OwnAnswer | None = None
    wait: Waiting = Waiting()
    challenge: Challenge | None = None
    cors: Cors | None = None
    form: FormPage | None = None
    body_bytes: int | None = None


def read_webhook(report: Report, data: dict[str, Any]) -> WebhookWay | None:
    """Reads the keys of `WEBHOOK_KEYS`; a form is made of the source's `schema`."""
    verify = read_verify(report, data)
    challenge = read_challenge(report, data["challenge"]) if "challenge" in data else None
    if isinstance(challenge, SlackChallenge) and isinstance(verify, VerifyNone):
        report.error(
            ("challenge",),
            "only a sender that is verified can be answered so",
            'Write `verify: {slack: "${NAME}"}`.',
        )
    way = WebhookWay(
        verify=verify or VerifyNone(),
        answer=read_answer(report, data["answer"]) if "answer" in data else None,
        wait=(read_wait(report, data["wait"]) if "wait" in data else None) or Waiting(),
        challenge=challenge,
        cors=_read_cors(report, data["cors"]) if "cors" in data else None,
        form=_read_form(report, data, verify) if "form" in data else None,
        body_bytes=_read_body(report, data["body"]) if "body" in data else None,
    )
    return None if verify is None else way


def _read_form(report: Report, data: dict[str, Any], verify: Verify | None) -> FormPage | None:
    if verify is not None and not isinstance(verify, VerifyNone | VerifyBasic):
        report.error(("form",), "a browser cannot sign: a form needs verify none or basic")
    # What is wrong with the schema is told by the source, in the same words: it is told once.
    schema = read_schema(report, data["schema"]) if "schema" in data else None
    name = data.get("source")
    source = name if isinstance(name, str) else ""
    return read_form_page(report, data["form"], schema, is_given="schema" in data, source=source)


def _read_cors(report: Report, value: Any) -> Cors | None:
    at: Place = ("cors",)
    data = read_object(report, value, at, "cors")
    if data is None:
        return None
    check_keys(report, data, ("origins",), at, "cors")
    origins = data.get("origins")
    if not isinstance(origins, list) or not 1 <= len(origins) <= _ORIGINS_MOST:
        report.error(
            at,
            f"cors needs a list of 1 to {_ORIGINS_MOST} origins",
            "Write `cors: {origins: [https://shop.example]}`.",
        )
        return None
    for index, origin in enumerate(origins):
        if origin != "*" and not _is_origin(origin):
            report.error(
                (*at, "origins", index),
                f'"{origin[:100]}" is no origin' if isinstance(origin, str)
                else f"an origin must be a text, not {kind_of(origin)}",
                "Write it as browsers do, in small letters and without a path:"
                " https://shop.example.",
            )  # fmt: skip
    return Cors(frozenset(one for one in origins if isinstance(one, str)))


def _is_origin(origin: Any) -> bool:
    """Whether this is an origin as browsers write it: scheme, host, and port where it is not the
    scheme's own.
    """
    if not isinstance(origin, str) or not origin.isascii() or not origin.isprintable():
        return False
    try:
        parts = urlsplit(origin)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or not host or port in (80, 443):
        return False
    return origin == f"{parts.scheme}://{parts.netloc.lower()}" and "@" not in parts.netloc


def _read_body(report: Report, value: Any) -> int | None:
    at: Place = ("body",)
    data = read_object(report, value, at, "body")
    if data is None:
        return None
    check_keys(report, data, ("most",), at, "body")
    most = data.get("most")
    found = _SIZE.match(most) if isinstance(most, str) else None
    if found is None:
        report.error(at, "body needs the size that it may have", "Write `body: {most: 8MiB}`.")
        return None
    size = int(found[1]) * _UNITS[found[2]]
    if size > LIMITS.upload_bytes:
        report.error(
            (*at, "most"), f"most must be at most {LIMITS.upload_bytes:,} bytes (upload_bytes)"
        )
        return None
    return size

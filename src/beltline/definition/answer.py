"""What a webhook source answers: its own answer, what a sender may wait for, and challenges.

answer       status, headers and body once a request is durable
wait         what of the run is told to a sender that waits for it (`Prefer: wait=N`)
challenge    how a service finds out that the address is really ours
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec

from beltline.core.problem import Place
from beltline.core.template import Template, compile_value
from beltline.definition.finding import Report
from beltline.definition.request_value import ROOTS
from beltline.definition.secret import SecretRef, read_secret
from beltline.definition.shape import check_keys, kind_of, read_object
from beltline.definition.verify import is_header_name

_ANSWER_KEYS = ("status", "headers", "body")
_ANSWER_ROOTS = ROOTS | {"id"}
_WAIT_KEYS = ("output", "document")
_CHALLENGES = ("meta", "slack")
_STATUSES = frozenset((*range(200, 207), 301, 302, 303, 307, 308))
# What the server sets by itself, or another key of the source's file does.
NOT_OWN = frozenset(
    ("connection", "content-length", "content-encoding", "date", "keep-alive", "server", "trailer",
     "transfer-encoding", "upgrade", "vary")
)  # fmt: skip


class OwnAnswer(msgspec.Struct, frozen=True):
    """The source's own answer, over `request`, `meta` and `id`; `headers` by small name. `body`
    None: the answer has none.
    """

    status: int = 202
    headers: dict[str, Template] = {}
    body: Template | None = None


class Waiting(msgspec.Struct, frozen=True):
    """What a sender that waits is told of the run beside its status: `output`, a value over the
    document; or the `document` as a whole.
    """

    output: Template | None = None
    document: bool = False


class MetaChallenge(msgspec.Struct, frozen=True):
    """Meta asks by GET with `hub.challenge`, and shows the token that was agreed on."""

    secret: SecretRef


class SlackChallenge(msgspec.Struct, frozen=True):
    """Slack sends a signed `url_verification`, which is no request."""


Challenge = MetaChallenge | SlackChallenge


def read_answer(report: Report, value: Any) -> OwnAnswer | None:
    """Reads the key `answer`; None where it is wrong, which is reported."""
    at: Place = ("answer",)
    data = read_object(report, value, at, "answer")
    if data is None:
        return None
    check_keys(report, data, _ANSWER_KEYS, at, "answer")
    status = data.get("status", 202)
    if isinstance(status, bool) or not isinstance(status, int) or status not in _STATUSES:
        report.error(
            (*at, "status"),
            "status can be 200 to 206, 301, 302, 303, 307 or 308: the request was taken in",
        )
        return None
    body = None
    if "body" in data:
        body = _read_value(report, data["body"], (*at, "body"), _ANSWER_ROOTS)
    if body is not None and status in (204, 205):
        report.error((*at, "body"), f"an answer of the status {status} has no body")
    return OwnAnswer(status, _read_headers(report, data.get("headers", {}), at), body)


def _read_headers(report: Report, value: Any, above: Place) -> dict[str, Template]:
    at: Place = (*above, "headers")
    data = read_object(report, value, at, "headers")
    headers: dict[str, Template] = {}
    for name, one in (data or {}).items():
        small = name.lower()
        if not is_header_name(name):
            report.error((*at, name), f'"{name[:100]}" cannot name a header', of_key=True)
        elif small in NOT_OWN or small.startswith("access-control-"):
            report.error((*at, name), f"the header {small} is not the answer's to set", of_key=True)
        elif small in headers:
            report.error((*at, name), f"the header {small} stands twice", of_key=True)
        elif not isinstance(one, str):
            report.error((*at, name), f"a header must be a text, not {kind_of(one)}")
        else:
            headers[small] = _read_value(report, one, (*at, name), _ANSWER_ROOTS)
    return headers


def read_wait(report: Report, value: Any) -> Waiting | None:
    """Reads the key `wait`; None where it is wrong, which is reported."""
    at: Place = ("wait",)
    data = read_object(report, value, at, "wait")
    if data is None:
        return None
    check_keys(report, data, _WAIT_KEYS, at, "wait")
    output = None
    if "output" in data:
        output = _read_value(report, data["output"], (*at, "output"), None)
    document = data.get("document", False)
    if not isinstance(document, bool):
        report.error((*at, "document"), f"document must be true or false, not {kind_of(document)}")
        return None
    return Waiting(output, document)


def read_challenge(report: Report, value: Any) -> Challenge | None:
    """Reads the key `challenge`; None where it is wrong, which is reported."""
    at: Place = ("challenge",)
    if value == "slack":
        return SlackChallenge()
    if value == "meta":
        report.error(at, "meta needs its verify token", 'Write `challenge: {meta: "${NAME}"}`.')
        return None
    if not isinstance(value, dict) or list(value) != ["meta"]:
        known = report.did_you_mean(value, _CHALLENGES) if isinstance(value, str) else ""
        report.error(at, "this is no challenge", known or 'Write `slack`, or `{meta: "${NAME}"}`.')
        return None
    given, place = value["meta"], (*at, "meta")
    if isinstance(given, dict):
        check_keys(report, given, ("secret",), place, "meta")
        given, place = given.get("secret"), (*place, "secret")
    secret = read_secret(report, given, place, "secret")
    return None if secret is None else MetaChallenge(secret)


def _read_value(report: Report, value: Any, at: Place, roots: Collection[str] | None) -> Template:
    """Any JSON value with expressions in its texts; `roots` are what they may read (None: all)."""
    template, problems = compile_value(value, frozenset(), at)
    report.take(problems)
    if roots is not None:
        for root in sorted((template.roots or frozenset()) - frozenset(roots)):
            report.error(
                at,
                f'"{root[:100]}" is not known when a request is answered',
                f"A path starts with {', '.join(sorted(roots))} here.",
            )
    return template

"""What a source answers beside `POST` of requests: challenges, preflights, its form and pages."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.types import Scope

from beltline.api.answer import PROBLEM, TEXT, Answer
from beltline.api.cross_origin import preflight
from beltline.api.form_page import FormView, language_of, wants_page
from beltline.api.hub import Hub
from beltline.api.problem import Problem
from beltline.definition.answer import MetaChallenge
from beltline.definition.webhook import WebhookWay
from beltline.sources.headers import Headers
from beltline.sources.refusal import RequestRefused
from beltline.sources.verification import Received, is_secret
from beltline.sources.webhook import Webhook

_CHALLENGE_CHARACTERS = 1_000
_PARAMETERS = 50
_SENT = "sent"


class SourcePages:
    """Answers all methods but POST, and gives pages for those that read answers in a browser."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def answer(self, webhook: Webhook, scope: Scope) -> Answer:
        """The answer to another method than POST. Raises `Problem` (403, 405), `RequestRefused`
        (401) and `SecretMissing`.
        """
        way, method, headers = webhook.way, scope["method"], scope["headers"]
        if method == "OPTIONS" and way.cors is not None:
            return preflight(way, headers)
        if method in ("GET", "HEAD"):
            query = _query(scope["query_string"])
            if isinstance(way.challenge, MetaChallenge) and "hub.mode" in query:
                return self._meta_challenge(way.challenge, query)
            if way.form is not None:
                webhook.verify(Received(headers, b"", self._hub.clock.now()))
                view = self._view(way, headers)
                return view.thanks() if _SENT in query else view.empty()
        raise Problem(
            405,
            "wrong-method",
            f"A source takes POST, not {method[:20]}.",
            headers={"allow": _allowed(way)},
        )

    def thanks(self, webhook: Webhook, headers: Headers) -> Answer | None:
        """Leads a browser whose form was taken in to a page that can be loaded again; None for
        other senders.
        """
        if webhook.way.form is None or not wants_page(headers):
            return None
        return Answer(303, b"", TEXT, {"location": f"?{_SENT}"})

    def refused(
        self, webhook: Webhook, received: Received, refused: RequestRefused
    ) -> Answer | None:
        """The form again, with what does not fit; None for other senders, and other refusals."""
        headers = received.headers
        if not refused.errors or webhook.way.form is None or not wants_page(headers):
            return None
        view = self._view(webhook.way, headers)
        errors = [(one.pointer, one.rule) for one in refused.errors]
        return view.refused(refused.status, webhook.reread(received, self._hub.limits), errors)

    def in_words(self, webhook: Webhook, answer: Answer, headers: Headers) -> Answer:
        """A page in the place of a problem, where a person reads it."""
        if answer.content_type != PROBLEM or not wants_page(headers):
            return answer
        return self._view(webhook.way, headers).failed(answer.status, answer.headers)

    def _view(self, way: WebhookWay, headers: Headers) -> FormView:
        assert way.form is not None, "who asks for a page has looked for its form"
        elsewhere = way.answer is not None and "location" in way.answer.headers
        return FormView(way.form, language_of(headers), posts_elsewhere=elsewhere)

    def _meta_challenge(self, challenge: MetaChallenge, query: dict[str, str]) -> Answer:
        asked = query.get("hub.challenge", "")
        token = query.get("hub.verify_token", "").encode()
        if not is_secret(challenge.secret, self._hub.secret, token):
            raise Problem(403, "unverified-sender", "The verify token is not the one agreed on.")
        if query["hub.mode"] != "subscribe" or not 0 < len(asked) <= _CHALLENGE_CHARACTERS:
            raise Problem(400, "wrong-query", "This is no challenge of Meta.")
        return Answer(200, asked.encode(), TEXT)


def _query(query_string: bytes) -> dict[str, str]:
    """The parameters after the `?`. Raises `Problem` (400); one that stands twice is none."""
    try:
        pairs = parse_qsl(
            query_string.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_PARAMETERS,
        )
    except ValueError as wrong:  # wrong UTF-8, too many
        raise Problem(400, "wrong-query", "The query cannot be read.") from wrong
    query = dict(pairs)
    if len(query) != len(pairs):
        raise Problem(400, "wrong-query", "A parameter of the query stands twice.")
    return query


def _allowed(way: WebhookWay) -> str:
    methods = ["POST"]
    if way.form is not None or isinstance(way.challenge, MetaChallenge):
        methods += ["GET", "HEAD"]
    if way.cors is not None:
        methods.append("OPTIONS")
    return ", ".join(methods)

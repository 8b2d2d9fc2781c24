"""Forms on other sites: which pages may send from a browser (CORS).

A source that says `cors`, or shows a form of its own, is sent to by browsers, and then an `Origin`
that it does not know is refused: what browsers leave to the page, and what they send without asking
(a plain form), is decided alike. Senders that are no browsers have no `Origin`.
"""

from __future__ import annotations

from beltline.api.answer import TEXT, Answer
from beltline.api.problem import Problem
from beltline.definition.verify import VerifyHmac
from beltline.definition.webhook import WebhookWay
from beltline.sources.headers import Headers, only_value

_ASKED_AGAIN_S = 600  # a browser asks again after so long whether it may
_MAY_SEND = "content-type, content-encoding, authorization, prefer, idempotency-key, x-request-id"
_MAY_READ = "preference-applied, idempotent-replay, retry-after"


def check_origin(way: WebhookWay, headers: Headers) -> None:
    """Raises `Problem` (403) for a page of a site that the source does not know."""
    if way.cors is None and way.form is None:
        return
    origin = _origin(headers)
    if origin and not _is_known(way, headers, origin):
        raise Problem(
            403,
            "unknown-origin",
            f"Pages of {origin[:100]!r} may not send here. The source names those that may under"
            " `cors`.",
        )


def preflight(way: WebhookWay, headers: Headers) -> Answer:
    """The answer to a browser that asks whether a page may send. Raises `Problem` (403)."""
    check_origin(way, headers)
    own = f", {way.verify.header.lower()}" if isinstance(way.verify, VerifyHmac) else ""
    return Answer(
        204,
        b"",
        TEXT,
        {
            "access-control-allow-methods": "POST",
            "access-control-allow-headers": f"{_MAY_SEND}{own}",
            "access-control-max-age": str(_ASKED_AGAIN_S),
        },
    )


def readable_headers(way: WebhookWay, headers: Headers) -> dict[str, str]:
    """What lets the page read the answer, whatever it is."""
    origin = _origin(headers)
    told = {"vary": "origin"}
    if origin and way.cors is not None and way.cors.allows(origin):
        told["access-control-allow-origin"] = origin
        told["access-control-expose-headers"] = _MAY_READ
    return told


def _origin(headers: Headers) -> str:
    return (only_value(headers, b"origin") or b"").decode("latin-1")


def _is_known(way: WebhookWay, headers: Headers, origin: str) -> bool:
    if way.cors is not None and way.cors.allows(origin):
        return True
    # The source's own form. A proxy may have spoken TLS for us, so the scheme is not compared.
    host = (only_value(headers, b"host") or b"").decode("latin-1")
    return bool(host) and origin.lower() in (f"https://{host.lower()}", f"http://{host.lower()}")

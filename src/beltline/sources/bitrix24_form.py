"""What Bitrix24 writes into the form bodies of its events to prove that they are its own.

There is no signature. `auth[application_token]` is compared before anything else of the body is
used, and neither it nor a token of access is kept with the request.
"""

from __future__ import annotations

from typing import Any

from beltline.core.limits import LIMITS
from beltline.sources.bodies import FORM, kind_of_body
from beltline.sources.form_body import read_form
from beltline.sources.headers import Headers, only_value
from beltline.sources.refusal import RequestRefused

_TOKENS = ("application_token", "access_token", "refresh_token")


def token_of(headers: Headers, body: bytes) -> bytes | None:
    """The application token of a form body; None where there is none, or none that can be told."""
    content_type = only_value(headers, b"content-type") or b""
    if kind_of_body(content_type.decode("latin-1")) != FORM:
        return None
    try:
        value, _ = read_form(body, depth=LIMITS.request_depth)
    except RequestRefused:
        return None
    auth = value.get("auth")
    token = auth.get("application_token") if isinstance(auth, dict) else None
    return token.encode() if isinstance(token, str) and token else None


def without_tokens(value: Any) -> Any:
    """The body as it is kept."""
    auth = value.get("auth") if isinstance(value, dict) else None
    if not isinstance(auth, dict):
        return value
    kept = {key: one for key, one in auth.items() if key not in _TOKENS}
    return {**value, "auth": kept}

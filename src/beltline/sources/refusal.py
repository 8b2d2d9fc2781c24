"""Why a request is not taken in: the errors of everything that looks at what a sender sent."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from beltline.engine.ids import id_of


class Misfit(msgspec.Struct, frozen=True):
    """One thing in which a value does not fit: `pointer` is its place in the body, a JSON pointer
    in its form for addresses (`#/contact/phone`; `#` is the whole), `detail` says it to people.
    `rule` is the keyword of the schema, such as `required`.
    """

    detail: str
    pointer: str
    rule: str = ""


class RequestRefused(Exception):
    """The caller: this request cannot be accepted as it is.

    `status` is the HTTP status (4xx), `kind` names the mistake for programs, `detail` says to
    people what is wrong and what to send instead; `where` is the place in the body where it is
    known, such as `request.items.3.phone` or `line 1 column 17`. `errors` are all mistakes where
    several are told at once.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        where: str = "",
        errors: Sequence[Misfit] = (),
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.where = where
        self.errors = errors


class SecretMissing(Exception):
    """The operator: a source's secret is not set, so that nothing can be verified. The message
    names the secret, never its value.
    """


def identity_taken(first: bytes) -> RequestRefused:
    """The refusal of a request whose identity another one has: that with the key `first`."""
    return RequestRefused(
        409,
        "identity-taken",
        f"The identity of this request belongs to another one, {id_of(first)}, which had another"
        " body. Send a new identity, or the same body.",
    )

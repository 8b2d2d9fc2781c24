"""Who calls, and what they may do: roles, and the tokens that carry them."""

from __future__ import annotations

import hashlib
import hmac
from enum import IntEnum

import msgspec

from beltline.api.hub import Hub
from beltline.api.problem import Problem
from beltline.sources.headers import Headers, only_value

_MISS_AGE_MS = 200  # a token that was made a moment ago holds at once; guessing costs one look


class Role(IntEnum):
    """What someone may do; each may do what those before it may."""

    PUBLIC = 0  # needs no token
    VIEWER = 1  # looks
    OPERATOR = 2  # retries, skips, cancels, releases
    EDITOR = 3  # publishes
    ADMIN = 4  # everything


_BY_NAME = {role.name.lower(): role for role in Role if role is not Role.PUBLIC}


class Caller(msgspec.Struct, frozen=True):
    """Who calls; `name` is the token's, and stands in the journal beside what they asked."""

    name: str
    role: Role


NOBODY = Caller("", Role.PUBLIC)


async def permit(hub: Hub, headers: Headers, needs: Role) -> Caller:
    """The caller, if they may do what `needs` that role. Raises `Problem` (401, 403)."""
    if needs is Role.PUBLIC:
        return NOBODY
    caller = await _caller(hub, headers)
    if caller.role < needs:
        raise Problem(
            403,
            "role-too-low",
            f"This needs the role {needs.name.lower()}; the token {caller.name!r} has"
            f" {caller.role.name.lower()}. Ask an admin for a token with that role.",
        )
    return caller


async def _caller(hub: Hub, headers: Headers) -> Caller:
    sent = only_value(headers, b"authorization")
    if not sent:
        raise _unauthorized("Send a token: `Authorization: Bearer TOKEN`.", "")
    scheme, _, token = sent.partition(b" ")
    if scheme.lower() != b"bearer":
        raise _unauthorized("The header Authorization is not of the form `Bearer TOKEN`.", "")
    digest = hashlib.sha256(token.strip()).digest()
    record = (await hub.tokens.get()).get(digest)
    if record is None:
        record = (await hub.tokens.get(_MISS_AGE_MS)).get(digest)
    # The look-up by hash tells nothing of use about the token; what decides is compared in full.
    if record is None or not hmac.compare_digest(record.hash, digest):
        raise _unauthorized(
            "There is no such token. An admin makes one with `beltline token create`.",
            ', error="invalid_token"',
        )
    role = _BY_NAME.get(record.role)
    if role is None:
        raise _unauthorized(f"The token has an unknown role, {record.role!r}.", "")
    return Caller(record.name, role)


def _unauthorized(detail: str, error: str) -> Problem:
    challenge = f'Bearer realm="beltline"{error}'
    return Problem(401, "no-token", detail, headers={"www-authenticate": challenge})

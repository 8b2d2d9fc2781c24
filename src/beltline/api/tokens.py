"""Makes access tokens. The token is shown once; the store keeps its hash."""

from __future__ import annotations

import hashlib
import secrets

from beltline.api.access import Role
from beltline.engine.records import TokenRecord

ROLES = tuple(role.name.lower() for role in Role if role is not Role.PUBLIC)
_TOKEN_BYTES = 32  # 256 random bits cannot be guessed, so a plain hash of them is safe to keep


def new_token(role: str, name: str, now: int) -> tuple[str, TokenRecord]:
    """A token and what the store keeps of it. `role` is one of `ROLES`, `now` in Unix ms."""
    if role not in ROLES:
        raise ValueError(f"{role!r} is no role; there are {', '.join(ROLES)}")
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    return token, TokenRecord(hashlib.sha256(token.encode()).digest(), role, name, now)

"""What tells one message of a broker from every other one."""

from __future__ import annotations

import hashlib


def sent(id: str) -> str:
    """The id that the sender gave it."""
    return f"id {id}"


def placed(*parts: object) -> str:
    """The place that the broker gave it. Places begin anew where a stream is made anew under its
    name, so the broker's own time of the message belongs to them.
    """
    return " ".join(("at", *map(str, parts)))


def bounded(identity: str | None, bytes_most: int) -> str | None:
    """An identity that is too long to be kept, as a hash; the others as they are."""
    if identity is None or len(identity.encode("utf-8", "surrogatepass")) <= bytes_most:
        return identity
    return hashlib.blake2b(identity.encode("utf-8", "surrogatepass"), digest_size=32).hexdigest()

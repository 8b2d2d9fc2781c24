"""Addresses for answers that come later: each is good for one attempt, until its deadline.

An address names the attempt and carries a signature over it, made with a key of this hub. So nobody
else can answer, an answer for one attempt cannot be used for another, and nothing has to be kept.
"""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import urlencode

import msgspec

from beltline.engine.ports import Dispatched

PATH = "/api/v1/events/answers"

_encode = msgspec.json.Encoder().encode


class Ticket(msgspec.Struct, frozen=True):
    """The attempt that an address is for; `expires` is its deadline, in Unix milliseconds."""

    run: str
    step: str
    visit: int
    attempt: int
    expires: int


class Callbacks:
    """Signs addresses and knows its own. `base` is the hub's own address as workers see it, such
    as `https://hub.example.org`; empty while there is none, and then nothing can be answered later.
    """

    def __init__(self, key: bytes, base: str = "") -> None:
        self._key = key
        self.base = base

    def address(self, call: Dispatched) -> str:
        """Where this attempt may be answered later; empty where it cannot."""
        if not self.base:
            return ""
        asked = call.call
        ticket = Ticket(call.run, asked.step.id, asked.visit, asked.attempt, asked.deadline)
        query = {**msgspec.structs.asdict(ticket), "signature": self.sign(ticket)}
        return f"{self.base.rstrip('/')}{PATH}?{urlencode(query)}"

    def sign(self, ticket: Ticket) -> str:
        """The signature of a ticket: 64 hexadecimal digits."""
        text = _encode(["callback", *msgspec.structs.astuple(ticket)])
        return hmac.new(self._key, text, hashlib.sha256).hexdigest()

    def is_signed(self, ticket: Ticket, signature: str) -> bool:
        """Whether this hub made the signature for this ticket."""
        return hmac.compare_digest(self.sign(ticket).encode(), signature.encode())

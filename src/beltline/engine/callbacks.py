"""Addresses and tickets for answers that come later: each is good for one attempt.

They name the attempt and carry a signature over it, made with a key of this hub. So nobody else can
answer, an answer for one attempt cannot be used for another, and nothing has to be kept. An address
is posted to (`http`); a ticket comes back with an answer that goes by a broker (`queue`).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from urllib.parse import urlencode

import msgspec

from beltline.engine.ports import Dispatched

PATH = "/api/v1/events/answers"

_encode = msgspec.json.Encoder().encode
_DIGITS = 64  # of a signature


class Ticket(msgspec.Struct, frozen=True):
    """The attempt that an address is for; `expires` is its deadline, in Unix milliseconds."""

    run: str
    step: str
    visit: int
    attempt: int
    expires: int


class QueueTicket(msgspec.Struct, frozen=True, array_like=True):
    """The attempt that an answer by a broker is for: `name` is the one that is bound to the broker,
    `module` what it stands for (`name@version`).
    """

    run: str
    step: str
    visit: int
    attempt: int
    name: str
    module: str


_decode_queue_ticket = msgspec.json.Decoder(QueueTicket).decode


class Callbacks:
    """Signs addresses and tickets, and knows its own. `base` is the hub's own address as workers
    see it, such as `https://hub.example.org`; empty while there is none, and then nothing can be
    answered later by `http`. `hub` tells answers for this hub from those for others on a broker:
    nodes that share a store have one; `store` is empty for them, and names the store of a node
    that is alone.
    """

    def __init__(self, key: bytes, base: str = "", store: str = "") -> None:
        self._key = key
        self.base = base
        self.hub = hashlib.blake2b(store.encode(), key=key[:64], digest_size=8).hexdigest()

    def address(self, call: Dispatched) -> str:
        """Where this attempt may be answered later; empty where it cannot."""
        if not self.base:
            return ""
        asked = call.call
        ticket = Ticket(call.run, asked.step.id, asked.visit, asked.attempt, asked.deadline)
        query = {**msgspec.structs.asdict(ticket), "signature": self.sign(ticket)}
        return f"{self.base.rstrip('/')}{PATH}?{urlencode(query)}"

    def sign(self, ticket: Ticket) -> str:
        """The signature of an address: 64 hexadecimal digits."""
        return self._signature(_encode(["callback", *msgspec.structs.astuple(ticket)]))

    def is_signed(self, ticket: Ticket, signature: str) -> bool:
        """Whether this hub made the signature for this ticket."""
        return hmac.compare_digest(self.sign(ticket).encode(), signature.encode())

    def queue_ticket(self, call: Dispatched, name: str) -> str:
        """The text that is to come back with the answer to this attempt by a broker."""
        step, visit, attempt = call.call.step, call.call.visit, call.call.attempt
        told = _encode(QueueTicket(call.run, step.id, visit, attempt, name, step.implementation))
        return self._signature(b"queue" + told) + base64.urlsafe_b64encode(told).decode()

    def read_queue_ticket(self, text: str) -> QueueTicket | None:
        """What such a text says; None where this hub did not make it."""
        try:
            told = base64.urlsafe_b64decode(text[_DIGITS:].encode())
        except ValueError:
            return None
        given = text[:_DIGITS].encode(errors="replace")
        if not hmac.compare_digest(given, self._signature(b"queue" + told).encode()):
            return None
        ticket: QueueTicket = _decode_queue_ticket(told)
        return ticket

    def _signature(self, text: bytes) -> str:
        return hmac.new(self._key, text, hashlib.sha256).hexdigest()

"""The address of a broker, as bindings and workers write it, and the places on it.

    nats://hub@10.0.0.5:4222?prefix=crm     amqp://10.0.0.5/vhost     redis://10.0.0.5/0

The secret never stands in it: it is named beside. On every broker calls of a module wait at
`PREFIX.calls.MODULE`, and answers for a hub at `PREFIX.results.HUB`: a subject, a queue, a stream.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from beltline.sdk import Connection, Secret

KINDS = {
    "nats": "nats",
    "tls": "nats",
    "amqp": "rabbitmq",
    "amqps": "rabbitmq",
    "redis": "redis",
    "rediss": "redis",
}
_PREFIX = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


class AddressError(Exception):
    """The operator: the address is none of a broker; the text says what to write."""


class BrokerAddress(msgspec.Struct, frozen=True):
    """A broker. `kind` is that of its connections; `shown` is what people are shown; hubs and
    workers that use one `prefix` meet.
    """

    kind: str
    shown: str
    user: str
    prefix: str

    def connection(self, secret: str) -> Connection:
        """The account there; with an empty `secret` there is none."""
        return Connection(
            name=self.shown,
            kind=self.kind,
            address=self.shown,
            secret=Secret(secret) if secret else None,
            options={"user": self.user},
        )

    def calls(self, module: str) -> str:
        """Where calls of a module wait."""
        return f"{self.prefix}.calls.{module}"

    def results(self, hub: str) -> str:
        """Where answers for a hub wait."""
        return f"{self.prefix}.results.{hub}"


def broker_address(address: str) -> BrokerAddress:
    """Reads an address. Raises `AddressError`."""
    try:
        parts = urlsplit(address)
        host, port, password = parts.hostname, parts.port, parts.password
    except ValueError as wrong:
        raise AddressError(f"this is no address of a broker: {wrong}") from wrong
    if parts.scheme not in KINDS or not host:
        raise AddressError("write the address of a broker, such as nats://127.0.0.1:4222")
    if password is not None:
        raise AddressError("the address holds a password: name it as a secret instead")
    asked = dict(parse_qsl(parts.query, keep_blank_values=True))
    prefix = asked.pop("prefix", "beltline")
    if asked or parts.fragment:
        raise AddressError("an address of a broker can be followed by ?prefix=NAME, and no more")
    if _PREFIX.fullmatch(prefix) is None:
        raise AddressError("prefix is up to 40 small letters, digits and dashes")
    where = f"[{host}]" if ":" in host else host
    shown = f"{parts.scheme}://{where}{f':{port}' if port else ''}{parts.path}"
    return BrokerAddress(KINDS[parts.scheme], shown, unquote(parts.username or ""), prefix)


def is_results(place: str) -> bool:
    """Whether answers wait at a place."""
    return place.split(".")[1] == "results"

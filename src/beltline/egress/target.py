"""From the text of a URL to the place that is connected to, or a refusal.

The URL is parsed once, by the parser of the client that sends the request: two parsers that read
one text differently are how such checks are passed by. What is unusual enough to be read in two
ways (user names, backslashes, numbers that stand for addresses) is refused, not interpreted.
"""

from __future__ import annotations

import re
from ipaddress import ip_address

import msgspec
from yarl import URL

_DEFAULT_PORTS = {"http": 80, "https": 443}
_UNUSUAL = re.compile(r"[\x00-\x20\x7f\\]")
# The last part of a host is a number: a browser would read the host as an IPv4 address, also in
# decimal, octal, hexadecimal or with parts left out (WHATWG URL, "ends in a number").
_ENDS_IN_A_NUMBER = re.compile(r"(?:^|\.)(?:[0-9]+|0[xX][0-9a-fA-F]*)\.?$")

_NAME = re.compile(r"[a-z0-9_.-]+", re.IGNORECASE)


class Refused(Exception):
    """The hub does not connect there. The text tells why, and holds neither path nor query.

    `openable` holds where a connection could permit it.
    """

    def __init__(self, message: str, *, openable: bool = False) -> None:
        super().__init__(message)
        self.openable = openable


class Target(msgspec.Struct, frozen=True):
    """A place to connect to."""

    url: URL
    scheme: str
    host: str
    port: int

    @property
    def origin(self) -> str:
        """Scheme, host and port: all of a URL that may stand in a message."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def parse_target(text: str) -> Target:
    """The target of an absolute http or https URL. Raises `Refused`."""
    if _UNUSUAL.search(text):
        raise Refused("the URL holds a space, a control character or a backslash: encode it")
    try:
        url = URL(text)
        scheme, host, port = url.scheme, url.raw_host, url.explicit_port
    except (ValueError, UnicodeError):
        # The parser's own text would repeat the URL, and with it a secret in the path.
        raise Refused("the URL cannot be read: check its host and port") from None
    if scheme not in _DEFAULT_PORTS:
        raise Refused(f"only http and https are sent to, not {scheme[:20]!r}")
    if not host:
        raise Refused("the URL names no host")
    if url.raw_user is not None or url.raw_password is not None or "@" in _authority(text):
        raise Refused("the URL holds a user name: give the secret through a connection")
    _check_host(host)
    if port == 0:
        raise Refused("port 0 cannot be connected to")
    return Target(
        url=url.with_fragment(None),
        scheme=scheme,
        host=host,
        port=port or _DEFAULT_PORTS[scheme],
    )


def _authority(text: str) -> str:
    return re.split(r"[/?#]", text.partition("://")[2], maxsplit=1)[0]


def _check_host(host: str) -> None:
    """Lets names and plainly written addresses pass. Raises `Refused`."""
    try:
        ip_address(host)
    except ValueError:
        if _ENDS_IN_A_NUMBER.search(host) or ":" in host:
            raise Refused(
                "the host is a number: write an IPv4 address as four decimal parts, 192.0.2.1"
            ) from None
        if _NAME.fullmatch(host) is None:
            raise Refused("the host holds a sign that no host name has") from None

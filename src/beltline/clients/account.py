"""Where a client connects to, from the connection that a source or a step names.

The address stands in a file of the home and never comes out of a request, so nothing of it has to
be guarded against; it has to be understood, and that is told to the operator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import unquote, urlsplit

import msgspec

from beltline.sdk import ClientFailed, Connection

CONNECT_S = 15.0

Connect = Callable[[], Connection]  # asked at each new beginning, so that a new secret holds


class Misconfigured(ClientFailed):
    """The operator: the connection or the far end does not fit what is asked of it. The text says
    what to change, and names no secret.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message, permanent=True)


class Server(msgspec.Struct, frozen=True):
    """The far end of a connection; `path` is what follows the port, without its first slash."""

    host: str
    port: int
    tls: bool
    path: str
    user: str
    secret: str = ""

    @property
    def authority(self) -> str:
        """Host and port as addresses have them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def server_of(connection: Connection, schemes: Mapping[str, tuple[int, bool]]) -> Server:
    """The server of a connection. `schemes` are those of its kind, each with its usual port and
    whether it means TLS. Raises `Misconfigured`.
    """
    parts = urlsplit(connection.address)
    if parts.scheme not in schemes or not parts.hostname:
        known = " or ".join(f"{scheme}://" for scheme in schemes)
        raise Misconfigured(
            f"the connection {connection.name} needs an address that begins with {known}"
        )
    port, tls = schemes[parts.scheme]
    return Server(
        host=parts.hostname,
        port=parts.port or port,
        tls=tls,
        path=unquote(parts.path.removeprefix("/")),
        user=str(connection.options.get("user", "")),
        secret="" if connection.secret is None else connection.secret.reveal(),
    )


def unreachable(connection: Connection, error: Exception) -> ClientFailed:
    """The failure to connect, in words; the address holds no secret."""
    return ClientFailed(f"no connection to {connection.address}: {words(error)}")


def words(error: BaseException) -> str:
    """What an error says, in one line, or its type where it says nothing."""
    return str(error).strip().partition("\n")[0][:300] or type(error).__name__

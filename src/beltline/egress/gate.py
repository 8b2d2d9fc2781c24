"""The two places where an address is checked on the way to a connection.

The resolver refuses a name as soon as one of its addresses is refused: a name that leads to the
public and to a private network at once is an attack or a mistake. The socket factory then looks
at the very address that is about to be connected to, so that nothing between the two, no cache and
no second lookup, can put another one in its place.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

from beltline.egress.addresses import IPAddress, refusal
from beltline.egress.target import Refused

Policy = Callable[[IPAddress], str | None]


def check(address: IPAddress, host: str, policy: Policy) -> None:
    """Lets a permitted address pass. Raises `Refused`, which names it."""
    what = policy(address)
    if what is not None:
        of = "" if host == str(address) else f" of {host}"
        raise Refused(
            f"{address}{of} is {what}, and those are not connected to",
            openable=refusal(address, private_allowed=True) is None,
        )


class CheckedResolver(AbstractResolver):
    """A resolver whose every answer has passed the policy."""

    def __init__(self, inner: AbstractResolver, policy: Policy) -> None:
        self._inner = inner
        self._policy = policy

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of the name. Raises `Refused`, or `OSError` where there is none."""
        results = await self._inner.resolve(host, port, family)
        if not results:
            raise OSError("the name has no address")
        for result in results:
            check(ip_address(result["host"]), host, self._policy)
        return results

    async def close(self) -> None:
        """Closes the resolver inside."""
        await self._inner.close()


def checked_sockets(
    policy: Policy,
) -> Callable[[tuple[int, int, int, str, Sequence[Any]]], socket.socket]:
    """A maker of sockets that refuses an address just before it is connected to."""

    def open_socket(info: tuple[int, int, int, str, Sequence[Any]]) -> socket.socket:
        family, kind, protocol, _, place = info
        check(ip_address(place[0]), place[0], policy)
        return socket.socket(family, kind, protocol)

    return open_socket

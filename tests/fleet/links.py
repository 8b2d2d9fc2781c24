"""The links between the nodes and the database, which can be cut: one way or both ways.

    NamespaceLinks   each node in a network namespace of its own, with a wire to the host's bridge
                     on which the database listens. What is cut is sent to a card that is not there,
                     so that packets are lost as on a real network. Needs root and `ip`.
    ProxyLinks       each node reaches the database through a proxy of the tests.

A namespace has two addresses: by one the node speaks with the database, at the other it serves. The
host has two as well: the senders' and the database's. So a cut leaves the senders alone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Literal, Protocol, get_args

from tests.servers.postgres import LOOPBACK, PostgresServer
from tests.servers.proxy import Proxy, proxy

Way = Literal["to_server", "to_client", "both"]
IP = shutil.which("ip") or "ip"
NOWHERE = "02:00:00:00:00:fe"  # the address of no card


def way_of(name: str) -> Way:
    """The way of this name."""
    for way in get_args(Way):
        if way == name:
            found: Way = way
            return found
    raise ValueError(name)


class Links(Protocol):
    """How nodes reach the database, and how others reach the nodes. Nodes are numbered from 0."""

    kind: str

    def database(self, node: int, server: PostgresServer, name: str) -> str:
        """The address of a database as this node is to use it."""
        ...

    def command(self, node: int) -> Sequence[str]:
        """What stands before the command that starts the node."""
        ...

    def host(self, node: int) -> str:
        """Where the node listens."""
        ...

    def cut(self, node: int, way: Way) -> None:
        """Cuts the link between the node and the database."""
        ...

    def heal(self, node: int) -> None:
        """Makes it whole again."""
        ...


class ProxyLinks:
    """Fulfils `Links` with a proxy for each node."""

    kind = "proxies"

    def __init__(self, proxies: Sequence[Proxy]) -> None:
        self._proxies = proxies

    def database(self, node: int, server: PostgresServer, name: str) -> str:
        own, others = f"{LOOPBACK}:{self._proxies[node].port}", f"{LOOPBACK}:{server.port}"
        return server.url(name).replace(others, own)

    def command(self, node: int) -> Sequence[str]:
        return ()

    def host(self, node: int) -> str:
        return LOOPBACK

    def cut(self, node: int, way: Way) -> None:
        self._proxies[node].cut(way)

    def heal(self, node: int) -> None:
        self._proxies[node].heal()


class NamespaceLinks:
    """Fulfils `Links` with a namespace for each node; made by `namespaces`."""

    kind = "network namespaces"

    def __init__(self, nodes: int) -> None:
        self._tag = f"bl{os.getpid() % 100_000}"
        self._net = f"10.213.{os.getpid() % 250}"
        self._nodes = nodes
        self._bridge = f"{self._tag}br"

    @property
    def database_host(self) -> str:
        """Where the database is to listen: not at the first address, from which senders speak."""
        return f"{self._net}.2"

    def set_up(self) -> None:
        """Makes everything. Raises `CalledProcessError`."""
        bridge = self._bridge
        ip("link", "add", bridge, "type", "bridge")
        for address in (f"{self._net}.1", self.database_host):
            ip("addr", "add", f"{address}/24", "dev", bridge)
        ip("link", "set", bridge, "up")
        for node in range(self._nodes):
            space, outside, inside = self._space(node), self._outside(node), f"{self._tag}i{node}"
            ip("netns", "add", space)
            ip("link", "add", outside, "type", "veth", "peer", "name", inside)
            ip("link", "set", inside, "netns", space)
            ip("link", "set", outside, "master", bridge, "up")
            within = ("-n", space)
            ip(*within, "link", "set", "lo", "up")
            ip(*within, "link", "set", inside, "name", "eth0")
            # The first address is the one that the node speaks from.
            ip(*within, "addr", "add", f"{self._speaks(node)}/24", "dev", "eth0")
            ip(*within, "addr", "add", f"{self.host(node)}/24", "dev", "eth0")
            ip(*within, "link", "set", "eth0", "up")

    def tear_down(self) -> None:
        """Removes whatever is there of it."""
        for node in range(self._nodes):
            ip("netns", "del", self._space(node), check=False)
            ip("link", "del", self._outside(node), check=False)
        ip("link", "del", self._bridge, check=False)

    def database(self, node: int, server: PostgresServer, name: str) -> str:
        return server.url(name, self.database_host)

    def command(self, node: int) -> Sequence[str]:
        return ("ip", "netns", "exec", self._space(node))

    def host(self, node: int) -> str:
        return f"{self._net}.{100 + node}"

    def cut(self, node: int, way: Way) -> None:
        lost = ("lladdr", NOWHERE, "nud", "permanent")
        if way in ("to_server", "both"):
            where = ("-n", self._space(node), "neigh", "replace", self.database_host)
            ip(*where, *lost, "dev", "eth0")
        if way in ("to_client", "both"):
            ip("neigh", "replace", self._speaks(node), *lost, "dev", self._bridge)

    def heal(self, node: int) -> None:
        # Whoever asks for the address again learns it anew.
        ip(
            *("-n", self._space(node), "neigh", "del", self.database_host, "dev", "eth0"),
            check=False,
        )
        ip("neigh", "del", self._speaks(node), "dev", self._bridge, check=False)

    def _space(self, node: int) -> str:
        return f"{self._tag}n{node}"

    def _outside(self, node: int) -> str:
        return f"{self._tag}o{node}"

    def _speaks(self, node: int) -> str:
        return f"{self._net}.{10 + node}"


def ip(*words: str, check: bool = True) -> None:
    """Calls `ip`. Raises `CalledProcessError` where that fails and `check` says so."""
    subprocess.run([IP, *words], check=check, capture_output=True)


@contextmanager
def namespaces(nodes: int) -> Iterator[NamespaceLinks | None]:
    """Namespaces for so many nodes until the block ends; None where they cannot be had."""
    if os.geteuid() != 0 or shutil.which(IP) is None:
        yield None
        return
    links = NamespaceLinks(nodes)
    try:
        try:
            links.set_up()
        except subprocess.CalledProcessError:
            yield None
        else:
            yield links
    finally:
        links.tear_down()


@contextmanager
def proxies(nodes: int, server: PostgresServer, seed: int) -> Iterator[ProxyLinks]:
    """Proxies for so many nodes until the block ends."""
    with ExitStack() as opened:
        target = (LOOPBACK, server.port)
        yield ProxyLinks(
            [opened.enter_context(proxy(target, seed=seed + node)) for node in range(nodes)]
        )

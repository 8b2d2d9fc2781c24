"""A server on loopback whose answers are given byte by byte, names that tests make up, clients."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from beltline.egress.addresses import IPAddress, refusal
from beltline.egress.client import OutgoingClient
from beltline.sdk import HttpFailed


def answer(status: int = 200, body: bytes = b"", **headers: str) -> bytes:
    """An HTTP/1.1 answer; `_` in a header's name stands for `-`."""
    lines = [f"HTTP/1.1 {status} Words"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if "Transfer_Encoding" not in headers:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Server:
    """Answers each request with what `answers` holds for its path; keeps the requests' heads."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.answers: dict[str, bytes | None] = {}
        self.heads: list[str] = []
        self.bodies: list[bytes] = []

    @property
    def paths(self) -> list[str]:
        """The path of each request, in order."""
        return [head.split(" ")[1] for head in self.heads]

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        """An address of this server, under any name."""
        return f"http://{host}:{self.port}{path}"


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """A running server; a path whose answer is None is never answered."""
    never = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                state.heads.append(head)
                for line in head.splitlines():
                    if line.lower().startswith("content-length:"):
                        state.bodies.append(await reader.readexactly(int(line.split(":")[1])))
                given = state.answers.get(state.paths[-1].partition("?")[0], answer(404))
                if given is None:
                    await never.wait()
                else:
                    writer.write(given)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    state = Server(listening.sockets[0].getsockname()[1])
    yield state
    never.set()
    listening.close()


class Names(AbstractResolver):
    """Resolves the names that a test made up, and counts the look-ups."""

    def __init__(self, addresses: dict[str, list[str]]) -> None:
        self.addresses = addresses
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of the name."""
        del family
        self.asked.append(host)
        if host not in self.addresses:
            raise OSError(None, "unknown name")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self.addresses[host]
        ]

    async def close(self) -> None:
        """Nothing is held."""


@pytest.fixture
def names() -> Callable[..., Names]:
    """A maker of resolvers: `names(shop=["127.0.0.1"])` knows `shop.example`."""

    def make(**addresses: list[str]) -> Names:
        return Names({f"{name}.example": given for name, given in addresses.items()})

    return make


MakeNames = Callable[..., Names]


def open_to_loopback(address: IPAddress, *, private_allowed: bool = False) -> str | None:
    """The policy of tests that need a second public host: loopback stands for the internet."""
    return None if address.is_loopback else refusal(address, private_allowed=private_allowed)


@pytest.fixture
async def client() -> AsyncIterator[OutgoingClient]:
    """A client to which loopback is the internet."""
    async with OutgoingClient(policy=open_to_loopback) as made:
        yield made


@pytest.fixture
async def strict() -> AsyncIterator[OutgoingClient]:
    """A client as production has it."""
    async with OutgoingClient() as made:
        yield made


async def failure(sending: Awaitable[object]) -> HttpFailed:
    """The failure that a request ends with."""
    with pytest.raises(HttpFailed) as failed:
        await sending
    return failed.value

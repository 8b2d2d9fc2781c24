"""The tests' own servers do what tests rely on: a database, a pooler, a link that can be cut."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from tests.servers.pgbouncer import pgbouncer
from tests.servers.postgres import NoPostgres, PostgresServer, binaries, postgres
from tests.servers.processes import NoServer
from tests.servers.proxy import Proxy, proxy
from tests.servers.wanted import wanted

SOON_S = 5.0


@contextmanager
def refused(server: PostgresServer) -> Iterator[None]:
    """Nobody listens at the server's port when the block begins."""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), timeout=SOON_S)
    yield


def test_a_database_is_made_and_dropped(postgres_server: PostgresServer) -> None:
    url = postgres_server.database("made")
    assert url == f"postgresql://beltline@127.0.0.1:{postgres_server.port}/made"
    postgres_server.ask("create table t (n int)", "made")
    assert postgres_server.ask("select count(*) from t", "made") == "0"
    postgres_server.drop("made")
    with pytest.raises(NoPostgres, match="made"):
        postgres_server.ask("select 1", "made")


def test_a_crash_of_the_server_loses_nothing_that_was_told(tmp_path: Path) -> None:
    with wanted(postgres(tmp_path, durable=False)) as server:
        server.database("kept")
        server.ask("create table t as select generate_series(1, 1000) as n", "kept")
        used_s = server.cpu_s()
        before = server.pids()
        assert len(before) > 1
        server.stop("immediate")
        with refused(server):
            assert server.pids() == []
            server.start()
        assert server.ask("select count(*) from t", "kept") == "1000"
        assert server.cpu_s() > used_s > 0
        assert not set(server.pids()) & set(before)


def test_binaries_of_a_named_folder_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BELTLINE_POSTGRES_BIN", str(tmp_path))
    with pytest.raises(NoPostgres, match="BELTLINE_POSTGRES_BIN"):
        binaries()
    (tmp_path / "initdb").touch()
    assert binaries() == tmp_path


def test_transactions_go_through_the_pooler(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    postgres_server.database("pooled")
    try:
        with pgbouncer(tmp_path, postgres_server, "pooled") as url:
            port = int(url.rsplit(":", 1)[1].split("/")[0])
            assert port != postgres_server.port
            assert postgres_server.ask("select current_database()", url=url) == "pooled"
    except NoServer as missing:
        pytest.skip(str(missing))
    finally:
        postgres_server.drop("pooled")


class Echo:
    """A server that answers with what it got, and notes it."""

    def __init__(self) -> None:
        self.got = b""
        self.ends = 0
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1_000):
                self.got += data
                writer.write(data)
        except ConnectionError:
            pass
        finally:
            self.ends += 1
            writer.close()


@asynccontextmanager
async def echo() -> AsyncIterator[tuple[Echo, Proxy]]:
    """An echo, and a proxy before it."""
    server = Echo()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    running = proxy(("127.0.0.1", server.port))
    with running as link:
        yield server, link
    listening.close()
    async with asyncio.timeout(SOON_S):
        await listening.wait_closed()


class Client:
    """A client of the echo through the proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    def say(self, text: bytes) -> None:
        self.writer.write(text)

    async def hear(self, text: bytes) -> None:
        async with asyncio.timeout(SOON_S):
            assert await self._reader.readexactly(len(text)) == text

    async def hear_nothing(self) -> None:
        """A moment in which a whole link would have carried it many times over."""
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await self._reader.read(1)

    async def is_reset(self) -> None:
        with pytest.raises(ConnectionError):
            async with asyncio.timeout(SOON_S):
                await self._reader.readexactly(1_000)


@asynccontextmanager
async def client(link: Proxy) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()


async def test_a_whole_link_carries_both_ways() -> None:
    async with echo() as (server, link), client(link) as one:
        one.say(b"hello")
        await one.hear(b"hello")
        assert server.got == b"hello"
        assert link.open_links() == 1


async def test_an_end_comes_after_what_was_said() -> None:
    async with echo() as (server, link), client(link) as one:
        one.say(b"last words")
        one.writer.write_eof()
        await one.hear(b"last words")
        assert server.got == b"last words"


@pytest.mark.parametrize("way", ["to_server", "to_client", "both"])
async def test_a_cut_way_is_silent_until_it_is_healed(way: str) -> None:
    async with echo() as (server, link), client(link) as one:
        one.say(b"a")
        await one.hear(b"a")
        link.cut(way)  # type: ignore[arg-type]
        one.say(b"b")
        await one.hear_nothing()
        assert server.got == (b"ab" if way == "to_client" else b"a")
        link.heal()
        await one.hear(b"b")


async def test_an_end_does_not_pass_a_cut() -> None:
    async with echo() as (server, link):
        async with client(link) as one:
            one.say(b"a")
            await one.hear(b"a")
            link.cut("to_server")
        async with client(link) as other:
            await other.hear_nothing()
            assert (server.got, server.ends) == (b"a", 0)
            link.heal()
            other.say(b"b")
            await other.hear(b"b")
        assert server.ends >= 1


async def test_a_refusing_link_lets_open_connections_be() -> None:
    async with echo() as (_, link), client(link) as one:
        one.say(b"a")
        await one.hear(b"a")
        link.refuse()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", link.port)
        one.say(b"b")
        await one.hear(b"b")
        link.allow()
        async with client(link) as other:
            other.say(b"c")
            await other.hear(b"c")


async def test_all_connections_are_broken() -> None:
    async with echo() as (_, link), client(link) as one, client(link) as other:
        for each in (one, other):
            each.say(b"a")
            await each.hear(b"a")
        link.break_all()
        await one.is_reset()
        await other.is_reset()


async def test_a_message_arrives_and_its_answer_does_not() -> None:
    async with echo() as (server, link), client(link) as one, client(link) as other:
        link.break_after(b"commit", skip=1)
        one.say(b"commit")
        await one.hear(b"commit")
        one.say(b"comm")
        await one.hear(b"comm")
        one.say(b"it 2")
        await one.is_reset()
        assert server.got == b"commitcommit 2"
        await asyncio.to_thread(link.wait_for_break, 1)
        other.say(b"commit 3")
        await other.hear(b"commit 3")


async def test_an_answer_is_the_last_that_arrives() -> None:
    async with echo() as (_, link), client(link) as one:
        link.break_after(b"commit", before_answer=False)
        one.say(b"commit")
        await asyncio.to_thread(link.wait_for_break, 1)
        one.say(b"more")
        await one.is_reset()


async def test_a_message_is_broken_off_before_it_arrives() -> None:
    async with echo() as (server, link), client(link) as one:
        link.break_before(b"commit")
        one.say(b"commit")
        await one.is_reset()
        assert server.got == b""


async def test_a_slow_link_carries_everything_in_order() -> None:
    server = Echo()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    text = bytes(range(256)) * 20
    with proxy(("127.0.0.1", port), seed=7, delay_s=0.001) as link:
        async with client(link) as one:
            one.say(text)
            await one.hear(text)
    listening.close()

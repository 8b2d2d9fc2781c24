"""The three programs of the demonstration: the portal, the hub, the landing page.

They start in this order, since each is told where the one before listens, and end in the opposite
one. What they share with the launcher is `State`: the secrets, made at the first start.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import yaml
from children import Child, ChildFailed

HERE = Path(__file__).resolve().parent
HOST = "127.0.0.1"


class Trouble(Exception):
    """What a person has to mend before the demonstration can run; the text says it."""


class State(msgspec.Struct):
    """What the demonstration itself remembers: its secrets, and the next lead's number."""

    site_form_secret: str
    webhook: str
    next_lead: int = 1


class StateFile:
    """`data/demo.json`, which only its owner can read."""

    def __init__(self, data: Path) -> None:
        self._path = data / "demo.json"

    def read(self) -> State | None:
        """What an earlier start left; None at the first."""
        if not self._path.is_file():
            return None
        return msgspec.json.decode(self._path.read_bytes(), type=State)

    def write(self, state: State) -> None:
        """Replaces the file as a whole."""
        fresh = self._path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a path cannot open a descriptor
            file.write(msgspec.json.encode(state))
        fresh.replace(self._path)


class Programs:
    """The children that run, in the order of their start."""

    def __init__(self) -> None:
        self._children: list[Child] = []

    async def start(
        self,
        name: str,
        command: Sequence[str],
        environment: dict[str, str],
        tell: Callable[[str], None] = lambda line: None,
    ) -> Child:
        """Starts one more."""
        child = await Child.start(
            name, [sys.executable, *command], {**os.environ, **environment}, tell
        )
        self._children.append(child)
        return child

    async def first_end(self) -> ChildFailed:
        """Waits until a child ends by itself; tells which, and its last lines."""
        await asyncio.wait(
            [child.lines for child in self._children], return_when=asyncio.FIRST_COMPLETED
        )
        ended = next(child for child in self._children if child.lines.done())
        return await ended.failure()

    async def stop(self) -> None:
        """Ends the page first, so that nothing is sent to a hub that stops, and the portal last."""
        for child in reversed(self._children):
            await child.stop()


class Addresses(msgspec.Struct, frozen=True):
    """Where everything listens; `token` is the admin token, where this start made it."""

    portal: str
    hub: str
    page: str
    token: str | None


def portal_port(home: Path) -> int:
    """The port of `connections/crm.yaml`, which the hub calls. Raises `Trouble`."""
    file = home / "connections" / "crm.yaml"
    address = urlsplit(str(yaml.safe_load(file.read_text(encoding="utf-8")).get("address")))
    if address.scheme != "http" or address.hostname != HOST or not address.port:
        raise Trouble(
            f"The address in {file} is not of the form http://{HOST}:PORT/rest/1/, so it leads to"
            " another portal than the demonstration's. For that one, run `beltline serve`."
        )
    return address.port


def is_free(port: int) -> bool:
    """Whether something could listen on the port now."""
    try:
        socket.create_server((HOST, port)).close()
    except OSError:
        return False
    return True


def port_or_any(port: int, what: str) -> int:
    """The port, or 0 for any free one where it is taken, which is told."""
    if port == 0 or is_free(port):
        return port
    print(f"Port {port} is taken; the {what} takes a free one.")
    return 0


@asynccontextmanager
async def running(
    home: Path, ports: tuple[int, int], programs: Programs, state: State
) -> AsyncIterator[Addresses]:
    """Starts the three programs, and ends them with the block. Raises `ChildFailed`, `Trouble`."""
    port = portal_port(home)
    if not is_free(port):
        raise Trouble(
            f"Port {port} is taken, perhaps by a demonstration that still runs"
            f" (`ss -ltnp 'sport = :{port}'` shows the program). Stop it, or write another port"
            f" into {shown(home / 'connections' / 'crm.yaml')}: there the hub finds the portal."
        )
    try:
        portal = await start_portal(home, port, programs, state)
        hub, token = await start_hub(home, port_or_any(ports[0], "hub"), programs, state)
        page = await start_page(
            home, port_or_any(ports[1], "landing page"), programs, state, (hub, portal)
        )
        yield Addresses(portal, hub, page, token)
    finally:
        await programs.stop()


async def start_portal(home: Path, port: int, programs: Programs, state: State) -> str:
    """The portal's address, once it listens. Its limits are those of a real one."""
    child = await programs.start(
        "the portal",
        [
            *("-m", "bitrix24_portal", "--host", HOST, "--port", str(port), "--seed-demo"),
            *("--data", str(home / "data" / "portal.db"), "--secret", state.webhook),
        ],
        {},
    )
    return (await child.says(r"^Portal:\s+(http://\S+?)/?$"))[1]


async def start_hub(
    home: Path, port: int, programs: Programs, state: State
) -> tuple[str, str | None]:
    """The hub's address, once it listens, and the admin token of a first start."""
    token: str | None = None

    def tell(line: str) -> None:
        nonlocal token
        label, _, value = line.partition("admin token (shown once): ")
        if value:
            token = value
        elif "listens on" not in label:
            print(f"hub: {line}")

    child = await programs.start(
        "the hub",
        ["-m", "beltline", "serve", "--home", str(home), "--host", HOST, "--port", str(port)],
        {"SITE_FORM_SECRET": state.site_form_secret, "BITRIX24_WEBHOOK": state.webhook},
        tell,
    )
    address = (await child.says(r"listens on (http://\S+)"))[1]
    return address, token


async def start_page(
    home: Path, port: int, programs: Programs, state: State, upstream: tuple[str, str]
) -> str:
    """The landing page's address, once it listens."""
    hub, portal = upstream
    child = await programs.start(
        "the landing page",
        [str(HERE / "landing.py"), "--port", str(port)],
        {
            "HUB_ADDRESS": hub,
            "PORTAL_ADDRESS": portal,
            "HUB_HOME": shown(home),
            "SITE_FORM_SECRET": state.site_form_secret,
        },
        lambda line: None if "Landing page:" in line else print(f"page: {line}"),
    )
    return (await child.says(r"^Landing page: (http://\S+)"))[1]


def shown(path: Path) -> str:
    """A path as a person would type it here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)

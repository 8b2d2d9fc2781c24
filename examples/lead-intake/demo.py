"""The demonstration: a portal, the hub, a landing page, and a trickle of made-up leads.

    landing page ──┐
                   ├── signed POST ──> hub (this home) ──> portal (a stand-in of Bitrix24)
    trickle ───────┘

Each is a process of its own, ends with the demonstration, and keeps what it has in the home's
`data/`, so that the next start goes on where this one was. `--once N` sends N leads instead,
waits until their runs are at rest, tells their ways, and ends with 0 if all were completed.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
from children import ChildFailed
from leads import NotAccepted, lead_of, send
from programs import HERE, Addresses, Programs, State, StateFile, Trouble, running, shown

EVERY_S = 4.0  # a new lead takes up to five calls, and the portal takes two a second
AGAIN_S = 2.0  # after a lead that the hub did not take
LOOK_S = 0.1
DONE_S = 60.0


def tell_addresses(addresses: Addresses, home: Path, *, is_first: bool) -> None:
    """What a person needs to look around."""
    beltline = ".venv/bin/beltline"
    at = f"--home {shown(home)}"
    another = f"told at the first start; another: {beltline} token create --role admin {at}"
    token = addresses.token or another
    goes_on = (
        "A first start." if is_first else f"It goes on with what is in {shown(home / 'data')}."
    )
    print(
        f"\nThe demonstration runs. {goes_on} Ctrl-C ends it.\n\n"
        f"  Landing page  {addresses.page}/  send a lead by hand\n"
        f"  Portal        {addresses.portal}/  what arrived\n"
        f"  Hub           {addresses.hub}/api/v1/runs  its API\n"
        f"  Admin token   {token}\n\n"
        f"  {beltline} runs list {at}\n",
        flush=True,
    )
    if addresses.token:
        print("The token is told this once; the hub keeps only its hash.\n", flush=True)


async def trickle(hub: str, state: State, file: StateFile) -> None:
    """Sends a lead every few seconds, for as long as the demonstration runs."""
    async with aiohttp.ClientSession() as session:
        while True:
            number = state.next_lead
            try:
                id = await send_next(session, hub, state, file)
            except NotAccepted as reason:
                print(f"lead {number} is sent again: {reason}", flush=True)
                await asyncio.sleep(AGAIN_S)
            else:
                print(f"lead {number} of {lead_of(number).name}: accepted as {id}", flush=True)
                await asyncio.sleep(EVERY_S)


async def send_next(session: aiohttp.ClientSession, hub: str, state: State, file: StateFile) -> str:
    """Sends the next lead and counts it; gives its request's id. Raises `NotAccepted`."""
    id = await send(session, hub, state.site_form_secret, lead_of(state.next_lead))
    state.next_lead += 1
    file.write(state)
    return id


async def send_some(count: int, addresses: Addresses, home: Path, state: State) -> bool:
    """Sends `count` leads and waits until their runs are at rest; whether all were completed."""
    file = StateFile(home / "data")
    token = await viewer_token(home)
    async with aiohttp.ClientSession() as session:
        ids = [await send_next(session, addresses.hub, state, file) for _ in range(count)]
        completed = 0
        async with asyncio.timeout(DONE_S):
            for id in ids:
                run = await at_rest(session, f"{addresses.hub}/api/v1/runs/{id}", token)
                completed += run["status"] == "completed"
                way = [line["step"] for line in run["journal"] if line["event"] == "step-completed"]
                print(f"{id} {run['status']}: {' > '.join(way)}", flush=True)
    print(f"{completed} of {count} completed", flush=True)
    return completed == count


async def at_rest(session: aiohttp.ClientSession, url: str, token: str) -> Any:
    """The run at `url`, as soon as nothing goes on by itself."""
    headers = {"Authorization": f"Bearer {token}"}
    while True:
        async with session.get(url, headers=headers) as reply:
            if reply.status == 200:
                run = await reply.json()
                if run["status"] in {"completed", "stopped", "cancelled"}:
                    return run
            elif reply.status != 401:  # the hub learns of a new token within a second
                raise Trouble(f"{url} answered {reply.status}: {await reply.text()}")
        await asyncio.sleep(LOOK_S)


async def viewer_token(home: Path) -> str:
    """A token that may read, made by the command that a person would use."""
    making = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "beltline", "token", "create", "--role", "viewer"),
        *("--name", "demonstration", "--home", str(home)),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        printed, _ = await making.communicate()
    except asyncio.CancelledError:
        making.kill()
        raise
    if making.returncode:
        raise Trouble("`beltline token create` failed; its reason stands above.")
    return printed.decode().strip()


async def demonstrate(given: argparse.Namespace) -> int:
    """Runs until Ctrl-C, or until `--once` is done; gives the exit code."""
    home: Path = given.home.resolve()
    (home / "data").mkdir(mode=0o700, exist_ok=True)
    file = StateFile(home / "data")
    earlier = file.read()
    state = earlier or State(secrets.token_hex(32), secrets.token_hex(8))
    file.write(state)
    told_to_stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, told_to_stop.set)
    programs = Programs()
    stopped = asyncio.create_task(told_to_stop.wait())

    async def show() -> int:
        async with running(home, given.ports, programs, state) as addresses:
            tell_addresses(addresses, home, is_first=earlier is None)
            ended = asyncio.create_task(programs.first_end())
            work = asyncio.create_task(work_of(given, addresses, home, state))
            await asyncio.wait({ended, work}, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                work.cancel()
                raise ended.result()
            ended.cancel()
            return work.result()

    showing = asyncio.create_task(show())
    await asyncio.wait({showing, stopped}, return_when=asyncio.FIRST_COMPLETED)
    if not showing.done():
        print("\nStopping.", flush=True)
        showing.cancel()
        with suppress(asyncio.CancelledError):
            await showing
        print("Stopped. The next start goes on from here.", flush=True)
        return 0
    stopped.cancel()
    return showing.result()


async def work_of(given: argparse.Namespace, addresses: Addresses, home: Path, state: State) -> int:
    """What the demonstration does by itself; gives the exit code, if it ends."""
    if given.once is not None:
        return 0 if await send_some(given.once, addresses, home, state) else 1
    if given.trickle:
        await trickle(addresses.hub, state, StateFile(home / "data"))
    await asyncio.Event().wait()
    return 0


def two_ports(text: str) -> tuple[int, int]:
    """`HUB,PAGE` as numbers."""
    hub, page = (int(part) for part in text.split(","))
    if not (0 <= hub <= 65_535 and 0 <= page <= 65_535):
        raise ValueError(text)
    return hub, page


def options() -> argparse.ArgumentParser:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--home", type=Path, default=HERE, help="the home to run")
    parser.add_argument(
        "--ports",
        type=two_ports,
        default=(8080, 8082),
        metavar="HUB,PAGE",
        help="ports of the hub and the landing page; 0: any (default: 8080,8082)",
    )
    parser.add_argument(
        "--no-trickle", dest="trickle", action="store_false", help="send no made-up leads"
    )
    parser.add_argument("--once", type=int, metavar="N", help="send N leads, wait for them, end")
    return parser


def main() -> int:
    """Runs the demonstration; the exit code is 0, or 1 where something failed."""
    try:
        return asyncio.run(demonstrate(options().parse_args()))
    except (Trouble, ChildFailed, NotAccepted) as reason:
        print(f"demo: {reason}", file=sys.stderr)
    except TimeoutError:
        print(f"demo: the runs were not at rest within {DONE_S:g} s.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())

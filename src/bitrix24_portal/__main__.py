"""`python -m bitrix24_portal`: serves one portal until it is told to stop."""

from __future__ import annotations

import argparse
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import uvicorn

from bitrix24_portal.app import create_app
from bitrix24_portal.demo_data import seed
from bitrix24_portal.portal import Portal
from bitrix24_portal.settings import PortalSettings


def parser() -> argparse.ArgumentParser:
    """The options of the command line."""
    options = argparse.ArgumentParser(
        prog="python -m bitrix24_portal",
        description="A local stand-in of a Bitrix24 portal over one SQLite file.",
    )
    options.add_argument("--host", default="127.0.0.1", help="address to listen on")
    options.add_argument("--port", type=int, default=8600, help="port to listen on; 0: any")
    options.add_argument("--data", type=Path, required=True, metavar="FILE", help="SQLite file")
    options.add_argument(
        "--secret", default="local", metavar="CODE", help="the webhook's code in the address"
    )
    options.add_argument(
        "--rate", type=float, default=2.0, help="calls a second that leak away; 0: no rate limit"
    )
    options.add_argument("--burst", type=int, default=50, help="calls that fit into the bucket")
    options.add_argument(
        "--operating-limit", type=float, default=480.0, help="seconds in ten minutes; 0: none"
    )
    options.add_argument(
        "--application-token",
        default="local-application-token",
        metavar="TOKEN",
        help="sent with outgoing events",
    )
    options.add_argument(
        "--outgoing",
        action="append",
        default=[],
        metavar="URL",
        help="an outgoing webhook: where every event is sent; may be given several times",
    )
    options.add_argument(
        "--seed-demo",
        action="store_true",
        help="fill an empty portal with a few contacts and deals",
    )
    options.add_argument(
        "--faults", action="store_true", help="let tests order faults by POST /faults"
    )
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the portal; 0 after a clean stop."""
    given = parser().parse_args(arguments)
    try:
        # Listening before anything else: the printed address takes connections at once.
        listening = socket.create_server((given.host, given.port), backlog=256)
    except OSError as error:
        print(
            f"Cannot listen on {given.host}:{given.port}: {error.strerror}. "
            "Free the port or give another with --port.",
            file=sys.stderr,
        )
        return 1
    address = f"http://{given.host}:{listening.getsockname()[1]}"
    given.data.parent.mkdir(parents=True, exist_ok=True)
    portal = Portal(
        PortalSettings(
            data=given.data,
            secret=given.secret,
            address=address,
            rate_per_s=given.rate,
            burst=given.burst,
            operating_limit_s=given.operating_limit,
            application_token=given.application_token,
            faults_endpoint=given.faults,
            outgoing=tuple(given.outgoing),
        )
    )
    if given.seed_demo:
        seed(portal)
    print(f"Portal:  {address}/")
    print(f"Webhook: {address}/rest/{portal.settings.user_id}/{given.secret}/", flush=True)
    config = uvicorn.Config(
        create_app(portal), log_level="warning", access_log=False, server_header=False
    )
    with listening:
        uvicorn.Server(config).run(sockets=[listening])
    return 0


if __name__ == "__main__":
    sys.exit(main())

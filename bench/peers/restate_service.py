"""Restate with its Python SDK: `python -m bench.peers.restate_service --server PROGRAM …`.

Runs a server of its own with default settings and its data in `--folder`, the work as a service
of five `ctx.run_typed` steps in this process, and `wrk` as the sender: each request is answered
when its invocation has completed. Afterwards the server's own tables are asked how many have, and
with how many steps. Prints one JSON object.
What it imports is installed in the environment of the peers alone.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hypercorn
import hypercorn.asyncio
import restate

from bench import lead
from tests.servers.ports import free_ports

START_S = 30


async def _carry(ctx: Any, request: dict[str, Any]) -> str:
    tidy = await ctx.run_typed(
        "normalise",
        lead.normalise,
        name=request["name"],
        phone=request["phone"],
        email=request["email"],
    )
    contact = await ctx.run_typed("find-contact", lead.find_contact, phone=tidy["phone"])
    if "ID" in contact:
        await ctx.run_typed("get-deal", lead.get_deal, deal=contact["deal"])
    else:
        await ctx.run_typed("set-defaults", lead.set_defaults, name=tidy["name"])
    number = request["lead_id"]
    await ctx.run_typed("remember", lead.remember, phone=tidy["phone"], lead_id=number)
    await ctx.run_typed("notify", lead.notify, name=tidy["name"], lead_id=number)
    return "done"


async def _keep(_ctx: Any, _request: dict[str, Any]) -> None:
    """Nothing but having come in."""


leads = restate.Service("Leads")
leads.handler("carry")(_carry)
leads.handler("keep")(_keep)


def call(port: int, method: str, path: str, content: Any = None) -> Any:
    """One HTTP call to the server's admin interface; raises `OSError` for any answer but 2xx."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        headers = {"content-type": "application/json", "accept": "application/json"}
        body = None if content is None else json.dumps(content)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        told = answer.read()
        if answer.status >= 300:
            raise OSError(f"{method} {path}: {answer.status} {told[:300]!r}")
        return json.loads(told) if told else None
    finally:
        connection.close()


def until_it_answers(port: int, path: str) -> None:
    """Waits for the server. Raises the last error after `START_S`."""
    until = time.monotonic() + START_S
    while True:
        try:
            call(port, "GET", path)
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
        else:
            return


def measure(ingress: int, admin: int, service: int, options: argparse.Namespace) -> dict[str, Any]:
    """Registers the service, sends leads, and asks the tables."""
    until_it_answers(admin, "/health")
    call(admin, "POST", "/deployments", {"uri": f"http://127.0.0.1:{service}"})
    command = [options.wrk, "-t1", f"-c{options.at_once}", f"-d{options.seconds}s"]
    command += ["--timeout", "20s", "-s", str(Path(__file__).parents[1] / "leads.lua")]
    path = "keep/send" if options.intake else "carry"
    command += [f"http://127.0.0.1:{ingress}/Leads/{path}", "--", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.strip().splitlines()[-1])
    if found["other_answers"] or found["socket_errors"]:
        raise RuntimeError(f"not every invocation succeeded: {found}")
    if options.intake:
        return dict(found)  # sent one way: each was answered 202 once it was durable
    query = (
        "SELECT status, count(*) AS number FROM sys_invocation GROUP BY status",
        "SELECT count(*) AS number FROM sys_journal WHERE entry_type = 'Command: Run'",
    )
    statuses, steps = (call(admin, "POST", "/query", {"query": text})["rows"] for text in query)
    completed = {row["status"]: row["number"] for row in statuses}.get("completed", 0)
    recorded = steps[0]["number"]
    # Those that wrk did not wait for at its end come on top.
    if completed < found["requests"] or recorded < completed * lead.STEPS:
        raise RuntimeError(f"{completed} invocations completed, with {recorded} steps recorded")
    return {
        "workflows": found["requests"],
        "seconds": found["seconds"],
        "steps_per_s": found["requests"] * lead.STEPS / found["seconds"],
        "completed": completed,
        "steps_recorded": recorded,
    }


@contextmanager
def server(program: str, folder: Path, ingress: int, admin: int, node: int) -> Iterator[None]:
    """Runs a Restate server with its data in `folder` until the block ends."""
    environment = {
        **os.environ,
        "RESTATE_BASE_DIR": str(folder),
        "RESTATE_BIND_ADDRESS": f"127.0.0.1:{node}",
        "RESTATE_ADVERTISED_ADDRESS": f"http://127.0.0.1:{node}",
        "RESTATE_INGRESS__BIND_ADDRESS": f"127.0.0.1:{ingress}",
        "RESTATE_ADMIN__BIND_ADDRESS": f"127.0.0.1:{admin}",
        "RESTATE_LOG_FILTER": "error",
        "DO_NOT_TRACK": "1",
    }
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen([program], env=environment, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait(30)


async def serve_and_measure(options: argparse.Namespace) -> dict[str, Any]:
    """Serves the steps in this process while a thread measures."""
    node, ingress, admin, service = free_ports(4)
    config = hypercorn.Config()
    config.bind = [f"127.0.0.1:{service}"]
    config.h2_max_concurrent_streams = 2_147_483_647
    config.keep_alive_max_requests = 2_147_483_647
    config.loglevel = "ERROR"
    stop = asyncio.Event()
    app = restate.app(services=[leads])
    serving = asyncio.create_task(hypercorn.asyncio.serve(app, config, shutdown_trigger=stop.wait))

    def run() -> dict[str, Any]:
        with server(options.server, options.folder, ingress, admin, node):
            return measure(ingress, admin, service, options)

    try:
        return await asyncio.to_thread(run)
    finally:
        stop.set()
        await serving


def main() -> None:
    """Measures once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", required=True, help="the program restate-server")
    parser.add_argument("--wrk", required=True, help="the program wrk")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--at-once", type=int, default=32)
    parser.add_argument("--intake", action="store_true", help="sent one way, nothing is done")
    options = parser.parse_args()
    told = subprocess.run([options.server, "--version"], capture_output=True, text=True, check=True)
    found = asyncio.run(serve_and_measure(options))
    found |= {"version": told.stdout.split()[1], "at_once": options.at_once}
    print(json.dumps(found))


if __name__ == "__main__":
    main()

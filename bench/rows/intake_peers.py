"""What other engines take in by HTTP on the same machine, in the same run: `wrk`, the same leads.

Each runs with its default settings, but for where it listens and what it logs. What their answers
promise differs, and stands beside each figure.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.figures import Findings
from bench.rows import peers
from bench.scale import Scale
from bench.stand import Failed, Stand
from bench.wrk import CONNECTIONS, NoWrk, post_leads, program
from tests.servers.ports import free_ports

ROW = f"Intake of peers: POST to their answer, wrk with {CONNECTIONS} connections"
START_S = 120

NODE_RED_FLOW = [
    {"id": "leads", "type": "tab", "label": "leads"},
    {
        "id": "in",
        "type": "http in",
        "z": "leads",
        "url": "/in",
        "method": "post",
        "wires": [["out"]],
    },
    {"id": "out", "type": "http response", "z": "leads", "statusCode": "202", "wires": []},
]
N8N_WORKFLOW = {
    "id": "leads",
    "name": "leads",
    "active": True,
    "nodes": [
        {
            "id": "in",
            "name": "in",
            "type": "n8n-nodes-base.webhook",
            "typeVersion": 2,
            "position": [0, 0],
            "webhookId": "leads",
            "parameters": {
                "httpMethod": "POST",
                "path": "in",
                "responseMode": "onReceived",
                "options": {},
            },
        },
        {
            "id": "end",
            "name": "end",
            "type": "n8n-nodes-base.noOp",
            "typeVersion": 1,
            "position": [200, 0],
            "parameters": {},
        },
    ],
    "connections": {"in": {"main": [[{"node": "end", "type": "main", "index": 0}]]}},
    "settings": {"executionOrder": "v1"},
}


def measure(stand: Stand, findings: Findings, scale: Scale) -> None:
    """Node-RED, n8n and Restate, as far as they are installed."""
    try:
        program()
    except NoWrk as missing:
        findings.miss(ROW, "requests a second", str(missing))
        return
    for name, command, measured, promise in (
        ("Node-RED", "node-red", _node_red, "nothing is stored before its answer"),
        ("n8n", "n8n", _n8n, "answered when received, while the execution goes to its SQLite"),
        ("Restate", "restate-server", _restate, "answered when it is durable in its log"),
    ):
        named = command.upper().replace("-", "_")
        path = os.environ.get(named) or shutil.which(command)
        if path is None:
            findings.miss(ROW, name, f"`{command}` is not installed, and {named} does not name it")
            continue
        folder = stand.folder / command
        folder.mkdir()
        try:
            found = measured(stand, path, folder, scale)
        except Failed as failed:
            findings.miss(ROW, name, str(failed))
            continue
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        version = found.get("version") or _version(path)
        findings.add(
            *(ROW, name, "requests/s", [found["requests"] / found["seconds"]]),
            f"{name} {version}, {scale.intake_s} s, one process; {promise}; p50"
            f" {found['p50_ms']:.1f} ms, p99 {found['p99_ms']:.1f} ms",
        )


def _node_red(stand: Stand, path: str, folder: Path, scale: Scale) -> dict[str, Any]:
    (port,) = free_ports(1)
    (folder / "flows.json").write_text(json.dumps(NODE_RED_FLOW), encoding="utf-8")
    settings = {
        "uiHost": "127.0.0.1",
        "uiPort": port,
        "flowFile": "flows.json",
        "logging": {"console": {"level": "error"}},
    }
    text = f"module.exports = {json.dumps(settings)};\n"
    (folder / "settings.js").write_text(text, encoding="utf-8")
    command = [path, "--userDir", str(folder), "--settings", str(folder / "settings.js")]
    with _running(command, folder, {}):
        return _posted(f"http://127.0.0.1:{port}", "/in", scale)


def _n8n(stand: Stand, path: str, folder: Path, scale: Scale) -> dict[str, Any]:
    port, broker = free_ports(2)
    own = {
        "N8N_USER_FOLDER": str(folder),
        "N8N_PORT": str(port),
        "N8N_LISTEN_ADDRESS": "127.0.0.1",
        "N8N_RUNNERS_BROKER_PORT": str(broker),
        "N8N_DIAGNOSTICS_ENABLED": "false",
        "N8N_VERSION_NOTIFICATIONS_ENABLED": "false",
        "N8N_TEMPLATES_ENABLED": "false",
        "N8N_LOG_LEVEL": "error",
    }
    file = folder / "leads.json"
    file.write_text(json.dumps(N8N_WORKFLOW), encoding="utf-8")
    for command in (
        [path, "import:workflow", f"--input={file}"],
        [path, "update:workflow", "--all", "--active=true"],
    ):
        done = subprocess.run(
            command, env={**os.environ, **own}, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise Failed(f"{command[1]} ended with {done.returncode}: {done.stderr[-500:]}")
    with _running([path, "start"], folder, own):
        return _posted(f"http://127.0.0.1:{port}", "/webhook/in", scale)


def _restate(stand: Stand, path: str, folder: Path, scale: Scale) -> dict[str, Any]:
    return stand.measure(
        *("bench.peers.restate_service", "--server", path, "--wrk", program()),
        *("--folder", folder, "--seconds", scale.intake_s, "--intake"),
        python=peers.environment(),
        timeout_s=peers.PEER_S,
    )


def _posted(address: str, path: str, scale: Scale) -> dict[str, Any]:
    """What wrk found, after a second to warm up, once the program answers."""
    until = time.perf_counter() + START_S
    while True:
        connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=5)
        try:
            connection.request("POST", path, "{}", {"content-type": "application/json"})
            if connection.getresponse().status < 300:
                break
        except OSError:
            pass
        finally:
            connection.close()
        if time.perf_counter() > until:
            raise Failed(f"it does not answer at {path} within {START_S} s")
        time.sleep(0.2)
    post_leads(address + path, 1, 0)
    return post_leads(address + path, scale.intake_s, 1_000_000_000)


@contextmanager
def _running(command: list[str], folder: Path, own: Mapping[str, str]) -> Iterator[None]:
    """Runs a peer until the block ends."""
    with (folder / "peer.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **own}, stdout=log, stderr=log
        )
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _version(path: str) -> str:
    done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    lines = done.stdout.strip().splitlines()
    return lines[0].removeprefix("Node-RED v") if lines else "of an unknown version"

"""The steps of the Containerfile, carried out in a plain Debian root, give a hub that serves.

No container engine is needed: each RUN is run under chroot. It takes about two minutes, most of
them for packages, so it is one build with several looks at it.
"""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.architecture.source_tree import ROOT
from tests.deploy.containerfile import stages
from tests.deploy.debian_root import command_in, make_root, run_in
from tests.deploy.image import Builder, Image
from tests.servers.ports import free_ports

CONTAINERFILE = ROOT / "deploy/Containerfile"
BUILD_S = 1_200
START_S = 30
STOP_S = 10
CHILDREN = "/proc/{0}/task/{0}/children"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(BUILD_S)]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """The image, built once. Its roots are removed at the end: they are large."""
    folder = tmp_path_factory.mktemp("image")
    text = CONTAINERFILE.read_text("utf-8")
    suite = stages(text)[0].base.removeprefix("debian:").removesuffix("-slim")
    try:
        make_root(folder / "plain", suite)
        yield Builder(ROOT, folder / "plain", folder).build(text)
    finally:
        # Nothing is mounted below it: mounts live in the namespaces of the programs that ran.
        remove = ["rm", "-rf", "--one-file-system", str(folder)]
        subprocess.run(remove, check=True)


def test_the_image_has_the_command_and_the_extra_for_postgresql(image: Image) -> None:
    assert "serve" in image.run("--help")
    for module in ("asyncpg", "uvloop", "apsw"):
        run_in(image.root, ["python3", "-c", f"import {module}"], image.environment,
               user=image.user, seen=[], timeout_s=60)  # fmt: skip


def test_the_image_is_not_root_and_brings_no_tools_for_building(image: Image) -> None:
    seen = run_in(
        image.root, ["id", "-u"], image.environment, user=image.user, seen=[], timeout_s=60
    )
    assert int(seen) > 0
    assert not (image.root / "opt/beltline/bin/pip").exists()
    assert list((image.root / "var/lib/apt/lists").glob("*Packages*")) == []


def test_a_new_home_is_served_and_stopped_by_the_images_own_signal(image: Image) -> None:
    image.run("init", "/srv/hub/first")
    image.folder = "/srv/hub/first"
    port = free_ports(1)[0]
    image.environment |= {
        "BELTLINE_SERVER_HOST": "127.0.0.1",
        "BELTLINE_SERVER_PORT": str(port),
        "PYTHONUNBUFFERED": "1",
    }
    with serving(image) as node:
        wait_until_it_answers(node, port)
        assert accepted(port, b'{"name": "Anna"}') == 202
        run_in(image.root, image.health, image.environment, user=image.user, seen=[], timeout_s=20)
        stop(node, image.stop_signal)
    with pytest.raises(AssertionError):
        run_in(image.root, image.health, image.environment, user=image.user, seen=[], timeout_s=20)
    assert image.run("runs", "list", "--json").count('"completed"') == 1


@contextmanager
def serving(image: Image) -> Iterator[subprocess.Popen[bytes]]:
    """The image's entry point and command, as the first process of its own namespace."""
    words = command_in(
        image.root,
        [*image.entrypoint, *image.command],
        user=image.user,
        folder=image.folder,
        seen=[],
    )
    log = image.root / "tmp/serve.log"
    with (
        log.open("wb") as written,
        subprocess.Popen(
            words, env=image.environment, stdin=subprocess.DEVNULL, stdout=written, stderr=written
        ) as node,
    ):
        try:
            yield node
            assert node.returncode == 0, log.read_text("utf-8")[-2_000:]
        finally:
            node.kill()


def wait_until_it_answers(node: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until and node.poll() is None:
        try:
            if asked(port, "GET", "/healthz") == 200:
                return
        except OSError:
            time.sleep(0.1)  # nothing tells from outside that a port is listened on
    pytest.fail("the image's hub did not answer")


def accepted(port: int, body: bytes) -> int:
    return asked(port, "POST", "/in/hello", body)


def asked(port: int, method: str, path: str, body: bytes | None = None) -> int:
    """The status of an answer."""
    hub = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        hub.request(method, path, body, {"content-type": "application/json"})
        return hub.getresponse().status
    finally:
        hub.close()


def stop(node: subprocess.Popen[bytes], signal_name: str) -> None:
    """Sends the signal to the hub itself, as an engine does, and waits for its end."""
    hub = int(Path(CHILDREN.format(node.pid)).read_text("utf-8").split()[0])
    os.kill(hub, signal.Signals[signal_name])
    node.wait(STOP_S)

"""The brokers of the tests of queue sources: each in a folder and at a port of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.daemon import LOOPBACK, Daemon, own_place, program, running
from tests.servers.ports import free_ports

RABBIT_START_S = 60.0
NATS = """\
listen: "{host}:{port}"
jetstream {{ store_dir: "{folder}/data" }}
{more}
"""
MOSQUITTO = """\
listener {port} {host}
allow_anonymous true
persistence true
persistence_location {folder}/
autosave_interval 1
{user}
"""
RABBITMQ = """\
listeners.tcp.1 = {host}:{port}
disk_free_limit.absolute = 50MB
log.file = false
log.console = true
"""


@contextmanager
def nats_server(folder: Path, more: str = "") -> Iterator[Daemon]:
    """NATS with JetStream, and `more` settings. Raises `NoServer`."""
    path = program("nats-server", "nats-server")
    (port,) = free_ports(1)
    place = own_place(folder)
    settings = folder / "nats.conf"
    text = NATS.format(host=LOOPBACK, port=port, folder=folder, more=more)
    settings.write_text(text, encoding="utf-8")
    with running(Daemon([path, "-c", str(settings)], place, port)) as daemon:
        yield daemon


@contextmanager
def redis_server(folder: Path) -> Iterator[Daemon]:
    """Redis that writes all to its disk. Raises `NoServer`."""
    path = program("redis-server", "redis-server")
    (port,) = free_ports(1)
    options = ["--port", str(port), "--bind", LOOPBACK, "--dir", str(folder)]
    options += ["--appendonly", "yes", "--save", ""]
    with running(Daemon([path, *options], own_place(folder), port)) as daemon:
        yield daemon


@contextmanager
def mosquitto(folder: Path) -> Iterator[Daemon]:
    """The MQTT broker Mosquitto, which keeps its sessions. Raises `NoServer`."""
    path = program("mosquitto", "mosquitto")
    (port,) = free_ports(1)
    place = own_place(folder)
    settings = folder / "mosquitto.conf"
    # As root it would become another user, who cannot write here.
    text = MOSQUITTO.format(host=LOOPBACK, port=port, folder=folder, user="user root")
    settings.write_text(text, encoding="utf-8")
    with running(Daemon([path, "-c", str(settings)], place, port)) as daemon:
        yield daemon


@contextmanager
def rabbitmq(folder: Path) -> Iterator[Daemon]:
    """RabbitMQ with the usual account guest. Raises `NoServer`."""
    program("rabbitmq-server", "rabbitmq-server")
    # The program on the path becomes the user rabbitmq; this one is what it calls then.
    path = "/usr/lib/rabbitmq/bin/rabbitmq-server"
    port, distribution, mapper = free_ports(3)
    place = own_place(folder)
    (folder / "plugins").write_text("[].\n", encoding="utf-8")
    (folder / "rabbitmq.conf").write_text(
        RABBITMQ.format(host=LOOPBACK, port=port), encoding="utf-8"
    )
    environment = {
        "HOME": str(folder),
        "ERL_EPMD_PORT": str(mapper),
        "ERL_EPMD_ADDRESS": LOOPBACK,
        "RABBITMQ_NODENAME": f"beltline{port}@localhost",
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "logs"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none",
    }
    daemon = Daemon([path], place, port, start_s=RABBIT_START_S, environment=environment)
    try:
        with running(daemon):
            yield daemon
    finally:
        # Erlang's port mapper stays behind as a daemon of its own.
        subprocess.run(
            [program("epmd", "erlang-base"), "-port", str(mapper), "-kill"],
            capture_output=True,
            check=False,
        )

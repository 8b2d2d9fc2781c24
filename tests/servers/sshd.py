"""An SSH server with SFTP of the tests' own: on loopback, at a free port, in a folder of its own.

It runs as whoever runs the tests and lets that account in, by a key that is made for it.
"""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tests.servers.debian import install
from tests.servers.ports import free_ports
from tests.servers.processes import NoServer

START_S = 10
LOOPBACK = "127.0.0.1"

SETTINGS = """\
ListenAddress {host}
Port {port}
HostKey {folder}/host_key
PidFile {folder}/pid
AuthorizedKeysFile {folder}/user_key.pub
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
LogLevel VERBOSE
"""


class NoSshd(NoServer):
    """The operator: there is no sshd, or it did not start. The text says why."""


class SshServer(msgspec.Struct, frozen=True):
    """A server that runs: its address, its account, and the keys of both sides as text."""

    address: str
    user: str
    user_key: str
    host_key: str


def program() -> str:
    """The path of `sshd`, which is installed when it is missing. Raises `NoSshd`."""
    for _ in range(2):
        # It is in /usr/sbin, which is not on everybody's path; it has to be called by its path.
        found = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin")
        if found and shutil.which("ssh-keygen"):
            return found
        if not install("openssh-server"):
            break
    raise NoSshd("sshd is not installed (on Debian: apt-get install openssh-server)")


@contextmanager
def sshd(folder: Path) -> Iterator[SshServer]:
    """Runs a server until the block ends. Raises `NoServer`."""
    path = program()
    (port,) = free_ports(1)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where root's sshd sheds its rights
    for name in ("host_key", "user_key"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", name]
        subprocess.run(command, cwd=folder, check=True)
    settings = folder / "sshd_config"
    settings.write_text(SETTINGS.format(host=LOOPBACK, port=port, folder=folder), encoding="utf-8")
    log = folder / "log"
    process = subprocess.Popen(
        [path, "-D", "-f", str(settings), "-E", str(log)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port, process, log)
        yield SshServer(
            f"sftp://{LOOPBACK}:{port}",
            getpass.getuser(),
            (folder / "user_key").read_text(encoding="utf-8"),
            (folder / "host_key.pub").read_text(encoding="utf-8").strip(),
        )
    finally:
        process.kill()
        process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < until:
        try:
            socket.create_connection((LOOPBACK, port), timeout=1).close()
        except OSError:
            time.sleep(0.01)
        else:
            return
    said = log.read_text(encoding="utf-8")[-2_000:] if log.exists() else ""
    raise NoSshd(f"sshd did not start: {said}")

"""A plain Debian root, and programs that run in it.

The root is made by debootstrap from the mirror that this machine uses itself. A program runs in
it under chroot, in mount and process namespaces of its own: what is mounted for it goes away with
it, however it ends, and no mount is ever seen by whoever removes the root. The network is the
machine's.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.servers.debian import install

MADE_S = 600
DEBOOTSTRAP = "debootstrap"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
APT = Path("/etc/apt")
PLACE = re.compile(r"(?:file://)?(?P<path>/[^\s'\"]+)")
WAYS_OUT = ("PIP_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")
CERTIFICATES = "/var/this-machine.pem"

# Runs as the first process of its namespaces. `$1` is the root; the words up to `--` are places of
# this machine that are to be seen at the same place inside; then chroot's own words.
ENTER = """
set -eu
root=$1
shift
mount -t proc proc "$root/proc"
while [ "$1" != -- ]; do
    if [ -d "$1" ]; then mkdir -p "$root$1"; else mkdir -p "$root${1%/*}"; : >>"$root$1"; fi
    mount --bind "$1" "$root$1"
    mount -o remount,bind,ro "$root$1"
    shift
done
shift
exec chroot "$@"
"""
NAMESPACES = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"]


def make_root(folder: Path, suite: str) -> None:
    """Makes a plain root of Debian's release `suite` at `folder`. Skips the calling test, with the
    reason, where that is not possible.
    """
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("a Debian root is made by root, on Linux")
    mirror = debian_mirror(APT)
    if mirror is None:
        pytest.skip("this machine names no Debian mirror from which a root could be made")
    if shutil.which("unshare") is None or not _may_mount():
        pytest.skip("this machine lets nobody mount in a namespace of their own")
    if shutil.which(DEBOOTSTRAP) is None and not install(DEBOOTSTRAP):
        pytest.skip("debootstrap is not installed, and could not be")
    made = subprocess.run(
        [DEBOOTSTRAP, "--variant=minbase", f"--keyring={KEYRING}", suite, folder, mirror],
        capture_output=True,
        text=True,
        check=False,
        timeout=MADE_S,
    )
    if made.returncode:
        pytest.skip(f"debootstrap found no root of {suite}: {made.stdout.strip()[-300:]}")
    _pass_apt_settings(folder)


def debian_mirror(folder: Path) -> str | None:
    """The mirror of Debian's own packages that apt is told of below `folder`, of either format."""
    for path in (folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))):
        if path.is_file():
            for address, suites in _archives(path.read_text(encoding="utf-8"), path.suffix):
                if re.search(r"/debian/?$", address) and not re.search("security", suites):
                    return address
    return None


def _archives(text: str, suffix: str) -> Iterator[tuple[str, str]]:
    """The addresses in a file of apt, each with the suites that are taken from there."""
    text = re.sub(r"^\s*#.*\n?", "", text, flags=re.MULTILINE)
    if suffix == ".sources":
        for stanza in re.split(r"\n\s*\n", text):
            fields = dict(re.findall(r"^([\w-]+):[ \t]*(.*)$", stanza, re.MULTILINE))
            if "deb" in fields.get("Types", "").split() and fields.get("Enabled") != "no":
                for address in fields.get("URIs", "").split():
                    yield address, fields.get("Suites", "")
    else:
        for match in re.finditer(r"^deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)", text, re.MULTILINE):
            yield match[1], match[2]


def _may_mount() -> bool:
    tried = subprocess.run([*NAMESPACES, "true"], capture_output=True, check=False)
    return tried.returncode == 0


def _pass_apt_settings(root: Path) -> None:
    """Gives apt in the root what this machine's is told about the way out (a proxy, its checks)."""
    told = subprocess.run(
        ["apt-config", "dump", "Acquire"],  # noqa: S607 - found on the PATH
        capture_output=True,
        check=True,
    )
    (root / "etc/apt/apt.conf.d/90-this-machine").write_bytes(told.stdout)


def pip_settings(root: Path) -> tuple[dict[str, str], list[str]]:
    """How this machine's pip finds packages: the variables, and the places that have to be seen.

    The certificates that it trusts are copied into the root, where no package of Debian's lays its
    own: what is only seen there cannot be written over.
    """
    variables = {k: v for k, v in os.environ.items() if k.upper().startswith(WAYS_OUT)}
    pip = [sys.executable, "-m", "pip", "config"]
    files = subprocess.run([*pip, "debug"], capture_output=True, text=True, check=False).stdout
    values = subprocess.run([*pip, "list"], capture_output=True, text=True, check=False).stdout
    if certificates := re.search(r"\.cert='(.+)'", values):
        shutil.copy2(certificates[1], root / CERTIFICATES.lstrip("/"))
        variables |= {"PIP_CERT": CERTIFICATES}
    named = re.findall(r"(/\S+), exists: True", files)
    named += [match["path"] for match in PLACE.finditer(f"{values} {variables}")]
    # An index in a folder, called `simple`, leads to the files beside it.
    places = {Path(name.removesuffix("/simple")) for name in named if Path(name).exists()}
    places = {place for place in places if not place.is_relative_to("/etc/ssl")}
    places -= {Path("/"), *(place for place in places if not places.isdisjoint(place.parents))}
    return variables, sorted(map(str, places))


def command_in(
    root: Path, command: list[str], *, user: str, folder: str, seen: list[str]
) -> list[str]:
    """The command line that runs a command in the root, as this user (`name` or `uid:gid`) and in
    this folder of it, with the machine's places `seen` at the same places there.
    """
    words = [*NAMESPACES, "sh", "-c", ENTER, "sh", str(root), *seen, "--"]
    inside = ["sh", "-c", 'cd "$0" && exec "$@"', folder, *command]
    return [*words, *_as_user(user), str(root), *inside]


def _as_user(user: str) -> list[str]:
    return [] if user in ("", "root") else [f"--userspec={user}"]


def run_in(
    root: Path,
    command: list[str],
    environment: Mapping[str, str],
    *,
    user: str = "root",
    folder: str = "/",
    seen: list[str],
    timeout_s: float,
) -> str:
    """Runs a command in the root to its end; gives what it printed. Fails the test, with the end of
    that, when the command fails.
    """
    done = subprocess.run(
        command_in(root, command, user=user, folder=folder, seen=seen),
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=timeout_s,
    )
    assert done.returncode == 0, f"{command} failed:\n{done.stdout[-3_000:]}"
    return done.stdout

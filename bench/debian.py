"""Installs a Debian package that a measurement needs, where that is possible and allowed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys


def install(package: str) -> bool:
    """Installs the package as root, or by `sudo -n`; tells whether it is there now."""
    if shutil.which("apt-get") is None:
        return False
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if as_root and shutil.which("sudo") is None:
        return False
    print(f"bench: installing {package} with apt-get", file=sys.stderr)
    quiet = ["--quiet=2", "-o", "DPkg::Lock::Timeout=120"]
    apt = [*as_root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", *quiet]
    ways = [
        [*apt, "install", "--yes", "--no-install-recommends", package],
        [*apt, "update"],
        [*apt, "install", "--yes", "--no-install-recommends", package],
    ]
    for number, command in enumerate(ways):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0 and number != 1:
            return True
    return False

"""Installs a Debian package that a test or a measurement needs, where that is possible and allowed.

No service is started by it: what is needed are the programs, and whoever runs the tests did not
ask for a database on their machine.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

# Debian asks this file before a package starts its service; 101 forbids it.
WITHOUT_SERVICES = """
policy=/usr/sbin/policy-rc.d
if ! [ -e $policy ]; then
    trap 'rm -f $policy' EXIT
    printf '#!/bin/sh\\nexit 101\\n' > $policy && chmod 755 $policy
fi
"$@"
"""


def install(package: str) -> bool:
    """Installs the package as root, or by `sudo -n`; tells whether it is there now."""
    if shutil.which("apt-get") is None:
        return False
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if as_root and shutil.which("sudo") is None:
        return False
    print(f"installing {package} with apt-get", file=sys.stderr)  # noqa: T201 - it takes a while
    quiet = ["--quiet=2", "-o", "DPkg::Lock::Timeout=120"]
    apt = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", *quiet]
    ways = [
        [*apt, "install", "--yes", "--no-install-recommends", package],
        [*apt, "update"],
        [*apt, "install", "--yes", "--no-install-recommends", package],
    ]
    for number, command in enumerate(ways):
        done = subprocess.run(
            [*as_root, "sh", "-c", WITHOUT_SERVICES, "sh", *command],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0 and number != 1:
            return True
    return False

#!/usr/bin/env bash
# Makes .venv: a Python of 3.11 or later, the pinned requirements, and the project itself.
#
# Called by the Makefile when .venv/.ready is missing or old; safe to call at any time. On Debian
# it installs python3 and its venv package when they are missing, as root or by `sudo -n`;
# elsewhere it says what to install. PYTHON=/path/to/python chooses another Python.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=.venv
here=$PWD
is_new_enough='import sys; sys.version_info >= (3, 11) or sys.exit(1)'

fail() {
    echo "setup: $*" >&2
    exit 1
}

# Tells the first Python that is new enough and can make environments; fails when there is none.
find_python() {
    local candidate
    for candidate in ${PYTHON:-python3.11 python3 python3.13 python3.12 /usr/bin/python3}; do
        if "$candidate" -c "$is_new_enough; import ensurepip, venv" >/dev/null 2>&1; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

# Installs Debian's Python with venv; fails where that is not possible or not allowed.
install_python() {
    local as_root=()
    command -v apt-get >/dev/null || return 1
    if [ "$(id -u)" -ne 0 ]; then
        sudo -n true >/dev/null 2>&1 || return 1
        as_root=(sudo -n)
    fi
    local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get
        --quiet=2 -o DPkg::Lock::Timeout=120)
    echo "setup: installing python3 and python3-venv with apt-get" >&2
    "${apt[@]}" update >/dev/null &&
        "${apt[@]}" install --yes --no-install-recommends python3 python3-venv >/dev/null
}

python=$(find_python) || {
    [ -z "${PYTHON:-}" ] || fail "$PYTHON is not a Python >= 3.11 with the modules venv and ensurepip"
    install_python || fail "Python >= 3.11 with venv is needed, and could not be installed from here." \
        "On Debian: apt-get install python3 python3-venv. Then run the command again."
    python=$(find_python) || fail "the Debian python3 of this machine is older than 3.11." \
        "Install Python 3.11 or later, then run: make setup PYTHON=/path/to/python3.11"
}

# The programs in an environment name its place, so one that was moved or copied is made anew, as
# is one whose Python has gone or is too old. An environment made by hand is taken over.
if [ -e "$venv" ]; then
    place=$(cat "$venv/.ready" 2>/dev/null || echo "$here")
    if [ "$place" != "$here" ] || ! "$venv/bin/python" -c "$is_new_enough; import pip" 2>/dev/null
    then
        rm -rf "$venv"
    fi
fi
[ -e "$venv" ] || "$python" -m venv "$venv"

# Every requirement is pinned with its hashes and listed, so nothing has to be resolved.
pip=("$venv/bin/python" -m pip --quiet --disable-pip-version-check --no-input)
"${pip[@]}" install --require-hashes --no-deps --requirement requirements/dev.txt ||
    fail "the requirements could not be installed; the lines above say why"
"${pip[@]}" install --no-deps --no-build-isolation --editable . ||
    fail "the project itself could not be installed; the lines above say why"
"${pip[@]}" check >/dev/null || fail "requirements/dev.txt does not fit pyproject.toml: run make pin"

printf '%s\n' "$here" >"$venv/.ready"
echo "setup: ready: $("$venv/bin/python" --version) in $venv" >&2

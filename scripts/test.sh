#!/usr/bin/env bash
# The tests: all of them two at a time, those of one file together, and then those that measure,
# alone. Where it is said which, by arguments for pytest, they run one after the other.
set -euo pipefail
cd "$(dirname "$0")/.."
pytest=.venv/bin/pytest

if [[ $# -gt 0 ]]; then
    exec "$pytest" -m "not kill" "$@"
fi
"$pytest" --numprocesses 2 --dist loadfile
"$pytest" -m alone

"""`beltline init DIR`: a new home that runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from beltline.cli.console import fail, say

_FILES = {
    "beltline.toml": """\
# Settings of this home. The environment stands over them: BELTLINE_SERVER_PORT=9000.

[server]
host = "127.0.0.1"
port = 8080

# A name of your own for a module, so that processes need not change when the module does:
# [modules.find-deal]
# use = "bitrix24.find-deal"
""",
    "processes/hello.yaml": """\
process: hello
title: A first process
steps:
  - id: greeting
    module: set
    with:
      text: "Hello, {{ request.name }}!"
    condition:
      - field: request.name
        operation: trim|empty
        result: [nobody]
    next: [noted]
  - id: nobody
    module: set
    with: {text: "Hello, whoever you are!"}
    next: [noted]
  - id: noted
    module: log
    with: {message: "{{ greeting.text }}"}
""",
    "sources/hello.yaml": """\
# POST /in/hello. Anyone who reaches the hub may send: set `verify` before you open it to others.
source: hello
kind: webhook
process: hello
verify: none
# What a request must have, and a form for people at the same address, made of it:
# schema: {required: [name], properties: {name: {type: string, title: Your name}}}
# form: true
""",
    ".gitignore": "data/\n",
}


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to make.")],
) -> None:
    """Make a home with a first process and a first source."""
    taken = [name for name in _FILES if (folder / name).exists()]
    if taken:
        fail(f"{folder / taken[0]} is there already; nothing was changed")
    for name, text in _FILES.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    for name in ("connections", "modules", "tests"):
        (folder / name).mkdir(exist_ok=True)
    say(f"{folder} is a home now. Next:")
    say(f"  beltline check {folder}")
    say(f"  beltline serve --home {folder}")
    say("  curl -H 'Content-Type: application/json' -d '{\"name\": \"Anna\"}' \\")
    say("    http://127.0.0.1:8080/in/hello")

"""The home that the kill tests serve: parallel branches, a join, handlers that wait a little."""

from __future__ import annotations

from pathlib import Path

PROCESS = """\
process: order
defaults:
  retry: {attempts: 3, first: 100ms, max: 1s}
  timeout: 20s
steps:
  - {id: take, module: ledger, with: {number: "{{ request.number }}"}, next: [reserve, bill]}
  - {id: reserve, module: ledger, with: {number: "{{ take.number }}"}, next: [send]}
  - {id: bill, module: ledger, with: {number: "{{ take.number }}"}, next: [book]}
  - {id: book, module: ledger, with: {number: "{{ bill.number }}"}, next: [send]}
  - {id: send, module: ledger, prev: [reserve, book], with: {number: "{{ take.number }}"}}
"""
STEPS = ("take", "reserve", "bill", "book", "send")

SOURCE = """\
source: orders
kind: webhook
process: order
verify: none
identity: {by: "{{ request.number }}", window: 24h}
"""

MODULE = '''\
"""Writes each call into a file that outlives the process, then waits a little."""

import asyncio
import os
import time
from typing import Annotated

from beltline.sdk import Config, Context, Example, Module, Output, field

LEDGER = os.open(os.environ["LEDGER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


class LedgerConfig(Config):
    """What to write down."""

    number: Annotated[str, field("Number", "The order.")]


class LedgerOutput(Output):
    """What was written down."""

    number: Annotated[str, field("Number", "The order.")]


async def ledger(config: LedgerConfig, context: Context) -> LedgerOutput:
    call = (context.run, context.step, context.visit, context.attempt, context.key)
    os.write(LEDGER, (" ".join(map(str, (*call, time.monotonic_ns()))) + "\\n").encode())
    await asyncio.sleep(0.004)
    return LedgerOutput(number=config.number)


module = Module(
    name="ledger",
    version=1,
    summary="Writes a call down.",
    category="site",
    icon="book",
    effect="idempotent",
    config=LedgerConfig,
    output=LedgerOutput,
    handler=ledger,
    examples=(),
)
'''


def write_home(folder: Path) -> None:
    """Makes the home."""
    for name, text in {
        "beltline.toml": "",
        "processes/order.yaml": PROCESS,
        "sources/orders.yaml": SOURCE,
        "modules/ledger.py": MODULE,
    }.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

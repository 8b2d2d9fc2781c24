"""What a run has come to in the end: its process's `output`."""

from __future__ import annotations

from typing import Any

from beltline.core.canonical import hash_of
from beltline.core.expression import ExpressionFailed, Scope
from beltline.core.model import Process
from beltline.core.path import MISSING


def output_of(process: Process, document: dict[str, Any], scope: Scope) -> Any:
    """The output as a JSON value; None where the process has none. One that cannot be made is an
    object that says why: the run is done all the same.
    """
    if process.output is None:
        return None
    try:
        value = process.output.resolve(document, scope)
    except ExpressionFailed as failed:
        return {"error": {"kind": "expression", "message": f"output: {failed}"}}
    if value is MISSING:
        return None
    trouble = hash_of(value)[1]
    return {"error": {"kind": "result", "message": f"output: {trouble}"}} if trouble else value

"""The report: a plain table for the terminal, and everything as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.figures import Figure, Findings, Missing


def header(machine: dict[str, Any]) -> str:
    """What was measured on, in a few lines."""
    commits, syncs = machine["full_commits_per_s"], machine["fdatasyncs_per_s"]
    source = machine["commit"] or "no git checkout"
    return "\n".join(
        (
            f"Beltline bench · source {source}",
            f"  {machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB",
            f"  Linux {machine['kernel']}, {machine['file_system']}, Python {machine['python']}",
            f"  SQLite {machine['sqlite']}; load before the start {machine['load_before']}",
            f"  one SQLite commit a row, WAL, synchronous=FULL: {_rates(commits)} a second",
            f"  fdatasync after 4 KiB: {_rates(syncs)} a second",
        )
    )


def _rates(rates: dict[str, float]) -> str:
    return f"{rates['median']:,.0f} ({rates['min']:,.0f} to {rates['max']:,.0f})"


def table(findings: Findings) -> str:
    """Every figure with its spread, goal and conditions."""
    lines: list[str] = []
    row = ""
    for figure in findings.figures:
        if figure.row != row:
            row = figure.row
            lines += ["", row]
        lines += _missing(figure) if isinstance(figure, Missing) else _taken(figure)
    return "\n".join(lines)


def _missing(figure: Missing) -> Iterator[str]:
    yield f"  {figure.name:<34} not measured: {figure.reason}"


def _taken(figure: Figure) -> Iterator[str]:
    value = f"{_number(figure.median)} {figure.unit}".rstrip()
    spread = ""
    if len(figure.samples) > 1:
        low, high = min(figure.samples), max(figure.samples)
        spread = f"{_number(low)} to {_number(high)}, {len(figure.samples)} runs"
    goal = ""
    if figure.goal is not None:
        reached = "reached" if figure.is_reached else "NOT REACHED"
        words = figure.goal.words or f"{_number(figure.goal.bound)} {figure.unit}".rstrip()
        goal = f"{reached}: {figure.goal.direction} {words}"
    yield f"  {figure.name:<34} {value:>18}  {spread:<32} {goal}".rstrip()
    if figure.conditions:
        yield f"      {figure.conditions}"


def _number(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.4f}"


def summary(findings: Findings) -> str:
    """How many goals were reached."""
    with_goal = [f for f in findings.figures if isinstance(f, Figure) and f.goal is not None]
    reached = sum(1 for figure in with_goal if figure.is_reached)
    missing = sum(1 for figure in findings.figures if isinstance(figure, Missing))
    told = f"{reached} of {len(with_goal)} goals reached"
    return f"{told}, {missing} figures not measured" if missing else told


def write_json(
    path: Path, machine: dict[str, Any], options: dict[str, Any], findings: Findings
) -> None:
    """Keeps everything, with what each measured process printed."""
    figures = [
        {"row": figure.row, "name": figure.name, "not_measured": figure.reason}
        if isinstance(figure, Missing)
        else {
            "row": figure.row,
            "name": figure.name,
            "unit": figure.unit,
            "median": figure.median,
            "min": min(figure.samples),
            "max": max(figure.samples),
            "samples": list(figure.samples),
            "goal": None
            if figure.goal is None
            else {"direction": figure.goal.direction, "bound": figure.goal.bound},
            "reached": figure.is_reached,
            "conditions": figure.conditions,
        }
        for figure in findings.figures
    ]
    content = {"machine": machine, "options": options, "figures": figures, "raw": findings.raw}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

"""Sensitivity: runs that change one setting and nothing else, beside the default's."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from lampbench.hashing import canonical
from lampbench.report.page import plots
from lampbench.report.page.cells import Cell, Group, scores_of
from lampbench.report.page.plots import Mark
from lampbench.report.page.sections import MAIN, Figure
from lampbench.report.records import Other, age, column_of, setup_of
from lampbench.report.statistics import interval
from lampbench.runs import Run

Sweep = dict[str, dict[int, Run]]
"""The runs at each value of a setting, by seed."""


def sensitivity(group: Group, others: Sequence[Other]) -> list[Figure]:
    """ROUGE-L at each value of a setting that was run otherwise than its default, one plot each.

    Of runs with the same value and seed the newest counts.
    """
    swept: dict[tuple[int, str], Sweep] = defaultdict(dict)
    for run in sorted((other.run for other in others), key=age):
        place = _place(group, run)
        if place is not None:
            value = canonical(run.manifest["overrides"][place[1]])
            swept[place].setdefault(value, {})[run.manifest["seed"]] = run
    figures = []
    for (number, name), values in sorted(swept.items()):
        figure = _figure(group, group.cells[number], name, values)
        figures += [figure] if figure else []
    return figures


def _place(group: Group, run: Run) -> tuple[int, str] | None:
    """The place of the cell that a run differs from in one setting, and that setting."""
    manifest = run.manifest
    if manifest["fidelity"] != "paper" or manifest.get("set_aside"):
        return None
    if len(manifest["overrides"]) != 1:
        return None
    (name,) = manifest["overrides"]
    for place, cell in enumerate(group.cells):
        same = (cell.setup, cell.column, cell.method)
        if same == (setup_of(run), column_of(run), manifest["method"]):
            default = cell.runs[-1].manifest["parts"]
            changed = _value(default.get(name)) != canonical(manifest["overrides"][name])
            alike = changed and _alike(manifest["parts"], default, name)
            return (place, name) if alike else None
    return None


def _alike(parts: Mapping[str, Any], default: Mapping[str, Any], but: str) -> bool:
    """Whether all settings agree but one. Settings that follow it by default follow here too."""
    followed = _value(default.get(but)), _value(parts.get(but))
    return but in default and all(
        _value(parts.get(name)) == _value(default.get(name))
        or (_value(default.get(name)), _value(parts.get(name))) == followed
        for name in parts.keys() | default.keys()
    )


def _value(part: Any) -> str:
    return canonical(part.get("value") if isinstance(part, Mapping) else part)


def _figure(group: Group, cell: Cell, name: str, values: Sweep) -> Figure | None:
    part = cell.runs[-1].manifest["parts"][name]
    default = part.get("value") if isinstance(part, Mapping) else part
    points: list[tuple[Any, Sequence[Run]]] = [(default, cell.runs)]
    for seeds in values.values():
        chosen = [seeds[seed] for seed in sorted(seeds)]
        points.append((chosen[0].manifest["overrides"][name], chosen))
    if all(isinstance(value, int | float) for value, _ in points):
        points.sort(key=lambda point: point[0])
    else:
        points.sort(key=lambda point: canonical(point[0]))
    marks = []
    for value, runs in points:
        scores = scores_of(runs).get(MAIN)
        if scores:
            found = interval(scores)
            note = "default" if runs is cell.runs else ""
            marks.append(Mark(_shown(value), found.mean, found.low, found.high, note))
    if len(marks) < 2:
        return None
    title = f"{cell.title}, {group.column_title(cell.column)}: {name}"
    said = "; ".join(f"{mark.label} gives {mark.value:.3f}" for mark in marks)
    return Figure(title, plots.series(marks, "ROUGE-L", f"ROUGE-L by {name}: {said}"))


def _shown(value: Any) -> str:
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:g}"
    return value if isinstance(value, str) else canonical(value)

"""Grids of hyper-parameters: every point is a run of its own, and shared work is done once."""

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import click
from tabulate import tabulate

from lampbench.execution.options import GridPoint
from lampbench.plugin.hyperparameter import SourcedValue, parse_value
from lampbench.record.runs import read_run
from lampbench.util.errors import LampbenchError


def grid(params: Sequence[str]) -> list[GridPoint]:
    """All combinations of the values in `SECTION.NAME=V1,V2,...`.

    Raises:
        LampbenchError: one of `params` has no path, no value or a value twice, or two have one
            path.
    """
    axes: dict[str, list[str]] = {}
    for text in params:
        path, _, listed = text.partition("=")
        path, values = path.strip(), [value.strip() for value in listed.split(",")]
        if "." not in path or not all(values):
            raise LampbenchError(
                f"--param {text}: write SECTION.NAME=V1,V2, as in decoding.alpha=0,0.1,0.3"
            )
        if path in axes or len(set(values)) < len(values):
            what = path if path in axes else "a value"
            raise LampbenchError(f"--param {text}: {what} is given twice; give it once")
        axes[path] = values
    return [
        {path: parse_value(value, "--param") for path, value in zip(axes, values, strict=True)}
        for values in product(*axes.values())
    ]


def grid_points(axes: Mapping[str, Sequence[Any]], source: str) -> list[GridPoint]:
    """All combinations of values by path; one empty point for no axes. `source` is recorded."""
    return [
        {path: SourcedValue(value, source) for path, value in zip(axes, values, strict=True)}
        for values in product(*axes.values())
    ]


def print_points(recorded: Sequence[tuple[GridPoint, Path]]) -> None:
    """Print the means over queries, one row per run."""
    paths = list(recorded[0][0])
    rows = []
    for point, folder in recorded:
        manifest = read_run(folder).manifest
        scores = [manifest.mean(metric) for metric in ("rouge1", "rougeL", "words")]
        names = [manifest.task, manifest.model, manifest.method, str(manifest.seed)]
        numbers = ["-" if value is None else f"{value:.3f}" for value in scores]
        rows.append([*(str(point[path].value) for path in paths), *names, *numbers])
    heads = [*paths, "task", "model", "method", "seed", "ROUGE-1", "ROUGE-L", "words"]
    click.echo("\n" + tabulate(rows, headers=heads, disable_numparse=True))
    click.echo("\nMeans over queries. `lampbench table sensitivity` shows them with intervals.")

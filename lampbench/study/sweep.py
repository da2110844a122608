"""Grids of hyper-parameters: every point is a run of its own, and shared work is done once."""

from collections.abc import Collection, Mapping, Sequence
from itertools import product
from typing import Any

import click

from lampbench.execution.options import GridPoint, RunOptions, read_overrides
from lampbench.plugin.hyperparameter import SourcedValue, parse_value
from lampbench.record.recorded_run import Run
from lampbench.util.errors import LampbenchError
from lampbench.util.fitted_table import fitted_table


def read_grid(params: Sequence[str]) -> dict[str, list[Any]]:
    """The values of `SECTION.NAME=V1,V2,...` by path.

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
    return {
        path: [parse_value(value, "--param").value for value in values]
        for path, values in axes.items()
    }


def grid_points(axes: Mapping[str, Sequence[Any]]) -> list[GridPoint]:
    """All combinations of values by path; one empty point for no axes."""
    return [
        {path: SourcedValue(value, "sweep") for path, value in zip(axes, values, strict=True)}
        for values in product(*axes.values())
    ]


def require_swept_alone(choices: RunOptions, axes: Collection[str]) -> None:
    """Refuse a value of a hyper-parameter that a grid varies: every point has its own.

    Raises:
        LampbenchError: one is set beside the grid.
    """
    for path in (*choices.hyperparameters, *read_overrides(None, choices.assignments)):
        if path in axes:
            raise LampbenchError(
                f"{path} is both set (--set) and varied (--param): leave out one of the two"
            )


def print_points(runs: Sequence[Run], paths: Collection[str]) -> None:
    """Print the means over queries, one row per run; `paths` are the hyper-parameters swept."""
    rows = []
    cut = any(run.manifest.dataset.max_history for run in runs)
    for run in runs:
        manifest = run.manifest
        values = [manifest.hyperparameters.get(path) for path in paths]
        scores = [manifest.mean(metric) for metric in ("rouge1", "rougeL", "words")]
        rows.append([
            *([str(manifest.dataset.max_history or "all")] if cut else []),
            *("-" if value is None else _short(value.value) for value in values),
            manifest.task, manifest.model, manifest.method, str(manifest.seed),
            *("-" if score is None else f"{score:.3f}" for score in scores),
        ])  # fmt: skip
    heads = [
        *(["max-history"] if cut else []),
        *paths,
        "task",
        "model",
        "method",
        "seed",
        "ROUGE-1",
        "ROUGE-L",
        "words",
    ]
    click.echo("\n" + fitted_table(rows, heads, disable_numparse=True))
    click.echo("\nMeans over queries. `lampbench table sensitivity` shows them with intervals.")


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)

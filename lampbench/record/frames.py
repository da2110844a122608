"""FramedRun runs as pandas frames and as tables in a notebook."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lampbench.record.manifest import Manifest
from lampbench.scoring.prediction_row import PredictionRow
from lampbench.scoring.score_table import ScoreTable

if TYPE_CHECKING:
    import pandas


class FramedRun(Protocol):
    """A run, as far as a frame shows it."""

    @property
    def path(self) -> Path:
        """Its folder."""
        ...

    @property
    def manifest(self) -> Manifest:
        """How it was made, and its means."""
        ...

    @property
    def answers_and_scores(self) -> tuple[Sequence[PredictionRow], ScoreTable]:
        """A prediction per query, and the scores of the same queries in the same order."""
        ...


def query_frame(run: FramedRun) -> "pandas.DataFrame":
    """One row per query: user, query, prediction, reference, and a column per metric."""
    import pandas

    rows, scores = run.answers_and_scores
    texts = [(row.prediction, row.reference) for row in rows]
    columns: dict[str, Sequence[Any]] = {
        "user": scores.users,
        "query": scores.queries,
        "prediction": [prediction for prediction, _ in texts],
        "reference": [reference for _, reference in texts],
    }
    return pandas.DataFrame({**columns, **scores.columns})


def run_frame(runs: Sequence[FramedRun]) -> "pandas.DataFrame":
    """One row per run: what was run, how many users and queries, and each metric's mean."""
    import pandas

    return pandas.DataFrame([_row(run) for run in runs])


def html(runs: Sequence[FramedRun]) -> str:
    """The frame of runs as an HTML table, its texts escaped."""
    if not runs:
        return "<p>no runs</p>"
    frame = run_frame(runs).drop(columns="path")
    known = [name for name in frame.columns if not frame[name].isna().all()]
    return str(frame[known].to_html(index=False, escape=True, float_format="%.3f", na_rep="n/a"))


def _row(run: FramedRun) -> dict[str, Any]:
    info = run.manifest
    return {
        "task": info.task,
        "model": info.model,
        "method": info.method,
        "seed": info.seed,
        "preset": info.preset,
        "overrides": ", ".join(f"{path}={value}" for path, value in info.overrides.items()),
        "max_history": info.dataset.max_history,
        "users": info.counts.users,
        "queries": info.counts.queries,
        **{name: means.queries for name, means in info.scores.items()},
        "key": info.key,
        "path": str(run.path),
    }

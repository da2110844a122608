"""Whether a run's recorded scores are those of its answers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lampbench.core.dataset import Dataset
from lampbench.core.task import Task
from lampbench.plugin.metric import Metric, Value
from lampbench.record.recorded_run import Run
from lampbench.scoring import METRICS, Scoring, histories, score_predictions


@dataclass(frozen=True, slots=True)
class Recomputed:
    """The recorded metrics that were computed again and are equal; why others were not; and how
    values differ, by metric.
    """

    equal: tuple[str, ...]
    unknown: dict[str, str]
    different: dict[str, str]


def recompute_scores(run: Run, task: Task | None, dataset: Dataset | None) -> Recomputed:
    """Compute a run's scores again from its answers, without a plugin's code and without a model.

    Args:
        run: not a private one.
        task: its built-in task; None where it has none, and metrics of single tasks are unknown.
        dataset: the data that the run answered; None where it is not at hand, and metrics that read
            histories are unknown.

    Raises:
        LampbenchError: the run is damaged.
    """
    recorded = run.scores.columns
    known = [*METRICS, *(task.metrics if task else ())]
    unknown = {
        name: "a metric of a plugin, of another task, or one that needs a model"
        for name in recorded
        if name not in known and any(value is not None for value in recorded[name])
    }
    scoring = Scoring(
        tuple(name for name in known if name in recorded),
        (),
        histories(dataset) if dataset else None,
        task.choices if task else (),
    )
    usable: list[Metric] = []
    for metric in scoring.load():
        if all(value is None for value in recorded[metric.name]):
            continue  # claims nothing
        if why := _missing(metric, scoring):
            unknown[metric.name] = why
        else:
            usable.append(metric)
    scoring = replace(scoring, metrics=tuple(metric.name for metric in usable))
    fresh = score_predictions(run.predictions, None, scoring)
    different = {
        metric.name: text
        for metric in usable
        if (text := _difference(run, recorded[metric.name], fresh.columns[metric.name]))
    }
    equal = tuple(metric.name for metric in usable if metric.name not in different)
    return Recomputed(equal, unknown, different)


def _missing(metric: Metric, scoring: Scoring) -> str:
    """Why a metric cannot be computed here; empty where it can."""
    if metric.batched:
        return "needs a model"
    if metric.reads_history and scoring.histories is None:
        return "reads histories, and the data is not here"
    return metric.missing() or ""


def _difference(run: Run, recorded: Sequence[Value], fresh: Sequence[Value]) -> str:
    """How many values differ, and the first of them; empty where none does."""
    first, different = "", 0
    rows = zip(run.scores.users, run.scores.queries, recorded, fresh, strict=True)
    for user, query, old, new in rows:
        if not _same(old, new):
            different += 1
            first = first or f"{old} for query {query!r} of user {user!r}, computed again {new}"
    if not different:
        return ""
    return f"{different} of {len(recorded)} values are not those of the answers, first {first}"


def _same(one: Value, other: Value) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)

"""The scores of a cell: one method on one task's data, averaged over seeds."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from lampbench.core.findings import leaks_first
from lampbench.paper.published import paper
from lampbench.record.recorded_run import Run
from lampbench.report.draws import draws
from lampbench.report.setups import Column, Setup, age
from lampbench.scoring.aggregate import mean
from lampbench.scoring.query_scores import QueryScores

if TYPE_CHECKING:
    from lampbench.report.statistics import Interval, Scores

EXTERNAL_MARK = "‡"
"""Marks runs whose answers were made elsewhere."""
SUBMITTED_MARK = "§"
"""Marks runs that others recorded and submitted."""


@dataclass(frozen=True, eq=False)
class CellScore:
    """One metric of one cell.

    `mean` is over queries, `users_mean` over users' means; both are means over `seeds` and None
    where the metric could not be computed. A `pooled` metric is no mean: `mean` is its number over
    all queries, and it has no scores of queries. `users` and `queries` count those with a
    reference. `paper_model` is the hub id of the paper's model where the runs used one. `chosen`
    are the runs, whose scores are read when they are asked for.
    """

    setup: Setup
    column: Column
    method: str
    method_title: str
    task_title: str
    metric: str
    mean: float | None
    users_mean: float | None
    users: int
    queries: int
    seeds: tuple[int, ...]
    runs: tuple[str, ...]
    synthetic: bool
    paper_model: str | None
    chosen: tuple[Run, ...] = field(repr=False)
    pooled: bool = False

    @property
    def findings(self) -> list[str]:
        """What the loader found about the data of the runs, leaks first."""
        return leaks_first(note for run in self.chosen for note in run.manifest.dataset.findings)

    @property
    def model_notes(self) -> list[str]:
        """What a reader must know about the model."""
        return list(
            dict.fromkeys(n for run in self.chosen for n in run.manifest.model_details.notes)
        )

    @cached_property
    def scores(self) -> "Scores":
        """Each query's mean over the seeds, by user and query in order.

        Empty where `mean` is None, and for a pooled metric.

        Raises:
            LampbenchError: a run's scores cannot be read.
        """
        return self.over_runs(self.chosen)

    @cached_property
    def by_seed(self) -> Mapping[int, QueryScores]:
        """Each query's score by (user, query), for each seed; empty as `scores`.

        Raises:
            LampbenchError: a run's scores cannot be read.
        """
        if self.mean is None or self.pooled:
            return {}
        return {run.manifest.seed: run.query_scores(self.metric) for run in self.chosen}

    def with_seed(self, seed: int) -> QueryScores:
        """Each query's score with one seed: the same with any, where nothing is drawn."""
        return self.by_seed[seed if self.draws else min(self.by_seed)]

    def over_runs(self, runs: Iterable[Run]) -> QueryScores:
        """Each query's mean over some of the runs, by user and query in order."""
        seeds = {run.manifest.seed for run in runs}
        return QueryScores.mean([one for seed, one in self.by_seed.items() if seed in seeds])

    @property
    def draws(self) -> bool:
        """Whether scores can depend on the seed; also where nothing is known of the method."""
        return draws(self.chosen[-1])

    @cached_property
    def interval(self) -> "Interval | None":
        """The interval of `mean`; None where there is no score or only one."""
        if self.pooled:
            from lampbench.report.pooled import pooled_interval

            return pooled_interval(self.metric, self.chosen) if self.mean is not None else None
        return _interval(self.metric, self.scores)

    @cached_property
    def users_interval(self) -> "Interval | None":
        """The interval of `users_mean`, for which each user is one number."""
        by_user: dict[str, list[float]] = defaultdict(list)
        for (user, _), score in self.scores.items():
            by_user[user].append(score)
        means = {(user, ""): mean(scores) for user, scores in by_user.items()}
        return _interval(self.metric, means)


def row_mark(run: Run) -> str:
    """The mark of a run that is not our own: of answers made elsewhere, or else of a submission."""
    if run.manifest.external is not None:
        return EXTERNAL_MARK
    return SUBMITTED_MARK if run.submitter else ""


def row_name(run: Run) -> str:
    """What tells a run's row from those of our own runs and of other submitters."""
    who = f" {run.submitter} " if run.submitter else ""
    return f"{run.manifest.method}{who}{row_mark(run)}"


def title_suffix(run: Run) -> str:
    """What follows a method's title in the row of a run that is not our own."""
    who = f" ({run.submitter})" if run.submitter else ""
    return f"{who} {row_mark(run)}".rstrip()


def score_cell(setup: Setup, column: Column, runs: Sequence[Run]) -> list[CellScore]:
    """A cell's metrics, from runs that differ in nothing but the seed: one score per metric."""
    newest_run = max(runs, key=age)
    newest = newest_run.manifest
    method = newest.method
    titles = paper()
    model = titles.model(setup.model, newest.model_details.location)
    return [
        CellScore(
            setup=setup,
            column=column,
            method=row_name(newest_run),
            method_title=(newest.method_title or titles.methods.get(method, method))
            + title_suffix(newest_run),
            task_title=newest.task_title or titles.tasks.get(column.task, column.task),
            metric=metric,
            mean=_mean(runs, metric, "queries"),
            users_mean=_mean(runs, metric, "users"),
            users=newest.counts.scored_users,
            queries=newest.counts.scored_queries,
            seeds=tuple(run.manifest.seed for run in runs),
            runs=tuple(run.manifest.key for run in runs),
            synthetic=newest.dataset.synthetic,
            paper_model=model,
            chosen=tuple(runs),
            pooled=newest.scoring is not None and metric in newest.scoring.pooled,
        )
        for metric in newest.scores
    ]


def _interval(metric: str, scores: "Scores") -> "Interval | None":
    from lampbench.report.metric_range import score_interval

    found = score_interval(metric, scores) if scores else None
    return found if found and found.bounded else None


def _mean(runs: Sequence[Run], metric: str, over: Literal["queries", "users"]) -> float | None:
    values = [run.manifest.mean(metric, over) for run in runs]
    known = [value for value in values if value is not None]
    return mean(known) if len(known) == len(values) else None

"""From runs to cells: which runs a table shows, which it lists apart, and the means over seeds."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING, Literal

from lampbench.paper.published import paper
from lampbench.record.manifest import Manifest
from lampbench.record.runs import Run
from lampbench.scoring.aggregate import mean
from lampbench.scoring.score_table import ScoreTable
from lampbench.util.hashing import canonical, digest

if TYPE_CHECKING:
    from lampbench.report.statistics import Interval

EXTERNAL_MARK = "‡"
"""Marks runs whose answers were made elsewhere."""


@dataclass(frozen=True, slots=True, order=True)
class Setup:
    """What all rows of one table share, so that nothing but the method differs between them."""

    model: str
    model_fingerprint: str
    dtype: str
    template: str
    preset: str
    source: str


@dataclass(frozen=True, slots=True, order=True)
class Column:
    """One task's data; runs on other data never stand in the same column."""

    task: str
    fingerprint: str
    query_fingerprint: str


@dataclass(frozen=True)
class CellScore:
    """One metric of one cell.

    `mean` is over queries, `users_mean` over users' means; both are means over `seeds` and None
    where the metric could not be computed. `users` and `queries` count those with a reference.
    `scores` holds each query's mean over `seeds`, nothing where `mean` is None.
    `paper_model` is the hub id of the paper's model where the runs used one.
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
    chosen: tuple[Run, ...] = field(repr=False, compare=False)
    scores: Mapping[tuple[str, str], float] = field(repr=False, compare=False)

    @cached_property
    def interval(self) -> "Interval | None":
        """The mean's interval over users and their queries; None where too few leave it open."""
        return _interval(self.scores)

    @cached_property
    def users_interval(self) -> "Interval | None":
        """The interval of `users_mean`, each user standing for one number."""
        by_user: dict[str, list[float]] = defaultdict(list)
        for (user, _), score in self.scores.items():
            by_user[user].append(score)
        return _interval({(user, ""): mean(scores) for user, scores in by_user.items()})


@dataclass(frozen=True, slots=True)
class ExcludedRun:
    """A run that is in no table, and why."""

    run: Run
    reason: str


def records(runs: Iterable[Run]) -> tuple[list[CellScore], list[ExcludedRun]]:
    """The cells' metrics, and the runs that are in no cell, both in an order of their own.

    A cell holds runs of one method on one column of one setup with the method's default settings
    (fidelity `paper`, nothing overridden) and with every user, which differ in nothing but the
    seed. Where defaults changed between runs, or a seed was run twice, the newest counts. So it
    does where runs of one column are of different versions of lampbench or, whatever their
    fingerprints say, answer different queries.

    An external run, whose settings nobody here knows, has a row of its own, marked, in every setup
    that has runs of its model on its data; where there is none, in a setup of its own.
    """
    cells: dict[tuple[Setup, Column, str], list[Run]] = defaultdict(list)
    alike, others = _alike(sorted(runs, key=age))
    external = []
    for run in alike:
        changed = changes(run.manifest)
        if changed:
            others.append(ExcludedRun(run, changed))
        elif is_external(run):
            external.append(run)
        else:
            cells[setup_of(run), column_of(run), run.manifest.method].append(run)
    places = {(setup, column) for setup, column, _ in cells}
    for run in external:
        column = column_of(run)
        for setup in _beside(run, places):
            cells[setup, column, run.manifest.method + EXTERNAL_MARK].append(run)
    found = []
    for (setup, column, _), candidates in sorted(cells.items(), key=lambda item: item[0]):
        chosen, passed = choose(candidates)
        found += measure(setup, column, chosen)
        others += [other for other in passed if other not in others]
    return found, ordered(others)


def ordered(others: Iterable[ExcludedRun]) -> list[ExcludedRun]:
    """By task, method and key."""
    by_name = attrgetter("task", "method", "key")
    return sorted(others, key=lambda other: by_name(other.run.manifest))


def setup_of(run: Run) -> Setup:
    """The setup of a run."""
    details = run.manifest.model_details
    return Setup(
        model=run.manifest.model,
        model_fingerprint=details.fingerprint or "",
        dtype=details.dtype or "",
        template=_short(details.chat_template or ""),
        preset=run.manifest.preset,
        source=run.manifest.dataset.source,
    )


def column_of(run: Run) -> Column:
    """The data of a run."""
    data = run.manifest.dataset
    return Column(run.manifest.task, data.fingerprint, data.query_fingerprint)


def version_of(run: Run) -> str:
    """The version of lampbench that made a run."""
    return run.manifest.versions.get("lampbench") or "unknown"


def is_external(run: Run) -> bool:
    """Whether the answers of a run were made elsewhere."""
    return run.manifest.external is not None


def _beside(run: Run, places: Iterable[tuple[Setup, Column]]) -> list[Setup]:
    """The setups of our own runs that an external run stands beside."""
    model, column = run.manifest.model, column_of(run)
    found = {setup for setup, other in places if setup.model == model and other == column}
    return sorted(found) or [setup_of(run)]


def age(run: Run) -> tuple[str, str]:
    """What orders runs by time: equal clocks leave it to the keys."""
    return run.manifest.created, run.manifest.key


def _alike(runs: Sequence[Run]) -> tuple[list[Run], list[ExcludedRun]]:
    """Of runs in order of age: those like the newest of their column, and the rest.

    Runs on fewer users answer fewer queries by what their manifest says; they pass.
    """
    columns: dict[tuple[Setup, Column], list[Run]] = defaultdict(list)
    for run in runs:
        columns[setup_of(run), column_of(run)].append(run)
    alike, others = [], []
    for members in columns.values():
        whole = [run for run in members if not run.manifest.failed_users]
        queries = _queries(whole[-1]) if whole else set()
        for run in members:
            if version_of(run) != version_of(members[-1]):
                newest = f"the newest run of its column is by {version_of(members[-1])}"
                others.append(
                    ExcludedRun(run, f"by lampbench {version_of(run)}; {newest}: run it again")
                )
            elif not run.manifest.failed_users and _queries(run) != queries:
                reason = "answers other queries than the newest run of its column: run it again"
                others.append(ExcludedRun(run, reason))
            else:
                alike.append(run)
    return alike, others


def _queries(run: Run) -> set[tuple[str, str, bool]]:
    """What a run answered, and whether it could be scored."""
    scores = run.scores
    values = scores.columns.get("rouge1", (None,) * len(scores))
    unscored = (value is None for value in values)
    return set(zip(scores.users, scores.queries, unscored, strict=True))


def changes(manifest: Manifest) -> str:
    """What sets a run apart: users left out, or what was set otherwise than the default."""
    changed = []
    if aside := manifest.failed_users:
        users = manifest.dataset.test_users
        who = ", ".join(f"{user} in {why.partition(':')[0]}" for user, why in sorted(aside.items()))
        changed.append(f"scored on {users - len(aside)} of {users} users; failed: {who}")
    if manifest.fidelity != "paper" and manifest.external is None:
        changed.append(f"fidelity {manifest.fidelity}")
    for name, value in sorted(manifest.overrides.items()):
        changed.append(f"{name}={canonical(value)}")
    return ", ".join(changed)


def choose(candidates: Sequence[Run]) -> tuple[list[Run], list[ExcludedRun]]:
    """Of runs in order of age: the newest with the newest's settings, one a seed; and the rest."""
    wanted = settings_of(candidates[-1])
    chosen: dict[int, Run] = {}
    passed = []
    for run in reversed(candidates):
        if earlier := earlier_defaults(settings_of(run), wanted):
            passed.append(ExcludedRun(run, earlier))
        elif run.manifest.seed in chosen:
            passed.append(ExcludedRun(run, "an earlier run of the same cell and seed"))
        else:
            chosen[run.manifest.seed] = run
    return [chosen[seed] for seed in sorted(chosen)], passed


def earlier_defaults(settings: Mapping[str, str], wanted: Mapping[str, str]) -> str:
    """How a run's settings differ from those that are wanted; nothing if they do not."""
    changed = [
        f"{name} {settings.get(name, 'unset')} (now {wanted.get(name, 'unset')})"
        for name in sorted(settings.keys() | wanted.keys())
        if settings.get(name) != wanted.get(name)
    ]
    return f"earlier defaults: {', '.join(changed)}" if changed else ""


def settings_of(run: Run) -> dict[str, str]:
    """Every hyper-parameter's value as JSON, by path."""
    known = run.manifest.hyperparameters
    return {path: canonical(setting.value) for path, setting in known.items()}


def measure(setup: Setup, column: Column, runs: Sequence[Run]) -> list[CellScore]:
    """A cell's metrics, from its runs: one a seed, of the same queries."""
    newest = max(runs, key=age).manifest
    tables = [run.scores for run in runs]
    method = newest.method
    mark = EXTERNAL_MARK if newest.external else ""
    titles = paper()
    model = titles.model(setup.model, newest.model_details.location)
    return [
        CellScore(
            setup=setup,
            column=column,
            method=method + mark,
            method_title=(newest.method_title or titles.methods.get(method, method))
            + (f" {mark}" if mark else ""),
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
            scores={} if _mean(runs, metric, "queries") is None else _scores(tables, metric),
        )
        for metric in newest.scores
    ]


def _interval(scores: Mapping[tuple[str, str], float]) -> "Interval | None":
    from lampbench.report.statistics import interval

    found = interval(scores) if scores else None
    return None if found is None or math.isnan(found.low) else found


def _mean(runs: Sequence[Run], metric: str, over: Literal["queries", "users"]) -> float | None:
    values = [run.manifest.mean(metric, over) for run in runs]
    known = [value for value in values if value is not None]
    return mean(known) if len(known) == len(values) else None


def _scores(seeds: Sequence[ScoreTable], metric: str) -> dict[tuple[str, str], float]:
    """Each query's mean over the seeds, for queries with a reference."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for table in seeds:
        for place, value in zip(table.places, table.columns.get(metric, ()), strict=False):
            if value is not None:
                found[place].append(float(value))
    return {query: mean(values) for query, values in found.items()}


def _short(template: str) -> str:
    """A template's name, or the digest of a template that is given in full."""
    return template if len(template) <= 40 else digest(template)

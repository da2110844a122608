"""Two runs compared: how far apart they are, for which users and queries, and what differs."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

from lampbench.record.manifest import PREDICT, Manifest
from lampbench.record.recorded_run import Run
from lampbench.report.cell_scores import score_cell
from lampbench.report.metric_format import MAIN_METRIC, goals, judges
from lampbench.report.metric_range import score_difference
from lampbench.report.other_seeds import SeedComparison, compare_seeds
from lampbench.report.setups import column_of, setup_of
from lampbench.report.statistics import Paired, Scores, holm
from lampbench.scoring.aggregate import mean
from lampbench.scoring.catalog import METRICS
from lampbench.util.errors import LampbenchError
from lampbench.util.hashing import canonical

_RESULTS = {
    "key",
    "created",
    "command",
    "files",
    "counts",
    "scores",
    "prompts_shortened",
    "failed_users",
}
"""What identifies a run or results from it, which explains no difference."""
_TITLES = {"method_title", "task_title"}


@dataclass(frozen=True, slots=True)
class Difference:
    """One metric of two runs. `holm` adjusts the exchange test's p-value over the metrics."""

    metric: str
    ours: float
    theirs: float
    paired: Paired
    holm: float


@dataclass(frozen=True, slots=True)
class Change:
    """A user's mean, or a query's score, in both runs. `query` is None for a user."""

    user: str
    query: str | None
    queries: int
    ours: float
    theirs: float

    @property
    def gap(self) -> float:
        """Ours minus theirs."""
        return self.ours - self.theirs


@dataclass(frozen=True, slots=True)
class Cause:
    """A field of the manifest in which two runs differ, with both values as text."""

    path: str
    ours: str
    theirs: str


@dataclass(frozen=True, slots=True, repr=False)
class Comparison:
    """Every difference between two runs, in their scores and in their manifests.

    `users` and `queries` are ordered by how much `metric` changed, the largest change first.
    `seeds` is of `metric`; None where both are recorded with no second seed. `draws` says whether
    the scores of either depend on its seed.
    """

    ours: Run
    theirs: Run
    metric: str
    differences: tuple[Difference, ...]
    users: tuple[Change, ...]
    queries: tuple[Change, ...]
    causes: tuple[Cause, ...]
    seeds: SeedComparison | None
    draws: bool

    def __repr__(self) -> str:
        (gap,) = (one for one in self.differences if one.metric == self.metric)
        return (
            f"<Comparison: {_named(self.ours)} against {_named(self.theirs)}, {self.metric} "
            f"{gap.paired.difference.mean:+.3f}, p {gap.paired.exchange:.4f}>"
        )

    def _repr_html_(self) -> str:
        """The differences, one row per metric."""
        import pandas

        rows = [
            {
                "metric": one.metric,
                "A": one.ours,
                "B": one.theirs,
                "A - B": one.paired.difference.mean,
                "low": one.paired.difference.low,
                "high": one.paired.difference.high,
                "p (Holm)": one.holm,
            }
            for one in self.differences
        ]
        table = pandas.DataFrame(rows).to_html(index=False, float_format="%.3f", na_rep="n/a")
        head = f"A: {_named(self.ours)}, B: {_named(self.theirs)}"
        return f"<p>{escape(head)}</p>{table}"


def _named(run: Run) -> str:
    manifest = run.manifest
    return f"{manifest.method} {manifest.task} {manifest.model} seed {manifest.seed}"


def compare_runs(ours: Run, theirs: Run, metric: str = MAIN_METRIC) -> Comparison:
    """Compare two runs on the same queries of the same data.

    Raises:
        LampbenchError: both are the same run, they answered different data or queries, or `metric`
            could not be computed for one of them.
    """
    _check_comparable(ours, theirs)
    both = [
        {record.metric: record for record in score_cell(setup_of(run), column_of(run), [run])}
        for run in (ours, theirs)
    ]
    own = [name for name in both[0] if name not in METRICS and judges(name)]
    metrics = [name for name in (*own, *goals()) if all(name in r and r[name].scores for r in both)]
    if metric not in metrics:
        raise LampbenchError(
            f"{ours.path} or {theirs.path} has no {metric}: choose "
            f"{' or '.join(metrics) or 'runs whose references are known'}"
        )
    found = [score_difference(name, both[0][name].scores, both[1][name].scores) for name in metrics]
    adjusted = holm([one.exchange for one in found])
    differences = []
    for name, one, p in zip(metrics, found, adjusted, strict=True):
        first, second = (mean(records[name].scores.values()) for records in both)
        differences.append(Difference(name, first, second, one, p))
    scores = both[0][metric].scores, both[1][metric].scores
    return Comparison(
        ours=ours,
        theirs=theirs,
        metric=metric,
        differences=tuple(differences),
        users=tuple(_largest(_users(*scores))),
        queries=tuple(_largest(_queries(*scores))),
        causes=tuple(_causes(ours.manifest, theirs.manifest)),
        draws=any(records[metric].draws for records in both),
        seeds=compare_seeds(ours, theirs, metric),
    )


def _check_comparable(ours: Run, theirs: Run) -> None:
    one, other = ours.manifest, theirs.manifest
    if one.key == other.key and ours.path.resolve() == theirs.path.resolve():
        raise LampbenchError(f"{ours.path}: both names refer to this run; name two different runs")
    pairs = {
        "tasks": (one.task, other.task),
        "data (query fingerprints)": [m.dataset.query_fingerprint for m in (one, other)],
        "data (fingerprints)": [m.dataset.fingerprint for m in (one, other)],
    }
    for what, (first, second) in pairs.items():
        if first != second:
            raise LampbenchError(_refusal(ours, theirs, f"different {what}, {first} and {second}"))
    if ours.scores.has_same_places(theirs.scores):
        return
    asked = [set(run.scores.places) for run in (ours, theirs)]
    if asked[0] != asked[1]:
        alone = [len(asked[0] - asked[1]), len(asked[1] - asked[0])]
        why = f"different queries: {alone[0]} only in the first, {alone[1]} only in the second"
        if failed := sorted({**one.failed_users, **other.failed_users}):
            why += f" (failed users: {', '.join(failed)})"
        raise LampbenchError(_refusal(ours, theirs, why))


def _refusal(ours: Run, theirs: Run, why: str) -> str:
    return f"{ours.path} and {theirs.path} cannot be compared: they have {why}"


def _users(ours: Scores, theirs: Scores) -> Iterator[Change]:
    by_user: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for (user, query), score in ours.items():
        by_user[user].append((score, theirs[user, query]))
    for user, pairs in by_user.items():
        first, second = (mean(values) for values in zip(*pairs, strict=True))
        yield Change(user, None, len(pairs), first, second)


def _queries(ours: Scores, theirs: Scores) -> Iterator[Change]:
    for (user, query), score in ours.items():
        yield Change(user, query, 1, score, theirs[user, query])


def _largest(changes: Iterator[Change]) -> list[Change]:
    """Users or queries that changed, the largest change first; equal changes by name."""
    changed = [change for change in changes if change.gap != 0]
    return sorted(changed, key=lambda one: (-abs(one.gap), one.user, one.query or ""))


def _causes(ours: Manifest, theirs: Manifest) -> Iterator[Cause]:
    """What may explain a difference: settings first, then versions and hardware."""
    one, other = _explaining(ours), _explaining(theirs)
    for path in sorted(one.keys() | other.keys(), key=lambda path: (_rank(path), path)):
        first, second = one.get(path), other.get(path)
        if first != second:
            yield Cause(path, _text(first), _text(second))


def _explaining(manifest: Manifest) -> dict[str, Any]:
    """A manifest without results and costs, flat: `hyperparameters.decoding.alpha` -> value."""
    kept = {k: v for k, v in asdict(manifest).items() if k not in _RESULTS | _TITLES}
    kept["hyperparameters"] = {
        path: setting.value for path, setting in manifest.hyperparameters.items()
    }
    # the same key means the same adapters, negatives or profiles
    kept["stages"] = {one.stage: one.key for one in manifest.stages if one.stage != PREDICT}
    # of equal data, whose fingerprints have been compared, the path explains nothing
    for name in ("statistics", "source", "options"):
        del kept["dataset"][name]
    if manifest.model_details.runs_in == "float32":  # where no answer depends on it
        del kept["model_details"]["batching"]
    return dict(_flat(kept, ""))


def _flat(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, inside in value.items():
            yield from _flat(inside, f"{path}.{name}" if path else str(name))
    else:
        yield path, value


def _rank(path: str) -> int:
    first = ("method", "method_parts", "model", "preset", "fidelity", "overrides",
             "hyperparameters", "seed")  # fmt: skip
    last = ("stages", "prompt_head", "versions", "hardware")
    order: Sequence[str] = (*first, "", *last)
    top = path.partition(".")[0]
    return order.index(top) if top in order else order.index("")


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else canonical(value)

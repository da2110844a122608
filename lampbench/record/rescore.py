"""Scores of recorded runs, computed again from their predictions. No model runs."""

from collections.abc import Callable, Mapping, Set
from dataclasses import asdict, dataclass, replace
from typing import Any

from lampbench.data import DataOptions, load_dataset
from lampbench.record.publication import has_public_data
from lampbench.record.recorded_run import Run, read_run
from lampbench.record.run_lock import run_lock
from lampbench.record.write import write_run
from lampbench.registry import Registry
from lampbench.scoring import (
    METRICS,
    Histories,
    ScoreTable,
    Scoring,
    ScoringDescription,
    histories,
    score_predictions,
)
from lampbench.util.errors import LampbenchError


@dataclass(frozen=True, slots=True)
class Rescored:
    """What became of a run.

    `written` is false where everything was recorded already. `missing` says by metric why it
    could not be computed here, `changed` how many recorded values are others now.
    """

    run: Run
    written: bool
    missing: Mapping[str, str]
    changed: Mapping[str, int]


class HistorySource:
    """The histories of users, from the datasets that runs name; each dataset is read once.

    Also knows what runs' tasks say of scoring.

    `data` is where the data is now, for runs that name another place. What is read must have the
    fingerprint of the run's own data. A submitted run may name any place: without `data` it has the
    histories of bundled data alone.
    """

    def __init__(self, registry: Registry, data: str | None = None) -> None:
        self._registry = registry
        self._data = data
        self._read: dict[str, tuple[str, Histories | None, str]] = {}

    def histories(self, run: Run) -> tuple[Histories | None, str]:
        """The histories by user, or None and why."""
        manifest = run.manifest
        options = manifest.dataset.options
        if options is None:
            return None, f"the run does not say how its data, {manifest.dataset.source}, was read"
        if run.submitter is not None and self._data is None and not has_public_data(run):
            return None, (
                f"the run was submitted by {run.submitter}, and the place of data that it names is "
                "not read; name yours with --data"
            )
        values = asdict(options)
        data = self._data or values["data"]
        del values["data"]
        name = f"{manifest.task} {data} {values}"
        if name not in self._read:
            self._read[name] = self._load(manifest.task, data, values)
        found, texts, why = self._read[name]
        wanted = manifest.dataset.fingerprint
        if texts is not None and found != wanted:
            why = (
                f"{data} is not the data of the run (fingerprint {found}, not {wanted}); "
                "name the place of the right data with --data"
            )
            return None, why
        return texts, why

    def for_task(self, scoring: Scoring, task: str) -> Scoring:
        """The scoring with a task's choices, and its metrics beside those of every run.

        Where the task's plugin is not here, both are unknown.
        """
        if task not in self._registry.names("task"):
            return scoring
        found = self._registry.task(task)
        every = set(METRICS) <= set(scoring.metrics)
        own = tuple(found.metrics) if every else ()
        return replace(scoring, metrics=(*scoring.metrics, *own), choices=found.choices)

    def _load(
        self, task: str, data: str, options: dict[str, Any]
    ) -> tuple[str, Histories | None, str]:
        try:
            dataset = load_dataset(self._registry.task(task), data, DataOptions(**options))
        except LampbenchError as error:
            return "", None, f"the data of the run is not at hand ({error})"
        return dataset.fingerprint, histories(dataset), ""


def rescore(
    run: Run,
    scoring: Scoring,
    source: HistorySource,
    report: Callable[[int], object] | None = None,
) -> Rescored:
    """Compute the metrics of `scoring` for a run and record it again if anything differs.

    Columns of other metrics stay as they are, and so does a recorded column that cannot be
    computed here: it belongs to the same predictions. The run is locked and read again first, so
    that several processes may score it at once.

    Raises:
        LampbenchError: a metric fails, the run is damaged, or the disk refuses; the run is as it
            was.
    """
    with run_lock(run.path):
        return _rescore(read_run(run.path), scoring, source, report)


def _rescore(
    run: Run,
    scoring: Scoring,
    source: HistorySource,
    report: Callable[[int], object] | None,
) -> Rescored:
    if run.manifest.private:
        return _private(run, scoring)
    scoring = source.for_task(scoring, run.manifest.task)
    metrics = scoring.load()
    missing = dict(scoring.missing())
    if not scoring.choices:
        why = f"task {run.manifest.task} has no fixed set of answers here"
        missing.update({m.name: why for m in metrics if m.reads_choices})
    if any(metric.reads_history for metric in metrics):
        texts, why = source.histories(run)
        scoring = replace(scoring, histories=texts)
        if texts is None:
            missing.update({m.name: why for m in metrics if m.reads_history})
    predictions, before = run.answers_and_scores
    fresh = score_predictions(predictions, report, scoring)
    kept = {
        name for name in missing if any(value is not None for value in before.columns.get(name, ()))
    }
    taken = {m.name: fresh.columns[m.name] for m in metrics if m.name not in kept}
    scores = replace(before, columns={**before.columns, **taken})
    missing = {name: why for name, why in missing.items() if name not in kept}
    renewed = {metric.name for metric in metrics} - kept
    described = _described(
        run.manifest.scoring, scoring, renewed, missing, before.columns.keys() - renewed
    )
    if scores == before and described == run.manifest.scoring and run.format_1 is None:
        return Rescored(run, False, missing, {})
    manifest = replace(run.manifest, scoring=described)
    results = run.path.parents[3]
    if run.format_1 is not None:
        run.format_1.write_shared_files(run.manifest, results)
    written = write_run(results, manifest, predictions, scores, replace=True, metrics=metrics)
    return Rescored(written, True, missing, _changed(before, scores))


def _private(run: Run, scoring: Scoring) -> Rescored:
    """A private run as it is: its scores stay, others cannot be computed without the texts."""
    known = run.scores.columns
    why = "the run is private: it recorded no texts"
    absent = {metric.name: why for metric in scoring.load() if metric.name not in known}
    return Rescored(run, False, absent, {})


def _described(
    before: ScoringDescription | None,
    scoring: Scoring,
    renewed: Set[str],
    missing: Mapping[str, str],
    stay: Set[str],
) -> ScoringDescription:
    """The run's `scoring`: as it was for columns that stay, as of now for the others."""
    known = before or ScoringDescription({}, {}, {})
    now = scoring.describe()
    versions = known.versions if stay else now.versions
    others = {name: v for name, v in now.versions.items() if v != versions.get(name)}
    computed = sorted(renewed - missing.keys()) if others else ()
    signatures = {n: s for n, s in known.signatures.items() if n not in renewed}
    kept_pooled = [name for name in known.pooled if name not in renewed]
    reasons = {n: why for n, why in known.missing.items() if n not in renewed}
    return ScoringDescription(
        signatures={**signatures, **now.signatures},
        missing={**reasons, **missing},
        versions=versions,
        pooled=tuple(dict.fromkeys([*kept_pooled, *now.pooled])),
        rescored={
            **{name: known.rescored[name] for name in known.rescored.keys() & stay},
            **dict.fromkeys(computed, others),
        },
    )


def _changed(before: ScoreTable, after: ScoreTable) -> dict[str, int]:
    """How many values were recorded and are others now, by metric."""
    found = {
        name: sum(
            old is not None and old != new
            for old, new in zip(values, after.columns[name], strict=True)
        )
        for name, values in before.columns.items()
    }
    return {name: count for name, count in found.items() if count}

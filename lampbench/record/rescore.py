"""Scores of recorded runs, computed anew from their predictions. No model runs."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lampbench.data import DataOptions, load
from lampbench.plugin.metric import Metric
from lampbench.record.runs import Run, write_run
from lampbench.registry import Registry
from lampbench.scoring import Scoring, histories, score_predictions
from lampbench.util.errors import LampbenchError

Histories = Mapping[str, tuple[str, ...]]
_COMPUTED = ("format", "files", "counts", "scores")


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


class Sources:
    """The histories of users, from the datasets that runs name; each dataset is read once.

    `data` is where the data stands now, for runs that name another place. What is read must have
    the fingerprint of the run's own data.
    """

    def __init__(self, registry: Registry, data: str | None = None) -> None:
        self._registry = registry
        self._data = data
        self._read: dict[str, tuple[str, Histories | None, str]] = {}

    def histories(self, manifest: Mapping[str, Any]) -> tuple[Histories | None, str]:
        """The histories by user, or None and why."""
        asked = {**_asked(manifest["dataset"])}
        if self._data is not None:
            asked["data"] = self._data
        name = f"{manifest['task']} {sorted(asked.items())}"
        if name not in self._read:
            self._read[name] = self._load(manifest["task"], asked)
        found, texts, why = self._read[name]
        wanted = manifest["dataset"]["fingerprint"]
        if texts is not None and found != wanted:
            why = (
                f"{asked['data']} is not the data of the run (fingerprint {found}, not {wanted}); "
                "name the place of the right data with --data"
            )
            return None, why
        return texts, why

    def _load(self, task: str, asked: dict[str, Any]) -> tuple[str, Histories | None, str]:
        options = {name: value for name, value in asked.items() if name != "data"}
        try:
            dataset = load(self._registry.task(task), asked["data"], DataOptions(**options))
        except (LampbenchError, TypeError) as error:
            return "", None, f"the data of the run is not at hand ({error})"
        return dataset.fingerprint, histories(dataset), ""


def rescore(
    run: Run,
    scoring: Scoring,
    sources: Sources,
    report: Callable[[int], object] | None = None,
) -> Rescored:
    """Compute the metrics of `scoring` for a run and record it anew where anything differs.

    Columns of other metrics stay as they are, and so does a recorded column that cannot be
    computed here: it belongs to the same predictions.

    Raises:
        LampbenchError: a metric fails, or the disk refuses; the run is as it was.
    """
    metrics = scoring.load()
    missing = dict(scoring.missing())
    if any(metric.reads_history for metric in metrics):
        texts, why = sources.histories(run.manifest)
        scoring = replace(scoring, histories=texts)
        if texts is None:
            missing.update({m.name: why for m in metrics if m.reads_history})
    predictions, before = run.predictions, run.scores
    fresh = score_predictions(predictions, report, scoring)
    kept = {name for name in missing if any(row.get(name) is not None for row in before)}
    taken = [metric.name for metric in metrics if metric.name not in kept]
    rows = [
        {**old, **{name: new[name] for name in taken}}
        for old, new in zip(before, fresh, strict=True)
    ]
    manifest = {k: v for k, v in run.manifest.items() if k not in _COMPUTED}
    missing = {name: why for name, why in missing.items() if name not in kept}
    manifest["scoring"] = _described(run.manifest.get("scoring"), scoring, metrics, missing, kept)
    if rows == before and manifest["scoring"] == run.manifest.get("scoring"):
        return Rescored(run, False, missing, {})
    written = write_run(run.path.parents[3], manifest, predictions, rows, replace=True)
    return Rescored(written, True, missing, _changed(before, rows))


def _described(
    before: Any,
    scoring: Scoring,
    metrics: Sequence[Metric],
    missing: Mapping[str, str],
    kept: set[str],
) -> dict[str, Any]:
    """The run's `scoring`: as it was for columns that stay, as of now for the others."""
    known = before if isinstance(before, Mapping) else {}
    now = scoring.describe()
    renewed = {metric.name for metric in metrics} - kept
    signatures = {n: s for n, s in known.get("signatures", {}).items() if n not in renewed}
    reasons = {n: why for n, why in known.get("missing", {}).items() if n not in renewed}
    return {
        "signatures": {**signatures, **now["signatures"]},
        "missing": {**reasons, **missing},
        "versions": now["versions"],
    }


def _changed(
    before: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]
) -> dict[str, int]:
    """How many values were recorded and are others now, by metric."""
    found: dict[str, int] = {}
    for old, new in zip(before, rows, strict=True):
        for name, value in old.items():
            if value is not None and new[name] != value:
                found[name] = found.get(name, 0) + 1
    return found


def _asked(dataset: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a run's data was read by."""
    if isinstance(dataset.get("asked"), Mapping) and "data" in dataset["asked"]:
        return dict(dataset["asked"])
    # Earlier manifests hold the source as it is shown, "lamp:DIR (user split: train, dev)", and
    # not the options; if these were others than the defaults, the fingerprint tells.
    return {
        "data": re.sub(r" \([^()]*\)$", "", dataset["source"]),
        "users": dataset.get("test_users"),
    }

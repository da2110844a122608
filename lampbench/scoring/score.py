"""Scores of predictions, row by row, and what they are computed by."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lampbench.plugin.metric import Answer, Metric
from lampbench.registry import Registry
from lampbench.scoring.catalog import METRICS
from lampbench.scoring.metric_values import metric_value
from lampbench.scoring.past_texts import Histories
from lampbench.scoring.prediction_row import PredictionRow
from lampbench.util.machine import releases

_PACKAGES = ("rouge-score", "nltk", "sacrebleu")


@dataclass(frozen=True, slots=True)
class ScoringDescription:
    """What scores depend on besides the texts, for the manifest.

    `signatures` are the settings of metrics that have any, `missing` says why a metric could not
    be computed, `versions` are those of the scoring libraries; by name. `pooled` are the metrics
    whose number is no mean of the queries' values (`Metric.summary`). `rescored` has, by metric,
    the versions in which a later scoring of this metric differed from `versions`.
    """

    signatures: Mapping[str, str]
    missing: Mapping[str, str]
    versions: Mapping[str, str | None]
    pooled: tuple[str, ...] = ()
    rescored: Mapping[str, Mapping[str, str | None]] = field(default_factory=dict)

    def versions_of(self, metric: str) -> dict[str, str | None]:
        """The scoring libraries' versions when a metric was computed."""
        return {**self.versions, **self.rescored.get(metric, {})}


@dataclass(frozen=True)
class Scoring:
    """What is computed, in a form that other processes can load for themselves.

    `metrics` are names that the registry knows, `plugins` where it looks for more. `histories`
    holds the texts that each user wrote before, by user id; a user who is not in it, or all where
    it is None, has no value of a metric that reads history. `choices` are the task's possible
    answers, empty where it has no fixed set.
    """

    metrics: tuple[str, ...] = tuple(METRICS)
    plugins: tuple[Path, ...] = ()
    histories: Histories | None = None
    choices: tuple[str, ...] = ()

    def load(self) -> list[Metric]:
        """The metrics.

        Raises:
            LampbenchError: no metric of that name, or its file is broken.
        """
        registry = Registry(self.plugins)
        return [registry.metric(name) for name in dict.fromkeys(self.metrics)]

    def missing(self) -> dict[str, str]:
        """Why the metrics that cannot be computed here cannot, one line each."""
        found = {metric.name: metric.missing() for metric in self.load()}
        return {name: reason for name, reason in found.items() if reason}

    def describe(self) -> ScoringDescription:
        """What the numbers depend on besides the texts, and what is missing."""
        missing = self.missing()
        usable = [metric for metric in self.load() if metric.name not in missing]
        signatures = {metric.name: sign for metric in usable if (sign := metric.signature())}
        pooled = tuple(metric.name for metric in self.load() if metric.pooled)
        return ScoringDescription(signatures, missing, releases(_PACKAGES), pooled)


def iter_scores(
    predictions: Iterable[PredictionRow], scoring: Scoring | None = None
) -> Iterator[dict[str, Any]]:
    """The scores of each prediction (`user`, `query` and a value for each metric), in order, each
    as soon as it is computed.

    Prediction and reference are stripped of outer white space first, as LaMP's evaluation does.
    Where the reference is None (withheld), every metric that compares is None; a metric is None
    throughout where its `missing` says why.

    Raises:
        LampbenchError: a metric failed, or gave what is no number of its range.
    """
    scoring = scoring or Scoring()
    yield from score_rows(predictions, scoring, scoring.load())


def score_rows(
    predictions: Iterable[PredictionRow], scoring: Scoring, metrics: Sequence[Metric]
) -> Iterator[dict[str, Any]]:
    """As `iter_scores`, by metrics that are loaded; batched ones are left out."""
    metrics = [metric for metric in metrics if not metric.batched]
    missing = {metric.name for metric in metrics if metric.missing() is not None}
    for row in predictions:
        answer = answer_of(row, scoring)
        values = {
            metric.name: None if metric.name in missing else metric_value(metric, answer)
            for metric in metrics
        }
        yield {"user": answer.user, "query": answer.query, **values}


def answer_of(row: PredictionRow, scoring: Scoring) -> Answer:
    """What metrics read of a prediction.

    Raises:
        ValueError: it has no text, as in a private run.
    """
    if row.prediction is None:
        raise ValueError("a private run has no texts that could be scored")
    return Answer(
        user=row.user,
        query=row.query,
        text=row.prediction.strip(),
        reference=None if row.reference is None else row.reference.strip(),
        truncated=row.truncated,
        history=None if scoring.histories is None else scoring.histories.get(row.user),
        choices=scoring.choices,
    )

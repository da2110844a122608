"""The built-in metrics that every run is scored by, in the order of tables."""

from collections.abc import Iterator, Mapping
from functools import cache

from lampbench.plugin.metric import Metric
from lampbench.registry import Registry
from lampbench.util.errors import LampbenchError

_NAMES = (
    "rouge1",
    "rougeL",
    "meteor",
    "words",
    "reference_words",
    "truncated",
    "repetition",
    "rouge2",
    "bleu",
    "length_ratio",
    "distinct1",
    "distinct2",
    "style",
    "history_copy",
    "reference_history_copy",
)

CONTROLS = ("rouge1", "rougeL", "meteor", "words", "reference_words", "truncated", "repetition")
"""Those of the table of controls, which every run has."""


class _Builtin(Mapping[str, Metric]):
    """Names at once; a metric's file is imported when the metric is first asked for."""

    def __getitem__(self, name: str) -> Metric:
        if name not in _NAMES:
            raise KeyError(name)
        metric: Metric = _registry().metric(name)
        return metric

    def __iter__(self) -> Iterator[str]:
        return iter(_NAMES)

    def __len__(self) -> int:
        return len(_NAMES)


METRICS: Mapping[str, Metric] = _Builtin()
"""By name. Metrics of single tasks and those that need a model or a service are not among them."""


def find_metric(name: str) -> Metric | None:
    """A metric by name; None if a run has it from a plugin that is missing or broken here."""
    return _find_metric(name)


def is_built_in(name: str) -> bool:
    """Whether a metric is one of this package's own."""
    metric = find_metric(name)
    return metric is not None and type(metric).__module__.startswith("lampbench.metrics.")


@cache
def _find_metric(name: str) -> Metric | None:
    try:
        return _registry().metric(name)
    except LampbenchError:
        return None


@cache
def _registry() -> Registry:
    return Registry()

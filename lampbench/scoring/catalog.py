"""The built-in metrics that every run is scored by, in the order of tables."""

from collections.abc import Iterator, Mapping
from functools import cached_property

from lampbench.plugin.metric import Metric
from lampbench.registry import Registry

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

    @cached_property
    def _registry(self) -> Registry:
        return Registry()

    def __getitem__(self, name: str) -> Metric:
        if name not in _NAMES:
            raise KeyError(name)
        metric: Metric = self._registry.metric(name)
        return metric

    def __iter__(self) -> Iterator[str]:
        return iter(_NAMES)

    def __len__(self) -> int:
        return len(_NAMES)


METRICS: Mapping[str, Metric] = _Builtin()
"""By name. Metrics that need a model or a service are not among them."""

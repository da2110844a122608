"""How tables show a metric: its title and its decimals, also where the metric is unknown here."""

from functools import cache

from lampbench.plugin.metric import Metric
from lampbench.registry import Registry
from lampbench.util.errors import LampbenchError

PAPER_METRICS = ("rouge1", "rougeL")
"""The metrics of the paper's tables."""
UNKNOWN_DIGITS = 3
"""Decimals of a metric that the registry does not know."""


def metric_title(name: str) -> str:
    """The heading of a metric's column: the name itself where the registry does not know it."""
    metric = _known(name)
    return metric.title if metric else name


def metric_digits(name: str) -> int:
    """How many decimals of a metric are shown."""
    metric = _known(name)
    return metric.digits if metric else UNKNOWN_DIGITS


def is_goal(name: str) -> bool:
    """Whether methods are judged by a metric, which is so where higher is better."""
    metric = _known(name)
    return metric is not None and metric.better == "higher"


@cache
def _known(name: str) -> Metric | None:
    """The metric, None if a run has it from a plugin that is missing or broken here."""
    try:
        metric: Metric = _registry().metric(name)
    except LampbenchError:
        return None
    return metric


@cache
def _registry() -> Registry:
    return Registry()

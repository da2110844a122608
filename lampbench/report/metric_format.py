"""How tables show a metric: its title and its decimals, also where the metric is unknown here."""

from lampbench.scoring.catalog import find_metric

PAPER_METRICS = ("rouge1", "rougeL")
"""The metrics of the paper's tables."""
UNKNOWN_DIGITS = 3
"""Decimals of a metric that the registry does not know."""


def metric_title(name: str) -> str:
    """The heading of a metric's column: the name itself where the registry does not know it."""
    metric = find_metric(name)
    return metric.title if metric else name


def metric_digits(name: str) -> int:
    """How many decimals of a metric are shown."""
    metric = find_metric(name)
    return metric.digits if metric else UNKNOWN_DIGITS


def is_goal(name: str) -> bool:
    """Whether methods are judged by a metric, which is so where higher is better."""
    metric = find_metric(name)
    return metric is not None and metric.better == "higher"

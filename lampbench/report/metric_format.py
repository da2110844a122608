"""How tables show a metric: its title and its decimals, also where the metric is unknown here."""

from lampbench.scoring.catalog import METRICS, find_metric

PAPER_METRICS = ("rouge1", "rougeL")
"""The metrics of the paper's tables."""
MAIN_METRIC = PAPER_METRICS[-1]
"""The metric by which methods are compared where one alone is shown."""
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


def goals() -> list[str]:
    """The metrics of every run by which methods are judged, in the order of tables."""
    return [name for name in METRICS if is_goal(name)]


def lower_is_better(name: str) -> bool:
    """Whether a metric is an error: the lowest of a column is the best."""
    metric = find_metric(name)
    return metric is not None and metric.better == "lower"


def reads_choices(name: str) -> bool:
    """Whether a metric is of tasks whose answers are from a fixed set."""
    metric = find_metric(name)
    return metric is not None and metric.reads_choices


def judges(name: str) -> bool:
    """Whether a metric compares answers with references, so that methods are ranked by it."""
    metric = find_metric(name)
    return metric is not None and metric.compares and metric.better != "neither"

"""What each column of `scores.jsonl` is."""

from dataclasses import dataclass
from typing import Literal

Better = Literal["higher", "lower", "neither"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One number a query.

    `high` is None where there is no upper end. `better` says which end is desirable; "neither"
    marks a control that explains scores but is no goal. A metric that `compares` needs a
    reference text. `digits` are the decimals shown in tables.
    """

    name: str
    title: str
    low: float
    high: float | None
    better: Better
    compares: bool
    digits: int = 3


METRICS = {
    metric.name: metric
    for metric in (
        Metric("rouge1", "ROUGE-1", 0.0, 1.0, "higher", compares=True),
        Metric("rougeL", "ROUGE-L", 0.0, 1.0, "higher", compares=True),
        Metric("meteor", "METEOR", 0.0, 1.0, "higher", compares=True),
        Metric("words", "Words", 0.0, None, "neither", compares=False, digits=1),
        Metric("reference_words", "Words of reference", 0.0, None, "neither", True, digits=1),
        Metric("clipped", "Clip rate", 0.0, 1.0, "lower", compares=False),
        Metric("repetition", "Repetition", 0.0, 1.0, "lower", compares=False),
    )
}

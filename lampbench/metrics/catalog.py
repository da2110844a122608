"""The built-in metrics that every run is scored by."""

from lampbench.metric import Metric
from lampbench.metrics.bleu import Bleu
from lampbench.metrics.copying import HistoryCopy, ReferenceHistoryCopy
from lampbench.metrics.meteor import Meteor
from lampbench.metrics.output import (
    Clipped,
    Distinct1,
    Distinct2,
    LengthRatio,
    ReferenceWords,
    Repetition,
    Words,
)
from lampbench.metrics.rouge import Rouge1, Rouge2, RougeL
from lampbench.metrics.style import Style

CONTROLS = ("rouge1", "rougeL", "meteor", "words", "reference_words", "clipped", "repetition")
"""Those of the table of controls, which every run has."""

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Rouge1(),
        RougeL(),
        Meteor(),
        Words(),
        ReferenceWords(),
        Clipped(),
        Repetition(),
        Rouge2(),
        Bleu(),
        LengthRatio(),
        Distinct1(),
        Distinct2(),
        Style(),
        HistoryCopy(),
        ReferenceHistoryCopy(),
    )
}
"""By name, in the order of tables. Metrics that need a model or a service are not among them."""

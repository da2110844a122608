"""The seeds on which methods, or values of a setting, are compared: one rule for all tables."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from lampbench.record.recorded_run import Run
from lampbench.report.cell_scores import CellScore
from lampbench.report.draws import draws
from lampbench.scoring.query_scores import score_differences

if TYPE_CHECKING:
    from lampbench.report.statistics import Scores

NONE_COMMON = "none common"
"""Instead of a number of seeds, where none is common."""


def common_seeds(groups: Sequence[Sequence[Run]]) -> list[int]:
    """The seeds on which groups of runs are compared, each group of one method or one value.

    They are those that every group has, so that nothing else differs. A group that draws nothing
    scores the same with every seed, and so has the seeds of the others; where no group draws, one
    seed stands for all, the lowest of the first group. Where no seed is common, the list is empty:
    means over each group's own seeds are compared, and there is no difference for a seed.
    """
    drawn = [{run.manifest.seed for run in runs} for runs in groups if draws(runs[-1])]
    if drawn:
        return sorted(set.intersection(*drawn))
    return [min(run.manifest.seed for run in groups[0])]


def on_common_seeds(groups: Sequence[Sequence[Run]]) -> list[Sequence[Run]]:
    """The runs of each group that are compared: all of a group that draws nothing."""
    common = common_seeds(groups)
    return [
        [run for run in runs if run.manifest.seed in common] if common and draws(runs[-1]) else runs
        for runs in groups
    ]


def compared_scores(*scores: CellScore) -> "list[Scores]":
    """The scores by which methods are compared: each query's mean over common seeds."""
    kept = on_common_seeds([score.chosen for score in scores])
    return [
        score.scores if len(runs) == len(score.chosen) else score.over_runs(runs)
        for score, runs in zip(scores, kept, strict=True)
    ]


def gaps_by_seed(ours: CellScore, theirs: CellScore) -> "Mapping[int, Scores]":
    """Our scores minus theirs for each common seed; empty where either has no scores.

    Raises:
        LampbenchError: the two have scores of different queries.
    """
    gaps: dict[int, Scores] = {}
    if ours.scores and theirs.scores:
        for seed in common_seeds((ours.chosen, theirs.chosen)):
            gaps[seed] = score_differences(ours.with_seed(seed), theirs.with_seed(seed))
    return gaps

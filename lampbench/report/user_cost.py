"""What a run cost per test user."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from lampbench.record.manifest import PREDICT
from lampbench.record.recorded_run import Run
from lampbench.scoring.aggregate import mean


@dataclass(frozen=True, slots=True)
class UserCost:
    """Seconds and tokens per test user, before the first answer and for the answers.

    Before: training, profiles and sampled negatives, including those that an earlier run made; what
    all users share is divided among them. Tokens are those trained on, read and generated.
    """

    before_seconds: float
    answer_seconds: float
    before_tokens: float
    answer_tokens: float

    @property
    def tokens(self) -> float:
        """All tokens per user."""
        return self.before_tokens + self.answer_tokens


def mean_cost(runs: Sequence[Run]) -> UserCost | None:
    """The mean cost of runs, None where their manifests have no stages."""
    found = [cost for cost in map(_cost, runs) if cost is not None]
    if not found or len(found) < len(runs):
        return None
    return UserCost(*(mean(getattr(cost, one.name) for cost in found) for one in fields(UserCost)))


def _cost(run: Run) -> UserCost | None:
    stages = run.manifest.stages
    # what users cost who were removed on request is still in the stages
    users = run.manifest.counts.users + run.manifest.dataset.removed_users
    if not stages or not users:
        return None
    sums = {
        "before_seconds": 0.0,
        "answer_seconds": 0.0,
        "before_tokens": 0.0,
        "answer_tokens": 0.0,
    }
    for stage in stages:
        when = "answer" if stage.stage == PREDICT else "before"
        tokens = stage.trained_tokens + stage.prompt_tokens + stage.new_tokens
        sums[f"{when}_seconds"] += stage.seconds / users
        sums[f"{when}_tokens"] += tokens / users
    return UserCost(**sums)

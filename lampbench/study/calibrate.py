"""Measuring what stages cost here: small runs of the methods that are planned, thrown away."""

import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from lampbench.core.dataset import Dataset, User
from lampbench.core.task import Task
from lampbench.data import DataOptions, load_dataset
from lampbench.engine.pool import EnginePool
from lampbench.execution.options import GridPoint, RunOptions, engine_pool, grid_plans
from lampbench.execution.plan import Plan
from lampbench.execution.runner import execute
from lampbench.record.recorded_run import read_run
from lampbench.study.cost_profile import CostProfile, Rate, rate_place
from lampbench.study.estimate import stage_estimates
from lampbench.study.token_cost import Lengths
from lampbench.util.machine import hardware
from lampbench.util.progress import Progress

_COMMAND = "lampbench plan --calibrate"
CALIBRATION_USERS = 12
"""Test users of the larger of two measured runs; the other has a third of them."""
_TRAINING_QUERIES, _FEWEST = 64, 8
"""Queries of task-training users, at most, that the larger run trains on, and the first one."""


@dataclass(frozen=True, slots=True)
class FewUsers:
    """Loads a few of a dataset's users: `users` test users from everywhere in its order, and
    task-training users with at most `queries` queries, or one user.
    """

    users: int
    queries: int = _TRAINING_QUERIES

    def __call__(self, task: Task, data: str, options: DataOptions) -> Dataset:
        """The part of the data.

        Raises:
            LampbenchError: data is malformed or missing.
        """
        whole = load_dataset(task, data, options)
        step = max(1, len(whole.test_users) // self.users)
        train: list[User] = []
        queries = 0
        for user in whole.train_users:
            if train and queries + len(user.queries) > self.queries:
                break
            train.append(user)
            queries += len(user.queries)
        tested = whole.test_users[::step][: self.users]
        return replace(whole, train_users=tuple(train), test_users=tested)


def calibrate(
    choices: RunOptions,
    points: Sequence[GridPoint],
    users: int = CALIBRATION_USERS,
    before: float = 0.0,
) -> CostProfile:
    """Run what is planned on a few users, in a folder of its own, and measure every stage.

    The first seed and the first point of a grid are measured, at two sizes, since what a token
    costs depends on how full a batch is. A first run on fewer users loads the model and imports
    what is needed: what it took beyond its work, and the seconds that this process had taken
    `before`, are the time that every process needs to start.

    Raises:
        LampbenchError: an input is bad.
    """
    rates: dict[str, Rate] = {}
    recording: list[Rate] = []
    start = 0.0
    with ExitStack() as at_end:
        place = at_end.enter_context(tempfile.TemporaryDirectory(prefix="lampbench-calibrate-"))
        pool = engine_pool(replace(choices, cache_dir=Path(place)), Progress())
        at_end.callback(pool.close)
        sizes = (
            FewUsers(1, _FEWEST),
            FewUsers(max(1, users // 4), _TRAINING_QUERIES // 4),
            FewUsers(users, _TRAINING_QUERIES),
        )
        divided = [
            _plans(choices, points[:1], Path(place, str(number)), pool, size)
            for number, size in enumerate(sizes)
        ]
        for first, few, many in zip(*divided, strict=True):
            began = time.monotonic()
            least, _ = _measured(first)
            taken = time.monotonic() - began
            less, recorded_less = _measured(few)
            more, recorded_more = _measured(many)
            measured = {
                name: Rate.through(less[name], more[name]) for name in more if more[name][1]
            }
            recording.append(Rate.through(recorded_less, recorded_more))
            work = sum(measured[name].of(least[name][1]) for name in measured)
            start = max(start, taken - work - recording[-1].of(_answers(first)))
            rates |= measured
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    here = hardware(choices.device)
    machine = here.accelerator or f"{here.cpu}, {here.threads} threads"
    per_answer, per_run = (
        sum(values) / max(1, len(recording))
        for values in ([one.per_token for one in recording], [one.fixed for one in recording])
    )
    return CostProfile(machine, rates, per_answer, per_run, before + start, peak)


def _plans(
    choices: RunOptions,
    points: Sequence[GridPoint],
    folder: Path,
    pool: EnginePool,
    load: FewUsers,
) -> list[Plan]:
    """The plans for a few users and the first seed, in a folder of their own."""
    small = replace(choices, seeds=choices.seeds[:1], cache_dir=folder / "cache")
    return [plan for _, plan in grid_plans(small, points, folder / "results", pool, load)]


def _answers(plan: Plan) -> int:
    return sum(len(user.queries) for user in plan.spec.dataset.test_users)


Measured = tuple[float, int]
"""Seconds, and how much was done in them: estimated tokens, or answers."""


def _measured(plan: Plan) -> tuple[dict[str, Measured], Measured]:
    """Carry out a plan: seconds and estimated tokens of what was not there already, by place, and
    seconds and answers of what is outside the stages.
    """
    began = time.monotonic()
    estimated = stage_estimates(plan, Lengths(plan.executor.model_spec))
    results = plan.folder.parents[3]
    stages = read_run(execute(plan, _COMMAND, results)).manifest.stages
    found = {}
    for ours, theirs in zip(estimated, stages, strict=True):
        tokens = [ours.cost.read, ours.cost.trained, ours.cost.written]
        known = None not in tokens and not theirs.cached
        place = str(rate_place(plan, ours.stage))
        seconds = 0.0 if theirs.cached else theirs.seconds
        found[place] = seconds, sum(one or 0 for one in tokens) if known else 0
    others = time.monotonic() - began - sum(seconds for seconds, _ in found.values())
    return found, (max(0.0, others), _answers(plan))

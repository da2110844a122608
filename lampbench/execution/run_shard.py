"""One shard of a run; the process that ends last records the run."""

from pathlib import Path

from lampbench.execution.make_answers import make_answers
from lampbench.execution.plan import Plan
from lampbench.execution.runner import accept_record, execute
from lampbench.execution.shard import Shard
from lampbench.execution.shard_answers import (
    answered_otherwise,
    drop_journals,
    has_answers,
    store_answers,
    unanswered,
)


def answer_shard(plan: Plan, shard: Shard, *, again: bool = False) -> bool:
    """Make what a shard's users need and their predictions, and store these in the cache.

    Nothing is done where that has been done, or where the run is recorded and not made `again`.

    Returns:
        Whether the run is recorded already.

    Raises:
        DamagedRun: the run is recorded already, and is not what was written.
        LampbenchError: an input is bad; what was finished before stays in the cache.
    """
    cache = plan.executor.cache
    what = f"answers of {plan.title}, shard {shard}"
    if not has_answers(plan, shard):
        with cache.lock(f"run-{plan.folder.name}", what, shard):
            if plan.done and not again:
                accept_record(plan)
                return True
            if not has_answers(plan, shard):
                if again and cache.remote is not None:
                    # the driver deletes what its own machine received, and this is another one
                    drop_journals(plan, shard)
                store_answers(plan, shard, make_answers(plan, shard))
    return False


def execute_shard(plan: Plan, shard: Shard, command: str, results: Path) -> Path | None:
    """Carry out a shard's part of a plan; record the run if no other shard is left to be done.

    Returns:
        The folder of the recorded run; None while shards are left.

    Raises:
        DamagedRun: the run is recorded already, and is not what was written.
        LampbenchError: an input is bad; what was finished before stays in the cache.
    """
    if answer_shard(plan, shard):
        return plan.folder
    left = unanswered(plan, shard.count)
    if left and not plan.done:  # another process may have recorded it meanwhile
        named = ", ".join(f"{index}/{shard.count}" for index in left[:_NAMED])
        more = f" and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
        hint = ""
        if other := answered_otherwise(plan, shard.count):
            hint = (
                f" (shard {other[0]}/{shard.count} was answered with another --rewards or "
                "--private: give all shards the same)"
            )
        plan.executor.progress.say(
            f"{plan.title}: shard {shard} is done; the run is recorded after {named}{more}{hint}"
        )
        return None
    return execute(plan, command, results)


_NAMED = 8
"""How many of the shards that are left a message names."""

"""The stages of plans as rows of a table, and what messages call them."""

from collections.abc import Iterator, Sequence

from lampbench.execution.plan import Plan, Stage
from lampbench.execution.shard import ALL_USERS, Shard
from lampbench.record.manifest import PREDICT
from lampbench.util.stage_rows import StageRow

SCORE = "score"
"""What progress calls the last stage of a run."""


def stage_title(plan: Plan, stage: str) -> str:
    """What messages call a stage of a run."""
    return f"{plan.title}: {stage}"


def stage_rows(plans: Sequence[Plan], shard: Shard = ALL_USERS) -> list[StageRow]:
    """One row per stage of runs, for the owners in a shard; other shards leave scoring open."""
    names = _names(plans)
    return [
        StageRow(plan.folder.name, name, plan.spec.task.name, stage_title(plan, stage), total)
        for plan, name in zip(plans, names, strict=True)
        for stage, total in _stages(plan, shard)
    ]


def all_is_made(plan: Plan) -> None:
    """Tell a table that nothing but the scores of a run is left to be made."""
    for stage, total in _stages(plan, ALL_USERS):
        if stage != SCORE:
            plan.executor.progress.reuse(stage_title(plan, stage), total, run=plan.folder.name)


def _stages(plan: Plan, shard: Shard) -> Iterator[tuple[str, int]]:
    """Names of stages in order, each with how many owners it has."""
    parts: list[Stage] = [stage.part(shard) for stage in plan.stages]
    yield from ((part.name, len(part.owners)) for part in parts)
    users = plan.spec.dataset.test_users
    queries = sum(len(user.queries) for user in users if user.id in shard)
    yield PREDICT, queries
    if shard == ALL_USERS:
        yield SCORE, queries


def _names(plans: Sequence[Plan]) -> list[str]:
    """The methods, each with what else sets its run apart from the others of the study."""
    facts = [
        {
            "model": plan.spec.model,
            "seed": f"seed {plan.spec.seed}",
            "history": f"max-history {plan.spec.dataset.max_history}",
            **{path: f"{path}={setting.value}" for path, setting in plan.overridden.items()},
        }
        for plan in plans
    ]
    varied = [
        name
        for name in dict.fromkeys(name for each in facts for name in each)
        if len({each.get(name) for each in facts}) > 1
    ]
    return [
        ", ".join([plan.method.name, *(each[name] for name in varied if name in each)])
        for plan, each in zip(plans, facts, strict=True)
    ]

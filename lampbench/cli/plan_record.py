"""A plan as programs read it (`run --dry-run --format json`; docs/json-output.md)."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lampbench.execution.plan import Plan


def plan_record(plan: "Plan") -> dict[str, Any]:
    """What a plan would record, its stages and their costs; a cost that is unknown is None."""
    from lampbench.study.estimate import recorded_texts, stage_estimates
    from lampbench.study.token_cost import Lengths

    spec = plan.spec
    lengths = Lengths(plan.executor.model_spec)
    return {
        "method": plan.method.name,
        "task": spec.task.name,
        "model": spec.model,
        "seed": spec.seed,
        "max_history": spec.dataset.max_history,
        "path": plan.folder.as_posix(),
        "recorded": plan.done,
        "recorded_texts": recorded_texts(plan),
        "tokens": lengths.how,
        "stages": [
            {
                "stage": one.stage,
                "engine": one.engine or None,
                "units": one.units,
                "cached": one.cached,
                "tokens_read": one.cost.read,
                "tokens_trained": one.cost.trained,
                "tokens_written": one.cost.written,
                "bytes": one.cost.disk,
            }
            for one in stage_estimates(plan, lengths)
        ],
    }

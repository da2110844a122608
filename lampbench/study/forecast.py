"""What a study will cost: time, GPU-hours, memory, disk and traffic, for its users or for more."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lampbench.engine.model_files import decoder_sizes
from lampbench.execution.plan import Plan
from lampbench.record.manifest import PREDICT
from lampbench.study.cost_profile import CostProfile, GpuArithmetic, rate_place
from lampbench.study.token_cost import Cost, Lengths, answer_cost, artifact_cost

_ANSWER_BYTES = 600
"""Of a recorded answer and its scores, before compression (measured on the recorded runs)."""


@dataclass(frozen=True, slots=True)
class StageForecast:
    """What is left of a stage: units to make, their tokens, and seconds of one worker (None:
    unknown), of which every one of several workers spends the `fixed` ones.

    `per_user` says whether it grows with the number of test users.
    """

    run: str
    stage: str
    units: int
    cost: Cost
    seconds: float | None
    fixed: float | None
    per_user: bool


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a study will cost; None is unknown.

    Attributes:
        stages: stage by stage; artifacts that several runs share are in the first.
        seconds: wall-clock seconds of all workers side by side.
        work: seconds of all workers added up, without those in which they wait for each other.
        gpu_hours: hours of all workers, or of all GPUs, added up, with those in which they wait.
        memory: bytes of one worker.
        disk: bytes of artifacts and answers.
        traffic: bytes between workers and the shared cache: weights that each reads, and artifacts
            that are written once and read once.
    """

    stages: tuple[StageForecast, ...]
    seconds: float | None
    work: float | None
    gpu_hours: float | None
    memory: float | None
    disk: float | None
    traffic: float | None


def forecast(
    plans: Sequence[Plan],
    costs: CostProfile | GpuArithmetic,
    users: int | None = None,
    workers: int = 1,
) -> Forecast:
    """What is left to do of some plans.

    Args:
        plans: the study.
        costs: what was measured here, or the arithmetic for a GPU.
        users: test users of each run, like those of the plans; None for those of the plans.
        workers: processes at once. A task's artifact is made by one while the others wait.
    """
    found: list[StageForecast] = []
    paid: set[tuple[str, str]] = set()
    answers, runs = 0.0, 0
    for plan in plans:
        if plan.done:
            continue
        there = len(plan.spec.dataset.test_users)
        factor = (users or there) / there
        stages = _stages(plan, costs, factor, paid)
        answers, runs = answers + stages[-1].units, runs + 1
        found += stages
    alone = _added([one.seconds for one in found if not one.per_user])
    divided = _added([one.seconds for one in found if one.per_user])
    each = _added([one.fixed for one in found if one.per_user])
    seconds = work = hours = None
    if alone is not None and divided is not None and each is not None:
        start, record = _overhead(costs, answers, runs)
        each, divided = each + start, divided - each
        seconds = alone + each + divided / workers + record
        work = alone + each * workers + divided + record
        gpus = costs.gpus if isinstance(costs, GpuArithmetic) else 1
        hours = (work + alone * (workers - 1)) * gpus / 3600
    artifacts = _added([one.cost.disk for one in found])
    disk = None if artifacts is None else artifacts + answers * _ANSWER_BYTES
    weights = _weights(plans, costs)
    traffic = None if disk is None or weights is None else 2 * disk + workers * weights
    memory = costs.memory() if isinstance(costs, GpuArithmetic) else costs.peak_bytes or None
    return Forecast(tuple(found), seconds, work, hours, memory, disk, traffic)


def _stages(
    plan: Plan, costs: CostProfile | GpuArithmetic, factor: float, paid: set[tuple[str, str]]
) -> list[StageForecast]:
    lengths = Lengths(plan.executor.model_spec)
    keys, found = plan.executor.keys, []
    for stage in plan.stages:
        grown = 1.0 if stage.of_task else factor
        owners = [
            owner for owner in stage.to_make(plan.executor)
            if (stage.name, keys.of(stage.recipe, owner)) not in paid
        ]  # fmt: skip
        paid |= {(stage.name, keys.of(stage.recipe, owner)) for owner in owners}
        made = [artifact_cost(stage.recipe, plan.spec, owner, lengths) for owner in owners]
        found.append(_forecast(plan, costs, stage.name, len(owners), summed(made), grown))
    queries = sum(len(user.queries) for user in plan.spec.dataset.test_users)
    cost = answer_cost(plan.spec, lengths)
    return [*found, _forecast(plan, costs, PREDICT, queries, cost, factor)]


def _forecast(
    plan: Plan,
    costs: CostProfile | GpuArithmetic,
    stage: str,
    units: int,
    cost: Cost,
    factor: float,
) -> StageForecast:
    grown = _times(cost, factor)
    seconds: float | None
    fixed: float | None
    if isinstance(costs, GpuArithmetic):
        if grown.disk is not None:
            grown = replace(grown, disk=round(grown.disk * _adapter_growth(plan, costs)))
        all_gpus = costs.gpu_seconds(grown)
        seconds = None if all_gpus is None else all_gpus / costs.gpus
        fixed = 0.0
    else:
        seconds, fixed = costs.seconds(rate_place(plan, stage), grown) or (None, None)
    per_user = not any(one.name == stage and one.of_task for one in plan.stages)
    count = round(units * factor)
    return StageForecast(plan.title, stage, count, grown, seconds, fixed, per_user)


def _adapter_growth(plan: Plan, costs: GpuArithmetic) -> float:
    """How much larger the LoRA of q_proj and v_proj is than that of the plan's model."""
    sizes = decoder_sizes(plan.executor.model_spec)
    if sizes is None:
        return 1.0
    here = sizes.layers * (sum(sizes.linear["q_proj"]) + sum(sizes.linear["v_proj"]))
    shape = costs.shape
    return shape.layers * (3 * shape.hidden + shape.keys) / here


def _overhead(costs: CostProfile | GpuArithmetic, answers: float, runs: int) -> tuple[float, float]:
    """Seconds before a process works, and those of scoring and recording everything."""
    if isinstance(costs, GpuArithmetic):
        return 0.0, 0.0
    return costs.start, answers * costs.answer_seconds + runs * costs.run_seconds


def _weights(plans: Sequence[Plan], costs: CostProfile | GpuArithmetic) -> float | None:
    """Bytes of the weights of all models; none of one that is elsewhere."""
    if isinstance(costs, GpuArithmetic):
        return 2 * costs.shape.parameters
    total = 0.0
    answering = {plan.spec.model: plan.executor for plan in plans}
    for executor in answering.values():
        if not executor.engines.reads_model_files(executor.engine_of(None)):
            continue
        folder = executor.model_spec.folder
        if folder is None:
            return None
        total += sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    return total


def summed(costs: Sequence[Cost]) -> Cost:
    """Costs added up; unknown where one is."""
    return Cost(*(
        _whole(_added([getattr(cost, kind) for cost in costs]))
        for kind in ("read", "trained", "written", "disk")
    ))  # fmt: skip


def _times(cost: Cost, factor: float) -> Cost:
    amounts = (cost.read, cost.trained, cost.written, cost.disk)
    return Cost(*(None if amount is None else round(amount * factor) for amount in amounts))


def _added(amounts: Sequence[float | None]) -> float | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if len(known) == len(amounts) else None


def _whole(amount: float | None) -> int | None:
    return None if amount is None else round(amount)

"""Prints what plans will cost, before anything is run."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import click

from lampbench.execution.plan import Plan, Stage
from lampbench.execution.specification import Owner
from lampbench.execution.stage_engines import uses_engine
from lampbench.record.manifest import PREDICT
from lampbench.record.recorded_run import DamagedRun, read_run
from lampbench.study.token_cost import Cost, Lengths, answer_cost, artifact_cost
from lampbench.util.fitted_table import fitted_table

_KINDS = ("read", "trained", "written", "disk")


@dataclass(frozen=True, slots=True)
class StageEstimate:
    """A stage of a plan: its engine ("" where none is asked), its units (users, queries,
    adapters), how many of them are cached, and what the others cost; a kind of cost is None where
    it is unknown.
    """

    stage: str
    engine: str
    units: int
    cached: int
    cost: Cost


def stage_estimates(plan: Plan, lengths: Lengths) -> list[StageEstimate]:
    """The stages of a plan and, last, its predictions."""
    spec = plan.spec
    found = []
    for stage in plan.stages:
        missing = stage.to_make(plan.executor)
        costs = [artifact_cost(stage.recipe, spec, owner, lengths) for owner in missing]
        costs += _fetched(plan, stage, stage.to_fetch(plan.executor), lengths)
        cached = len(stage.owners) - len(missing)
        engine = plan.executor.engine_of(stage.recipe) if uses_engine(stage.recipe) else ""
        found.append(StageEstimate(stage.name, engine, len(stage.owners), cached, _sum(costs)))
    queries = sum(len(user.queries) for user in spec.dataset.test_users)
    cost = Cost() if plan.done else answer_cost(spec, lengths)
    answering = plan.executor.engine_of(None)
    cached = queries if plan.done else 0
    found.append(StageEstimate(PREDICT, answering, queries, cached, cost))
    return found


def print_plan(plan: Plan) -> None:
    """Print a plan's stages, what of them is cached, and what the rest will cost."""
    spec = plan.spec
    most = spec.dataset.max_history
    history = f", max-history {most}" if most else ""
    click.echo(
        f"{plan.method.name} on {spec.task.name}, model {spec.model}, seed {spec.seed}{history}"
    )
    click.echo(f"  {_state(plan)}: {plan.folder}")
    lengths = Lengths(plan.executor.model_spec)
    stages = stage_estimates(plan, lengths)
    rows = [[one.stage, one.engine, one.units, one.cached, *_sums([one.cost])] for one in stages]
    heads = ["stage", "engine", "units", "cached", *_HEADS]
    click.echo(fitted_table(rows, heads, intfmt=","))
    click.echo(f"  {_ABOUT.format(how=lengths.how)}")
    click.echo(_money(plan, stages))


def _state(plan: Plan) -> str:
    """Whether a run is recorded, and whether its texts are what is asked for."""
    if not plan.done:
        return "to be recorded"
    texts = recorded_texts(plan)
    if texts is None or texts != plan.spec.private:
        return "recorded already"
    with_texts = "with its texts" if texts else "without texts"
    return f"recorded already, {with_texts} (--force records it again)"


def recorded_texts(plan: Plan) -> bool | None:
    """Whether a run is recorded with its texts; None where no sound run is there."""
    if plan.done:
        with suppress(DamagedRun):  # the run itself says what is wrong
            return not read_run(plan.folder).manifest.private
    return None


def _money(plan: Plan, stages: Sequence[StageEstimate]) -> str:
    """What the stages of engines with prices cost; "" where none has any or it is not known."""
    cost = 0.0
    for one in stages:
        engines = plan.executor.engines
        prices = engines.prices(plan.spec.model, one.engine) if one.engine else None
        if prices and one.cost.read is not None and one.cost.written is not None:
            cost += (one.cost.read * prices[0] + one.cost.written * prices[1]) / 1_000_000
    return f"  about {cost:.4g} at --price, where every answer takes its budget\n" if cost else ""


_HEADS = ("tokens read", "tokens trained", "tokens written, at most", "bytes stored")
_ABOUT = "tokens are {how}; prompts' fixed words are not counted"


def print_totals(groups: Mapping[str, Sequence[Plan]], speeds: Sequence[float] | None) -> None:
    """Print what several groups of plans will cost; a shared artifact is counted once, in the first
    group that needs it.

    `speeds` are tokens per second read, trained and written; with them, hours are printed too.
    """
    paid: set[tuple[str, str]] = set()
    lengths: dict[str, Lengths] = {}
    rows: list[list[float | str]] = []
    everything: list[Cost] = []
    for name, plans in groups.items():
        costs: list[Cost] = []
        for plan in plans:
            if plan.done:
                continue
            spec = plan.spec
            length = lengths.setdefault(spec.model, Lengths(plan.executor.model_spec))
            for stage in plan.stages:
                made, fetched = (
                    [one for one in owners if _is_first(plan, stage, one, paid)]
                    for owners in (stage.to_make(plan.executor), stage.to_fetch(plan.executor))
                )
                costs += [artifact_cost(stage.recipe, spec, owner, length) for owner in made]
                costs += _fetched(plan, stage, fetched, length)
            costs.append(answer_cost(spec, length))
        done = sum(plan.done for plan in plans)
        rows.append([name, len(plans), done, *_sums(costs), *_hours(costs, speeds)])
        everything += costs
    all_plans = [plan for plans in groups.values() for plan in plans]
    done = sum(plan.done for plan in all_plans)
    rows.append(["all", len(all_plans), done, *_sums(everything), *_hours(everything, speeds)])
    heads = ["runs of", "runs", "recorded", *_HEADS, *(["hours"] if speeds else [])]
    click.echo(fitted_table(rows, heads, intfmt=",", floatfmt=",.1f"))
    if lengths:
        how = " or ".join(sorted({length.how for length in lengths.values()}))
        click.echo(f"  {_ABOUT.format(how=how)}")


def _is_first(plan: Plan, stage: Stage, owner: Owner, paid: set[tuple[str, str]]) -> bool:
    artifact = stage.name, plan.executor.keys.of(stage.recipe, owner)
    known = artifact in paid
    paid.add(artifact)
    return not known


def _fetched(plan: Plan, stage: Stage, owners: Iterable[Owner], lengths: Lengths) -> list[Cost]:
    """What artifacts take that are copied from a remote store: room on this machine's disk."""
    made = (artifact_cost(stage.recipe, plan.spec, owner, lengths) for owner in owners)
    return [Cost(disk=one.disk) for one in made]


def _hours(costs: Sequence[Cost], speeds: Sequence[float] | None) -> list[float | str]:
    if speeds is None:
        return []
    seconds = 0.0
    for amount, speed in zip(_sums(costs), speeds, strict=False):  # the disk has no speed
        if isinstance(amount, str):
            return [amount]
        seconds += amount / speed
    return [seconds / 3600]


def _sums(costs: Sequence[Cost]) -> list[int | str]:
    total = _sum(costs)
    amounts = [getattr(total, kind) for kind in _KINDS]
    return ["unknown" if amount is None else amount for amount in amounts]


def _sum(costs: Sequence[Cost]) -> Cost:
    return Cost(**{kind: _total([getattr(cost, kind) for cost in costs]) for kind in _KINDS})


def _total(values: list[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None

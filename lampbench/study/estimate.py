"""What a plan will cost, before it is paid: tokens and disk, as far as they can be known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import singledispatch
from pathlib import Path

import click
from tabulate import tabulate

from lampbench.core.dataset import User
from lampbench.engine.models import hidden_sizes, resolve
from lampbench.plugin.adaptation import LoraRecipe, TaskSFT, UserDPO, UserSFT
from lampbench.plugin.decoding import Contrastive
from lampbench.plugin.negatives import LowestReward, Samples
from lampbench.plugin.recipe import Owner, Recipe
from lampbench.plugin.user_profile import UserProfile
from lampbench.run.executor import Context
from lampbench.run.plan import Plan


@dataclass(frozen=True, slots=True)
class Cost:
    """Tokens that are read, trained on (forward and backward) and written at most, and bytes
    stored; None: unknown.
    """

    read: int | None = 0
    trained: int | None = 0
    written: int | None = 0
    disk: int | None = 0


KINDS = ("read", "trained", "written", "disk")
UNKNOWN = Cost(None, None, None, None)


def print_plan(plan: Plan) -> None:
    """Print a plan's stages, what of them is cached, and what the rest will cost."""
    context = plan.context
    click.echo(
        f"{plan.method.name} on {context.task.name}, model {context.model}, seed {context.seed}"
    )
    state = "recorded already" if plan.done else "to be recorded"
    click.echo(f"  {state}: {plan.folder}")
    length = _Length(context.model)
    rows = []
    for stage in plan.stages:
        missing = stage.missing(context)
        costs = [cost_of(stage.recipe, context, owner, length) for owner in missing]
        rows.append([stage.name, len(stage.owners), len(stage.owners) - len(missing),
                     *_sums(costs)])  # fmt: skip
    queries = [q for user in context.dataset.test_users for q in user.queries]
    rows.append(["predict", len(queries), len(queries) if plan.done else 0,
                 *_sums([] if plan.done else [_answers(plan, length)])])  # fmt: skip
    click.echo(tabulate(rows, headers=["stage", "units", "cached", *_HEADS], intfmt=","))
    click.echo(f"  {_ABOUT.format(how=length.how)}\n")


_HEADS = ("tokens read", "tokens trained", "tokens written, at most", "bytes stored")
_ABOUT = "tokens are {how}; prompts' fixed words are not counted"


def print_totals(groups: Mapping[str, Sequence[Plan]], speeds: Sequence[float] | None) -> None:
    """Print what several groups of plans will cost, each artifact that they share counted once,
    in the first group that needs it.

    `speeds` are tokens a second read, trained and written; with them, hours are printed too.
    """
    paid: set[tuple[str, str]] = set()
    lengths: dict[str, _Length] = {}
    rows: list[list[float | str]] = []
    everything: list[Cost] = []
    for name, plans in groups.items():
        costs: list[Cost] = []
        for plan in plans:
            if plan.done:
                continue
            context = plan.context
            length = lengths.setdefault(context.model, _Length(context.model))
            for stage in plan.stages:
                for owner in stage.missing(context):
                    artifact = stage.name, context.keys.of(stage.recipe, owner)
                    if artifact not in paid:
                        paid.add(artifact)
                        costs.append(cost_of(stage.recipe, context, owner, length))
            costs.append(_answers(plan, length))
        done = sum(plan.done for plan in plans)
        rows.append([name, len(plans), done, *_sums(costs), *_hours(costs, speeds)])
        everything += costs
    all_plans = [plan for plans in groups.values() for plan in plans]
    done = sum(plan.done for plan in all_plans)
    rows.append(["all", len(all_plans), done, *_sums(everything), *_hours(everything, speeds)])
    heads = ["runs of", "runs", "recorded", *_HEADS, *(["hours"] if speeds else [])]
    click.echo(tabulate(rows, headers=heads, intfmt=",", floatfmt=",.1f"))
    if lengths:
        how = " or ".join(sorted({length.how for length in lengths.values()}))
        click.echo(f"  {_ABOUT.format(how=how)}")


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
    return [_total([getattr(cost, kind) for cost in costs]) for kind in KINDS]


def _total(values: list[int | None]) -> int | str:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else "unknown"


def _answers(plan: Plan, length: "_Length") -> Cost:
    """Answering all queries: their fields, as much quoted history as the prompts may hold, and
    for contrastive decoding the base model's reading and writing too.
    """
    context, decoding = plan.context, plan.method.decoding
    quoted = getattr(plan.method.prompting, "k", 0)
    rows = 2 if isinstance(decoding, Contrastive) else 1
    read = written = 0
    for user in context.dataset.test_users:
        mean = length.of_history(user) // max(1, len(user.history)) if quoted else 0
        for query in user.queries:
            read += length.of(*query.fields.values()) + min(quoted, len(user.history)) * mean
            written += decoding.max_new_tokens
    return Cost(read=rows * read, written=rows * written)


class _Length:
    """Lengths in tokens: counted with a local tokenizer, else estimated from characters."""

    def __init__(self, model: str) -> None:
        file = Path(resolve(model).location) / "tokenizer.json"
        self._tokenizer = None
        self._histories: dict[int, int] = {}
        self.how = "estimated as characters / 4 (no local tokenizer)"
        if file.is_file():
            from tokenizers import Tokenizer

            self._tokenizer = Tokenizer.from_file(str(file))
            self.how = "counted with the model's tokenizer"

    def of(self, *texts: str) -> int:
        """Tokens of some texts together."""
        if self._tokenizer is None:
            return sum(len(text) for text in texts) // 4
        return sum(len(self._tokenizer.encode(text, add_special_tokens=False)) for text in texts)

    def of_history(self, user: User) -> int:
        """Tokens of a user's past records, inputs and targets."""
        if id(user) not in self._histories:
            count = sum(self.of(*r.fields.values(), r.target) for r in user.history)
            self._histories[id(user)] = count
        return self._histories[id(user)]


@singledispatch
def cost_of(recipe: Recipe, context: Context, owner: Owner, length: _Length) -> Cost:
    """The cost of one artifact. A plugin's own recipe is unknown unless it registers here."""
    return UNKNOWN


@cost_of.register
def _(recipe: TaskSFT, context: Context, owner: Owner, length: _Length) -> Cost:
    users = context.dataset.train_users
    texts = [[*q.fields.values(), q.reference or ""] for user in users for q in user.queries]
    trained = recipe.epochs * sum(length.of(*text) for text in texts)
    return Cost(trained=trained, disk=_adapter_bytes(recipe, context.model))


@cost_of.register
def _(recipe: UserSFT, context: Context, owner: Owner, length: _Length) -> Cost:
    assert owner is not None
    trained = recipe.epochs * length.of_history(owner)
    return Cost(trained=trained, disk=_adapter_bytes(recipe, context.model))


@cost_of.register
def _(recipe: UserDPO, context: Context, owner: Owner, length: _Length) -> Cost:
    assert owner is not None  # a pair has two sides; the reference reads both once
    sides = 2 * length.of_history(owner)
    disk = _adapter_bytes(recipe.start, context.model)
    return Cost(read=sides, trained=recipe.epochs * sides, disk=disk)


@cost_of.register
def _(recipe: Samples, context: Context, owner: Owner, length: _Length) -> Cost:
    assert owner is not None
    read = sum(length.of(*record.fields.values()) for record in owner.history)
    written = recipe.n * len(owner.history) * recipe.max_new_tokens
    return Cost(read=read, written=written, disk=4 * written)


@cost_of.register
def _(recipe: LowestReward, context: Context, owner: Owner, length: _Length) -> Cost:
    assert owner is not None
    return Cost(read=2 * recipe.samples.n * length.of_history(owner))


@cost_of.register
def _(recipe: UserProfile, context: Context, owner: Owner, length: _Length) -> Cost:
    assert owner is not None
    shown = owner.history[-recipe.records :]
    read = sum(length.of(*record.fields.values(), record.target) for record in shown)
    budget = recipe.max_new_tokens
    return Cost(read=read, written=budget, disk=4 * budget)


def _adapter_bytes(recipe: LoraRecipe, model: str) -> int | None:
    """Size of a float32 adapter: rank x (inputs + outputs) of every target in every layer."""
    sizes = hidden_sizes(resolve(model))
    if sizes is None or not set(recipe.targets) <= sizes.linear.keys():
        return None
    per_layer = sum(sum(sizes.linear[name]) for name in recipe.targets)
    return 4 * recipe.rank * per_layer * sizes.layers

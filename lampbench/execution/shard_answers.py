"""What a shard hands on to the process that records the run: its predictions and what they cost.

They are artifacts of the cache until the run is recorded, one per shard; with a cache in a remote
store, they are kept there alone.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from lampbench.execution.artifact_files import META
from lampbench.execution.cache import PARTIAL
from lampbench.execution.cost_meter import Usage
from lampbench.execution.executor import PREDICTIONS
from lampbench.execution.handed_over import hand_over, handed_over
from lampbench.execution.plan import Plan
from lampbench.execution.shard import Shard, shard_index
from lampbench.plugin.method import Prediction
from lampbench.record.manifest import StageCost
from lampbench.util.disk import writing
from lampbench.util.disk_list import DiskList
from lampbench.util.hashing import digest
from lampbench.util.regular_file import open_regular, read_regular

SHARD_ANSWERS = "shard_answers"
"""The kind of these artifacts in a cache."""
_ROWS = "predictions.jsonl"
_VARIANTS = ("", "private-", "rewards-", "rewards-private-")


@dataclass(frozen=True, slots=True)
class ShardAnswers:
    """The predictions for a shard's users, and the costs of its part of every stage.

    `costs` are those of the stages in order and, last, of the predictions. `failed_users` names
    users without predictions, and why.
    """

    predictions: Sequence[Prediction]
    costs: Sequence[StageCost]
    failed_users: dict[str, str]


def on_disk(predictions: Iterable[Prediction] = ()) -> DiskList[Prediction]:
    """Predictions as a list that does not have to fit into memory."""
    names = [field.name for field in fields(Prediction)]
    return DiskList(
        predictions,
        plain=lambda one: [getattr(one, name) for name in names],  # a method may make its own class
        made=lambda values: Prediction(*values),
    )


def store_answers(plan: Plan, shard: Shard, answers: ShardAnswers) -> None:
    """Store what a shard made.

    Raises:
        FullDisk: the disk is full.
    """
    cache, key = plan.executor.cache, _key(plan, shard)
    rows = cache.partial(SHARD_ANSWERS, key) / _ROWS
    with writing(rows), rows.open("w", encoding="ascii") as stream:
        for prediction in answers.predictions:
            stream.write(json.dumps(asdict(prediction)) + "\n")
    spec = plan.spec
    users = [user.id for user in spec.dataset.test_users if user.id in shard]
    meta = {
        "recipe": [plan.method.name, str(shard)],
        "task": spec.task.name,
        "owner": None,
        "others": users,  # who may ask to be forgotten
        "model": spec.model,
        "seed": spec.seed,
        "value": {
            "costs": [asdict(cost) for cost in answers.costs],
            "failed_users": answers.failed_users,
        },
    }
    hand_over(cache, SHARD_ANSWERS, key, rows, meta)
    if cache.remote is not None:  # the run may be recorded by another machine
        drop_journals(plan, shard)


def drop_journals(plan: Plan, shard: Shard) -> None:
    """Delete the answers that a shard's users have received on this machine so far."""
    for user in plan.spec.dataset.test_users:
        if user.id in shard:
            place = f"{plan.folder.name}/{digest(user.id)}"
            plan.executor.cache.drop_partial(PREDICTIONS, place)


def has_answers(plan: Plan, shard: Shard) -> bool:
    """Whether a shard has been answered."""
    return plan.executor.cache.is_stored(SHARD_ANSWERS, _key(plan, shard))


def read_answers(plan: Plan, shard: Shard) -> ShardAnswers:
    """What a shard made.

    Raises:
        LampbenchError: it has made nothing.
    """
    cache, key = plan.executor.cache, _key(plan, shard)
    with handed_over(cache, SHARD_ANSWERS, key) as folder:
        value = json.loads(read_regular(folder / META))["value"]
        with open_regular(folder / _ROWS) as lines:
            predictions = on_disk(_prediction(json.loads(line)) for line in lines)
    return ShardAnswers(
        predictions,
        [StageCost(**cost) for cost in value["costs"]],
        value["failed_users"],
    )


def unanswered(plan: Plan, count: int) -> list[int]:
    """Which of `count` shards have not been answered."""
    return [index for index in range(count) if not has_answers(plan, Shard(index, count))]


def complete_division(plan: Plan) -> int | None:
    """Into how many shards a run was divided that have all been answered; None if there is none."""
    counts = {shard.count for _, shard in _stored(plan, _variant(plan))}
    return next((count for count in sorted(counts) if not unanswered(plan, count)), None)


def answered_otherwise(plan: Plan, count: int) -> list[int]:
    """Which of `count` shards have been answered only with another --rewards or --private."""
    others = [variant for variant in _VARIANTS if variant != _variant(plan)]
    found = {shard for variant in others for _, shard in _stored(plan, variant)}
    return [index for index in unanswered(plan, count) if Shard(index, count) in found]


def drop_answers(plan: Plan) -> None:
    """Delete what the shards of a run made, with and without rewards, private or not."""
    cache = plan.executor.cache
    for key, _ in [one for variant in _VARIANTS for one in _stored(plan, variant)]:
        cache.remove(SHARD_ANSWERS, key)
    for left in (cache.root / PARTIAL / SHARD_ANSWERS).glob(f"{plan.folder.name}-*"):
        cache.drop_partial(SHARD_ANSWERS, left.name)  # of a process that was killed


def read_all_answers(plan: Plan, count: int) -> ShardAnswers:
    """What `count` shards made, as if one process had: predictions in the order of the users.

    Raises:
        LampbenchError: a shard has made nothing.
    """
    parts = [read_answers(plan, Shard(index, count)) for index in range(count)]
    failed = {user: why for part in parts for user, why in part.failed_users.items()}
    predictions = on_disk(_in_one_order(plan, [part.predictions for part in parts]))
    by_stage = list(zip(*(part.costs for part in parts), strict=True))
    keys = plan.executor.keys
    costs = [
        _total(costs, keys.joint(stage.recipe, stage.owners), of_task=stage.of_task)
        for stage, costs in zip(plan.stages, by_stage[:-1], strict=True)
    ]
    costs.append(_total(by_stage[-1], plan.folder.name, of_task=False))
    return ShardAnswers(predictions, costs, failed)


def _in_one_order(plan: Plan, parts: Sequence[Iterable[Prediction]]) -> Iterator[Prediction]:
    """Predictions of all shards, in the order of the users, as those of each shard are."""
    rest = [iter(part) for part in parts]
    ahead = [next(part, None) for part in rest]
    for user in plan.spec.dataset.test_users:
        index = shard_index(user.id, len(parts))
        for query in user.queries:
            one = ahead[index]
            if one is not None and (one.user, one.query) == (user.id, query.id):
                yield one
                ahead[index] = next(rest[index], None)
    if left := [one for one in ahead if one is not None]:
        raise AssertionError(f"answers of {left[0].user} are not in the order of the users")


def _total(parts: Sequence[StageCost], key: str, *, of_task: bool) -> StageCost:
    """The cost of a stage out of its parts'; a shard with users reports all of a task's stage."""
    if of_task:
        whole = [part for part in parts if part.units]
        return replace(whole[0], key=key, cached=min(part.cached for part in whole))
    names = ("units", "cached", *(field.name for field in fields(Usage)))
    sums = {name: round(sum(getattr(part, name) for part in parts), 3) for name in names}
    return StageCost(stage=parts[0].stage, key=key, **sums)


def _key(plan: Plan, shard: Shard) -> str:
    return f"{plan.folder.name}-{_variant(plan)}{shard.index}-of-{shard.count}"


def _variant(plan: Plan) -> str:
    """What tells answers of one run apart: options that change the record and not the run's key."""
    return _VARIANTS[2 * plan.spec.rewards + plan.spec.private]


def _stored(plan: Plan, variant: str) -> Iterator[tuple[str, Shard]]:
    run = f"{plan.folder.name}-{variant}"
    for name in plan.executor.cache.keys(SHARD_ANSWERS):
        index, _, count = name.removeprefix(run).partition("-of-")
        if name.startswith(run) and index.isdecimal() and count.isdecimal():
            yield name, Shard(int(index), int(count))


def _prediction(row: dict[str, Any]) -> Prediction:
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}
    return Prediction(**values)

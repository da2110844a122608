"""Whether a user's adapter is personal: it is compared with another user's on the same queries."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lampbench.execution.plan import Plan
from lampbench.plugin.adapter_recipe import AdapterRecipe
from lampbench.plugin.borrowing import another_user
from lampbench.plugin.context import UserRecipe
from lampbench.report.statistics import Paired, Scores, paired
from lampbench.study.reference_scores import ReferenceScores


@dataclass(frozen=True, slots=True)
class Swap:
    """How likely the test references are with nobody's adapter, the user's own, and another's.

    `without`, `own` and `another` are means over queries of nats per token (the mean negative
    log-probability of a reference's tokens with the end of turn): without the adapter that `stage`
    trained for a user (all below it stays), with it, and with the one it trained for another user.
    `gain` is another's minus own, by query: positive where the user's own is better.
    """

    stage: str
    without: float
    own: float
    another: float
    gain: Paired


def swaps(
    plan: Plan, stages: Sequence[AdapterRecipe], references: ReferenceScores
) -> Iterator[Swap]:
    """A swap for each stage that trains an adapter per user; none where one user is alone.

    The other user is the one whose data `AnotherUsers` takes with the plan's seed, so that nobody's
    adapter is used twice.
    """
    executor = plan.executor
    users = executor.dataset.test_users
    if len(users) < 2:
        return
    partner = {user.id: another_user(executor.dataset, executor.seed, user).id for user in users}
    for stage in stages:
        if not isinstance(stage, UserRecipe):
            continue

        own = {user.id: executor.weights(stage, user) for user in users}
        without = references.under({name: weights[:-1] for name, weights in own.items()})
        mine = references.under(own)
        theirs = references.under({name: own[other] for name, other in partner.items()})
        gain = paired(mine, theirs)
        yield Swap(stage.section, _nats(without), _nats(mine), _nats(theirs), gain)


def _nats(scores: Scores) -> float:
    return -math.fsum(scores.values()) / len(scores)

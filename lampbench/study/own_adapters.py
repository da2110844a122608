"""Whether the adapters behind a method are those of its users' own histories."""

from collections.abc import Sequence

from lampbench.core.dataset import User
from lampbench.execution.plan import Plan
from lampbench.plugin.adapter_recipe import AdapterRecipe
from lampbench.plugin.context import UserRecipe
from lampbench.util.errors import LampbenchError


def require_own_adapters(plan: Plan, stages: Sequence[AdapterRecipe]) -> None:
    """Refuse stages that are trained on halves of histories, or on records dealt out anew.

    The plan makes no adapter of a user's own history there: one that is in the cache all the same
    is another method's.

    Raises:
        LampbenchError: a stage is trained on other histories than the test users' own.
    """
    for stage in plan.stages:
        if stage.recipe not in stages or not isinstance(stage.recipe, UserRecipe):
            continue
        trained = {owner.fingerprint for owner in stage.owners if isinstance(owner, User)}
        if any(user.fingerprint not in trained for user in plan.executor.dataset.test_users):
            raise LampbenchError(
                f"method {plan.method.name} trains {stage.name} on halves of histories or on "
                "records dealt out anew, and what is diagnosed are adapters of the users' own "
                "histories; choose a method that trains on these"
            )

"""Whether the disk has room for what plans will store, known before anything is computed."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from lampbench.core.dataset import User
from lampbench.execution.plan import Plan
from lampbench.study.token_cost import Lengths, artifact_cost
from lampbench.util.disk import free_disk_bytes
from lampbench.util.errors import LampbenchError


class _NoLengths(Lengths):
    """Counts no tokens: bytes stored do not depend on the lengths of texts."""

    def __init__(self) -> None:
        self.how = "not counted"

    def of(self, *texts: str) -> int:
        return 0

    def of_history(self, user: User) -> int:
        return 0


def require_disk_space(plans: Sequence[Plan]) -> None:
    """Make sure that the artifacts that are missing will fit on the disk, as far as can be known.

    An artifact of unknown size counts as empty, and so do predictions, which are small.

    Raises:
        LampbenchError: they will not fit.
    """
    needed: dict[Path, int] = defaultdict(int)
    counted: set[Path] = set()
    for plan in plans:
        if plan.done:
            continue
        cache, keys = plan.executor.cache, plan.executor.keys
        for stage in plan.stages:
            for owner in stage.owners:
                folder = cache.path(stage.name, keys.of(stage.recipe, owner))
                if folder not in counted and not folder.is_dir():
                    counted.add(folder)
                    cost = artifact_cost(stage.recipe, plan.spec, owner, _NoLengths())
                    needed[cache.root] += cost.disk or 0
    for root, count in needed.items():
        if count > (free := free_disk_bytes(root)):
            raise LampbenchError(
                f"{root}: the disk is too small: these runs will store about {count:,} bytes, "
                f"{free:,} are free; free some space, choose another folder with --cache-dir, or "
                "run fewer users"
            )

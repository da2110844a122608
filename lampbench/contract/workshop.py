"""What checks share: a tiny model, its loaded engine, another process, temporary folders."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from lampbench.contract.other_process import OtherProcess
from lampbench.contract.tiny_model import save_tiny_model
from lampbench.contract.trial import Conditions, Outcome, carry_out, trial_folder, trial_plan
from lampbench.core.dataset import Dataset
from lampbench.core.fidelity import PAPER
from lampbench.core.task import Task
from lampbench.engine.pool import EngineOptions, EnginePool
from lampbench.execution.cache import Cache
from lampbench.plugin.method import Method
from lampbench.registry import Registry
from lampbench.util.progress import Progress


class Workshop:
    """Made once for many checks. Everything in it is made when first needed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.other_process = OtherProcess()

    @cached_property
    def model(self) -> Path:
        """The folder of the tiny model."""
        return save_tiny_model(self._folder / "tiny-model")

    @cached_property
    def _engines(self) -> EnginePool:
        options = EngineOptions(device="cpu", dtype="float32")
        quiet = Progress(StringIO())
        cache = Cache(self._folder / "digests", quiet.say)
        return EnginePool(options, PAPER, cache, quiet, Registry().engine)

    def model_trial(
        self, method: Method, task: Task, dataset: Dataset, conditions: Conditions | None = None
    ) -> Outcome:
        """A trial on the tiny model with the batched engine, in a new cache."""
        conditions = conditions or Conditions()
        with trial_folder() as cache:
            plan = trial_plan(
                method, task, dataset, str(self.model), self._engines, cache, conditions
            )
            return carry_out(plan, conditions)


@contextmanager
def workshop() -> Iterator[Workshop]:
    """A workshop in a temporary folder, which is removed afterwards."""
    with TemporaryDirectory(prefix="lampbench-check-") as folder:
        made = Workshop(Path(folder))
        try:
            yield made
        finally:
            made.other_process.close()

"""Recorded runs planned again from their manifests: the artifacts that they were made from."""

from pathlib import Path

from lampbench.core.dataset import Dataset
from lampbench.core.task import Task
from lampbench.data import DataOptions, load_dataset
from lampbench.engine.model_arguments import model_arguments
from lampbench.engine.models import MODEL_PRESETS
from lampbench.engine.pool import DEFAULT_ENGINE, EnginePool
from lampbench.execution.options import RunOptions, engine_pool, grid_plans
from lampbench.execution.plan import Plan
from lampbench.plugin.hyperparameter import SourcedValue
from lampbench.record.manifest import Manifest
from lampbench.util.errors import LampbenchError
from lampbench.util.progress import Progress


class Replanner:
    """Plans recorded runs again, each dataset and model read once. Loads no model."""

    def __init__(self, cache_dir: Path, plugins: tuple[str, ...] = ()) -> None:
        self._cache_dir, self._plugins = cache_dir, plugins
        self._pools: dict[str, EnginePool] = {}
        self._datasets: dict[tuple[str, str, DataOptions], Dataset] = {}
        self._progress = Progress()

    def plan(self, manifest: Manifest, results: Path) -> Plan:
        """The plan of a run, with all its hyper-parameters given: only values count in keys.

        The plan's folder differs from the run's if today's code, data or model give other keys.

        Raises:
            LampbenchError: the run's method, task, data or model is not here.
        """
        data = manifest.dataset.options
        if data is None:
            raise LampbenchError(f"run {manifest.key}: its dataset was made in Python")
        details = manifest.model_details
        choices = RunOptions(
            methods=[manifest.method],
            tasks=[manifest.task],
            models=[_model(manifest)],
            seeds=[manifest.seed],
            data=data.data,
            users=data.users,
            min_history=data.min_history,
            max_history=(data.max_history,),
            split_by=data.split_by,  # type: ignore[arg-type]
            splits=data.splits,
            data_seed=data.seed,
            preset=manifest.preset,
            fidelity=manifest.fidelity,
            dtype=details.dtype,
            chat_template=details.chat_template,
            engine=details.engine or DEFAULT_ENGINE,
            stage_engines=details.stage_engines,
            engine_arguments=details.engine_arguments,
            model_arguments=model_arguments(details.arguments),
            cache_dir=self._cache_dir,
            plugins=self._plugins,
        )
        given = {
            path: SourcedValue(one.value, one.source)
            for path, one in manifest.hyperparameters.items()
        }
        circumstances = f"{manifest.fidelity} {details}"
        if circumstances not in self._pools:
            self._pools[circumstances] = engine_pool(choices, self._progress)
        pool = self._pools[circumstances]
        ((_, plan),) = grid_plans(choices, [given], results, pool, self._load)
        return plan

    def _load(self, task: Task, data: str, options: DataOptions) -> Dataset:
        place = (task.name, data, options)
        if place not in self._datasets:
            self._datasets[place] = load_dataset(task, data, options)
        return self._datasets[place]


def _model(manifest: Manifest) -> str:
    """A model as it can be named here: a preset, the folder where it is, or a hub id."""
    folder = Path(manifest.model_details.location).expanduser()
    known = manifest.model in MODEL_PRESETS or not folder.is_dir()
    return manifest.model if known else str(folder)

"""Datasets as the options of a command name them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lampbench.data import DataOptions, load_dataset
from lampbench.util.errors import LampbenchError, NoDataForTask

if TYPE_CHECKING:
    from lampbench.core.dataset import Dataset
    from lampbench.core.task import Task


def source_of(chosen: Mapping[str, Any]) -> tuple[str, DataOptions]:
    """The data source and the choice of users that the options of `shared_options.dataset` give."""
    rest = dict(chosen)
    source, seed = rest.pop("data"), rest.pop("data_seed")
    return source, DataOptions(**rest, seed=seed)


def of_tasks(
    names: Sequence[str], plugins: Sequence[str], chosen: Mapping[str, Any], without: list[str]
) -> Iterator[tuple["Task", "Dataset"]]:
    """Each task with its dataset; `all` skips tasks without data and adds them to `without`.

    Raises:
        LampbenchError: there is no such task, a task that is named has no data, or data is damaged.
    """
    from lampbench.registry import Registry, plugin_paths

    source, options = source_of(chosen)
    registry = Registry(plugin_paths(plugins))
    everything = "all" in names
    for name in registry.names("task") if everything else dict.fromkeys(names):
        task = registry.task(name)
        try:
            dataset = load_dataset(task, source, options)
        except NoDataForTask as error:
            if not everything:
                raise
            without.append(f"{name}: {error}")
            continue
        yield task, dataset


def require_some(found: Sequence[object], without: Sequence[str]) -> None:
    """Refuse a source in which no task has data; `without` says of each task why.

    Raises:
        LampbenchError: nothing was found.
    """
    if not found:
        raise LampbenchError(without[0] if without else "there are no tasks")

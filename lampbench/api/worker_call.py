"""What workers are told of a call in Python: its arguments as JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from lampbench.api.processes import ProcessChoices, processes_for
from lampbench.api.settings import (
    AnyMethod,
    AnyTask,
    RunSettings,
    as_axes,
    as_list,
    readable_again,
)
from lampbench.execution.remote_folder import cache_folder
from lampbench.util.defaults import CACHE_DIR
from lampbench.util.errors import LampbenchError, short_repr
from lampbench.workers.crew import Processes


@dataclass(frozen=True, slots=True)
class WorkerCall:
    """The arguments of `run_all`, or with a `grid` of `sweep`, in values that JSON has.

    With `experiments` they are those of `reproduce`, whose data is that of `sources` by family of
    tasks. Other processes find methods, tasks and engines by name only.
    """

    methods: Sequence[str]
    tasks: Sequence[str]
    models: Sequence[str]
    seeds: Sequence[int]
    results: str
    force: bool
    grid: Mapping[str, Any] | None
    settings: Mapping[str, Any]
    experiments: Sequence[str] = ()
    sources: Mapping[str, str | None] = field(default_factory=dict)

    def text(self) -> str:
        """The call as JSON.

        Raises:
            LampbenchError: a value is an object of this process, such as a class.
        """
        return json.dumps(
            {one.name: getattr(self, one.name) for one in fields(self)}, default=_plain
        )

    @classmethod
    def read(cls, text: str) -> "WorkerCall":
        """The call of that text."""
        return cls(**json.loads(text))

    def processes(self, chosen: ProcessChoices) -> Processes:
        """The processes that carry it out; workers are told of it.

        Raises:
            LampbenchError: the choices contradict each other, or workers cannot be told of the
                call.
        """
        known = self.settings
        told = [self.text()] if chosen.starts_workers else []
        return processes_for(
            chosen,
            _WORKER,
            told,
            models=self.models,
            cache_dir=cache_folder(known.get("cache_dir") or CACHE_DIR),
            results=Path(self.results),
            device=known.get("device"),
        )

    def places(self) -> dict[str, Any]:
        """Models, seeds, grid and folder of results, as arguments of `plan`."""
        return {name: getattr(self, name) for name in ("models", "seeds", "grid", "results")}


def worker_call(
    methods: AnyMethod | Sequence[AnyMethod],
    tasks: AnyTask | Sequence[AnyTask],
    grid: Mapping[str, Any] | None,
    models: str | Sequence[str],
    seeds: int | Sequence[int],
    results: Path | str,
    force: bool,
    settings: RunSettings,
    experiments: Sequence[str] = (),
    sources: Mapping[str, str | None] | None = None,
) -> WorkerCall:
    """A call of `run_all`, with a `grid` of `sweep`, or with `experiments` of `reproduce`.

    Iterators among them are read here, once; the call has lists.
    """
    axes = None if grid is None else as_axes(grid)
    return WorkerCall(
        methods=as_list(methods),
        tasks=as_list(tasks),
        models=as_list(models),
        seeds=as_list(seeds),
        results=str(results),
        force=force,
        grid=axes,
        settings=readable_again(settings),
        experiments=experiments,
        sources=sources or {},
    )


_WORKER = "lampbench.api.worker"


def _plain(value: Any) -> Any:
    """A value that JSON does not have, as one that it has."""
    import numpy  # the command line imports this file, and answers quickly without it

    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, numpy.generic):
        return value.item()
    raise LampbenchError(
        f"{short_repr(value)}: workers are other processes, and find methods, tasks and engines by "
        "name; put the class into a file, give plugins=[FILE] and the class's name, or leave out "
        "workers and executor"
    )

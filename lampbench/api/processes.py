"""Which processes carry out plans: this one, one shard of several, or workers."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lampbench.api.settings import checked_whole
from lampbench.execution.shard import parse_shard
from lampbench.util.errors import LampbenchError, short_repr
from lampbench.util.terminal import message_line
from lampbench.workers.crew import Crew, Processes

EXECUTORS = ("local", "ray")
MOST_WORKERS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessChoices:
    """What was asked for: `workers` processes of an `executor`, at an `address` for Ray's, or the
    users of one `shard` ("0/4") in this process.
    """

    workers: int | None = None
    executor: str = "local"
    address: str | None = None
    shard: str | None = None

    @property
    def starts_workers(self) -> bool:
        """Whether other processes are started."""
        return self.workers is not None or self.executor != "local"


def processes_for(
    choices: ProcessChoices,
    module: str,
    arguments: Sequence[str],
    *,
    models: Sequence[str],
    cache_dir: Path,
    results: Path,
    device: str | None,
) -> Processes:
    """The processes that were asked for.

    Args:
        choices: what was asked for.
        module: the worker's module, whose `work` runs a shard.
        arguments: what `work` is given.
        models: the models that workers load.
        cache_dir: folder of the artifacts that workers share.
        results: folder of recorded runs.
        device: where models run; None for the best there is.

    Raises:
        LampbenchError: two choices contradict each other, a shard is not written as I/N, or a model
            is not here.
    """
    shard, workers, executor = choices.shard, choices.workers, choices.executor
    if workers is not None:
        checked_whole("workers", workers, 1, MOST_WORKERS)
    if executor not in EXECUTORS:
        usual = " or ".join(map(repr, EXECUTORS))
        raise LampbenchError(f"executor={short_repr(executor)}: give {usual}")
    if choices.address is not None:
        named = f"--address {message_line(str(choices.address), 60)}"
        if not isinstance(choices.address, str):
            raise LampbenchError(f"{named}: write HOST:PORT, such as 10.0.0.5:6379")
        if choices.address and executor != "ray":
            raise LampbenchError(f"{named}: is a Ray cluster's; add --executor ray")
    if shard is not None:
        divided = parse_shard(shard)
        if workers or executor == "ray":
            raise LampbenchError(
                f"--shard {shard}: is for one process of several that you start; leave out "
                "--workers and --executor, which start processes"
            )
        return Processes(divided)
    crew: Crew | None = None
    if executor == "ray":
        from lampbench.workers.probe import need_of
        from lampbench.workers.ray_crew import RayCrew

        need = need_of(models, cache_dir, results, device)
        crew = RayCrew(arguments, module, workers, choices.address, need)
    elif workers is not None:
        from lampbench.workers.local_crew import LocalCrew

        crew = LocalCrew(arguments, module, workers, device)
    return Processes(crew=crew)

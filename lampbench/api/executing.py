"""Carrying out plans: in this process, as one shard of several, or with workers."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lampbench.engine.pool import EnginePool
from lampbench.execution.plan import Plan
from lampbench.execution.run_shard import answer_shard, execute_shard
from lampbench.execution.runner import execute, forget_answers, record_shards
from lampbench.execution.shard import ALL_USERS, Shard
from lampbench.execution.shard_answers import complete_division
from lampbench.execution.stage_titles import stage_rows
from lampbench.record.recorded_run import DamagedRun, read_run
from lampbench.record.runs import Runs
from lampbench.util.disk import writable
from lampbench.util.errors import LampbenchError
from lampbench.workers.crew import RETRIES, Crew, Processes

_HERE = Processes()


def execute_all(
    plans: Sequence[Plan],
    results: Path | str,
    command: str,
    *,
    force: bool = False,
    processes: Processes = _HERE,
) -> Runs:
    """Carry out plans and read the recorded runs, in the order of the plans.

    A run that was recorded before and is damaged is not among them but in their `problems`. A
    process with one shard works on its users only, and a run is recorded when all shards are done.

    Raises:
        LampbenchError: `force` is given with a shard, an engine must be asked by one process, a
            folder cannot be written, the disk is too small for the artifacts, an input is bad, or
            a worker failed; finished work is kept.
    """
    from lampbench.study.disk_space import require_disk_space

    shard, crew = processes.shard, processes.crew
    if force and shard != ALL_USERS and not processes.worker:
        raise LampbenchError(
            f"--force and --shard {shard}: no shard can know which answers of the others are new; "
            "run it without --shard, or with --workers"
        )
    if shard != ALL_USERS or crew:
        _require_divisible(plans)
    writable(Path(results), "--results")
    for cache in {each.executor.cache.root: each.executor.cache for each in plans}.values():
        cache.require_usable()
    require_disk_space(plans)
    folders: list[Path] = []
    found, problems = [], []
    todo = [each for each in plans if force or not each.done]
    with _tabled(todo, shard), closing(plans):
        failures = _with_workers(todo, crew, force) if crew else []
        for each in plans:
            try:
                if processes.worker:
                    answer_shard(each, shard, again=force)
                elif crew:
                    recorded = each.done and not force
                    if not failures or recorded or complete_division(each):
                        if failed := _record(each, crew, command, Path(results), force):
                            failures = failed
                        else:
                            folders.append(each.folder)
                elif shard == ALL_USERS:
                    folders.append(execute(each, command, Path(results), force))
                elif folder := execute_shard(each, shard, command, Path(results)):
                    folders.append(folder)
            except DamagedRun as error:  # the others are carried out first
                problems.append(error.problem)
    if failures:
        raise LampbenchError(_told(failures, len(folders), len(plans)))
    for folder in folders:
        try:
            found.append(read_run(folder))
        except DamagedRun as error:
            problems.append(error.problem)
    return Runs(found, problems)


def _require_divisible(plans: Sequence[Plan]) -> None:
    """Refuse several processes for engines that one process must ask, and over a cache that one
    process sees.

    Raises:
        LampbenchError: a plan has such an engine, or such a cache.
    """
    for each in plans:
        if (remote := each.executor.cache.remote) is not None and remote.of_this_process:
            raise LampbenchError(
                f"--cache-dir {remote.url}: is in the memory of one process, and others cannot see "
                "it; choose a folder or another store, or leave out --workers, --executor and "
                "--shard"
            )
    undivided = [
        name
        for each in plans
        if isinstance(pool := each.executor.engines, EnginePool)
        for name in pool.options.engines
        if pool.plugin(name).in_one_process
    ]
    if undivided:
        raise LampbenchError(
            f"engine {undivided[0]}: one process asks it for all users, and keeps their account; "
            "leave out --workers, --executor and --shard (it asks for several answers at the same "
            "time: see lampbench engines)"
        )


@contextmanager
def closing(plans: Sequence[Plan]) -> Iterator[None]:
    """Close the engines of plans afterwards, whatever happens."""
    try:
        yield
    finally:
        for engines in {
            id(each.executor.engines): each.executor.engines for each in plans
        }.values():
            engines.close()


@contextmanager
def _tabled(plans: Sequence[Plan], shard: Shard) -> Iterator[None]:
    """Show the stages of plans as a table, where the terminal can."""
    shown = {id(each.executor.progress): each.executor.progress for each in plans}
    with ExitStack() as stack:
        for progress in list(shown.values())[:1]:  # the plans of a command share one
            stack.enter_context(progress.tabled(stage_rows(plans, shard)))
        yield


def _with_workers(todo: Sequence[Plan], crew: Crew, force: bool) -> list[str]:
    """Let workers answer what is not recorded; one line for each shard that failed."""
    if not todo:
        return []
    for each in todo if force else []:
        forget_answers(each)
    return crew.carry_out(todo[0].executor.progress)


def _record(plan: Plan, crew: Crew, command: str, results: Path, force: bool) -> list[str]:
    """Record what workers have answered; one line for each shard that failed.

    Workers answer again where another driver, with another folder of results, has recorded the same
    run over this cache in the meantime: that drops the answers.
    """
    for _ in range(1 + RETRIES):
        if record_shards(plan, command, results, replace_run=force):
            return []
        if failures := crew.carry_out(plan.executor.progress):
            return failures
    return [
        f"{plan.title}: other processes have recorded this run over this cache, and dropped the "
        f"workers' answers {RETRIES + 1} times; run one of them at a time"
    ]


def _told(failures: Sequence[str], recorded: int, planned: int) -> str:
    more = f" (and {len(failures) - 1} more shards)" if len(failures) > 1 else ""
    return (
        f"{failures[0]}{more}; {recorded} of {planned} runs are recorded, finished work is kept: "
        "once that is put right, run the same command again"
    )

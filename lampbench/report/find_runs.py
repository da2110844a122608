"""Finding recorded runs: by folder, by the beginning of the key, or by the data they answered."""

from pathlib import Path

from lampbench.record.manifest import MANIFEST
from lampbench.record.recorded_run import Run, read_run
from lampbench.record.runs import load_runs
from lampbench.report.board import Board
from lampbench.report.setups import Column, Setup
from lampbench.util.errors import LampbenchError, suggestion


def find_columns(
    board: Board, results: Path, task: str, model: str | None
) -> list[tuple[Setup, Column]]:
    """Every dataset of a task in every setup that has runs on it (of `model`, where it is given).

    Raises:
        LampbenchError: there is none.
    """
    found = [
        (setup, column)
        for setup in board.setups()
        if model in (None, setup.model)
        for column in board.columns(setup, task)
    ]
    if not found:
        known = sorted({column.task for column in board.columns()})
        if not known:
            raise LampbenchError(
                f"{results} has no run that a table shows; record one with `lampbench run`"
            )
        hint = f"no run with model {model!r}" if task in known else suggestion(task, known)
        raise LampbenchError(f"{results} has no run of task {task!r}: {hint}")
    return found


def find_run(results: Path, name: str) -> Run:
    """The run in a folder, or the one under `results` whose key begins with `name`.

    Raises:
        LampbenchError: there is none, it is damaged, or several keys begin like that.
    """
    if (Path(name) / MANIFEST).is_file():
        return read_run(Path(name))
    runs, problems = load_runs(results)
    found = [run for run in runs if name and run.manifest.key.startswith(name)]
    if len(found) == 1:
        return found[0]
    if found:
        listed = ", ".join(run.path.as_posix() for run in found[:4])
        more = f" and {len(found) - 4} more" if len(found) > 4 else ""
        raise LampbenchError(
            f"{name!r} is the beginning of the keys of {len(found)} runs: {listed}{more}"
        )
    damaged = [problem for problem in problems if name and problem.path.name.startswith(name)]
    if damaged:
        raise LampbenchError(str(damaged[0]))
    raise LampbenchError(
        f"{name!r} is neither a run's folder nor the beginning of a key in {results}: "
        "`lampbench list runs` lists them"
    )

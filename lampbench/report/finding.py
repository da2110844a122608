"""Recorded runs by their folder or the beginning of their key."""

from pathlib import Path

from lampbench.errors import LampbenchError
from lampbench.runs import MANIFEST, Run, load_runs, read_run


def find_run(results: Path, name: str) -> Run:
    """The run in a folder, or the one under `results` whose key begins with `name`.

    Raises:
        LampbenchError: there is none, it is damaged, or several keys begin like that.
    """
    if (Path(name) / MANIFEST).is_file():
        return read_run(Path(name))
    runs, problems = load_runs(results)
    found = [run for run in runs if name and run.manifest["key"].startswith(name)]
    if len(found) == 1:
        return found[0]
    if found:
        listed = ", ".join(run.path.as_posix() for run in found[:4])
        more = f" and {len(found) - 4} more" if len(found) > 4 else ""
        raise LampbenchError(
            f"{name!r} is the beginning of {len(found)} runs' keys: {listed}{more}"
        )
    damaged = [problem for problem in problems if name and problem.path.name.startswith(name)]
    if damaged:
        raise LampbenchError(str(damaged[0]))
    raise LampbenchError(
        f"{name!r} is neither a run's folder nor the beginning of a key in {results}: "
        "`lampbench list runs` names them"
    )

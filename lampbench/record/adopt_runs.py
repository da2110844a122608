"""Recorded runs from elsewhere, copied into a folder of recorded runs."""

from collections.abc import Sequence
from pathlib import Path

from lampbench.record.paths import run_path
from lampbench.record.recorded_run import DamagedRun, Run
from lampbench.record.run_lock import run_lock
from lampbench.record.runs import load_runs
from lampbench.record.submission import SUBMISSIONS, read_submission, submitter_of
from lampbench.record.write_submission import (
    copy_runs,
    folder_name,
    heal_shared_files,
    write_folder,
)
from lampbench.util.errors import LampbenchError


def adopt_runs(source: Path, results: Path, name: str | None) -> list[Path]:
    """Copy every run of a folder as a submission of `name`, or as our own where `name` is None.

    A run of our own that is recorded already stays; returned are the folders of those that are new.

    Raises:
        LampbenchError: there is no run, one is damaged, our own record of one is another, or the
            submission is there already.
    """
    runs, problems = load_runs(source)
    if problems:
        raise LampbenchError(f"{problems[0]}; nothing was imported")
    runs = [run for run in runs if run.path.parents[3] == source]  # not what others sent there
    if not runs:
        raise LampbenchError(f"{source}: has no recorded run; name a folder like results/")
    if name is None:
        return _as_our_own(runs, results)
    folder = results / SUBMISSIONS / folder_name(name)
    url = read_submission(source).url if submitter_of(source) else None
    write_folder(runs, folder, name, url=url)
    return [_place(folder, run) for run in runs]


def _as_our_own(runs: Sequence[Run], results: Path) -> list[Path]:
    new = []
    places = {run.path: _place(results, run) for run in runs}
    heal_shared_files(runs, results)
    recorded, problems = load_runs(results)
    damaged = {problem.path: problem for problem in problems}
    known = {run.path: run.manifest for run in recorded}
    for run in runs:
        place = places[run.path]
        if place in damaged:
            raise LampbenchError(f"{DamagedRun(damaged[place])}; nothing was imported")
        if place in known and known[place] != run.manifest:
            raise LampbenchError(
                f"{place}: is recorded here already, with another manifest; delete one of the two"
            )
    for run in runs:
        place = places[run.path]
        if place not in known:
            with run_lock(place):
                copy_runs([run], results)
            new.append(place)
    return new


def _place(results: Path, run: Run) -> Path:
    manifest = run.manifest
    return run_path(results, manifest.task, manifest.model, manifest.method, manifest.key)

"""Looking for recorded runs in a folder: the sound ones, and what is wrong with the others."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from lampbench.record import frames
from lampbench.record.check_run import PATIENCE, Checked, Damage, checked_manifest
from lampbench.record.leftovers import TEMPORARY, leftovers, restore, run_of
from lampbench.record.manifest import MANIFEST
from lampbench.record.recorded_run import DamagedRun, Run, RunReplaced, UnreadableRun
from lampbench.record.run_lock import run_lock_if_free
from lampbench.record.submission import submission_folders, submitter_of

if TYPE_CHECKING:
    import pandas

T = TypeVar("T")


class Runs(list[Run]):
    """Runs, which become one frame and show themselves as a table in a notebook.

    `problems` are the folders beside them that are no sound runs.
    """

    def __init__(self, runs: Iterable[Run] = (), problems: Sequence[UnreadableRun] = ()) -> None:
        super().__init__(runs)
        self.problems = tuple(problems)

    def frame(self) -> "pandas.DataFrame":
        """One row per run: what was run, users, queries, and each metric's mean over queries."""
        return frames.run_frame(self)

    def _repr_html_(self) -> str:
        return frames.html(self)


def load_runs(root: Path) -> tuple[list[Run], list[UnreadableRun]]:
    """Every sound run under `root`, and what was left out; both in order of their paths.

    Runs of submissions below `root` are among them.

    Left out are half-written folders, manifests of another format or that were edited, files that
    do not match their hashes, and folders that are not where their manifest belongs. Hidden
    folders of other programs are passed over. A `root` that is not there holds no runs. That the
    manifest's means are those of the scores is checked when the scores are read.

    A run that a killed writer left aside is put back; one that is being replaced is waited for.
    """
    runs: list[Run] = []
    problems: list[UnreadableRun] = []
    apart = submission_folders(root)
    for folder in (root, *apart):
        try:
            submitter_of(folder)
        except ValueError as error:
            problems.append(UnreadableRun(folder, str(error), "restore the file"))
        else:
            _load(folder, apart, runs, problems)
    by_path = attrgetter("path")
    return sorted(runs, key=by_path), sorted(problems, key=by_path)


def _load(
    root: Path, apart: Sequence[Path], runs: list[Run], problems: list[UnreadableRun]
) -> None:
    """Add the runs of one folder, without those of the folders `apart`, and what was left out."""
    checked: Checked = {}
    for path in _candidates(root, apart):
        if isinstance(path, UnreadableRun):
            problems.append(path)
            continue
        try:
            found = checked_manifest(root, path, checked)
        except Damage as damage:
            problems.append(UnreadableRun(path, str(damage), damage.remedy))
        else:
            runs += [Run(path, found)] if found else []


def with_runs(root: Path, use: Callable[[list[Run]], T]) -> tuple[T, list[UnreadableRun]]:
    """What `use` makes of the sound runs under `root`, and what was left out.

    Damage that shows only when scores or answers are read leaves out that run too. Where a run is
    recorded again meanwhile, all are read again.

    Raises:
        RunReplaced: runs are recorded again all the time.
    """
    damaged: dict[Path, UnreadableRun] = {}
    patience = time.monotonic() + PATIENCE
    while True:
        runs, problems = load_runs(root)
        try:
            made = use([run for run in runs if run.path not in damaged])
        except DamagedRun as error:
            if error.problem.path in damaged:
                raise
            damaged[error.problem.path] = error.problem
        except RunReplaced:
            if time.monotonic() > patience:
                raise
        else:
            left_out = {problem.path: problem for problem in (*problems, *damaged.values())}
            return made, [left_out[path] for path in sorted(left_out)]


def _candidates(
    root: Path, apart: Sequence[Path] = (), depth: int = 4
) -> Iterator[Path | UnreadableRun]:
    """Folders that are runs or ought to be, but for those in the folders `apart`."""
    try:
        found = sorted(root.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        yield UnreadableRun(root, f"cannot be read ({error.strerror})", "make it readable")
        return
    if depth == 1:
        # a folder that is being replaced may be gone at this moment
        yield from _runs_among([path for path in found if not path.is_file()])
        return
    for path in found:
        if path.name.startswith(".") or not path.is_dir() or path in apart:
            continue
        if (path / MANIFEST).exists():
            yield path  # not where it belongs
        else:
            yield from _candidates(path, apart, depth - 1)


def _runs_among(folders: Sequence[Path]) -> list[Path]:
    """The runs among the folders of a method, once what killed writers left is put right."""
    runs = {path for path in folders if not path.name.startswith(".")}
    for run in {run_of(path) for path in folders} - {None}:
        assert run is not None
        with run_lock_if_free(run) as free:
            if free:
                restore(run)
            if run.exists() or not free:
                runs.add(run)  # in its place, or about to be
            else:
                runs.update(leftovers(run, TEMPORARY))
    return sorted(runs)

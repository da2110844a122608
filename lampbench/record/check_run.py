"""Whether a folder is a sound recorded run, also while another process replaces it."""

import time
from pathlib import Path

from lampbench.record.dataset_files import check_content, shared_path
from lampbench.record.format_1 import Format1Run, is_format_1
from lampbench.record.leftovers import REPLACED, TEMPORARY, leftovers, restore
from lampbench.record.manifest import MANIFEST, Manifest
from lampbench.record.paths import run_path
from lampbench.record.remedy import remedy
from lampbench.record.run_files import check_run_file
from lampbench.record.run_lock import run_lock_if_free
from lampbench.util.regular_file import read_regular

PATIENCE = 2.0
"""Seconds for which a reader waits for a folder that is being replaced."""
_PAUSE = 0.01  # seconds between two looks
_GONE = 5  # looks without a folder after which it is taken to be gone


class Damage(Exception):
    """Why a folder is no run, and how to heal it."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.remedy = remedy


Checked = dict[tuple[Path, str], str | None]
"""What is wrong with files that runs share; None where nothing is."""


def checked_manifest(root: Path, path: Path, checked: Checked) -> Manifest | None:
    """The manifest of the run in a folder, once no process replaces it; None if the folder is gone.

    Args:
        root: the folder of all runs.
        path: the folder of the run.
        checked: what is wrong with files that runs share; filled here, so that each is read once.

    Raises:
        Damage: the folder is no sound run.
    """
    absent, patience = 0, time.monotonic() + PATIENCE
    while True:
        before = _identity(path)
        problem = Damage(
            "another process is replacing it", "read it again when that process has ended"
        )
        if before is not None:
            absent = 0
            try:
                return _check(root, path, checked)
            except Damage as damage:
                problem = damage
            if _identity(path) == before:
                raise problem
        elif leftovers(path, REPLACED):
            with run_lock_if_free(path) as free:
                if free:
                    restore(path)
        elif (absent := absent + 1) == _GONE:
            return None
        if time.monotonic() > patience:
            raise problem
        time.sleep(_PAUSE)


def _identity(path: Path) -> tuple[int, ...] | None:
    """Differs when another folder has taken the place of the one that was there."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_ctime_ns


def _check(root: Path, path: Path, checked: Checked) -> Manifest:
    if path.name.startswith(TEMPORARY):
        raise Damage("half-written, its process was stopped", "give the same command again")
    try:
        if not (path / MANIFEST).is_file():
            raise Damage(f"half-written, there is no {MANIFEST}", remedy(path, None))
        content = read_regular(path / MANIFEST)
        old = Format1Run(path) if is_format_1(content) else None
        manifest = old.manifest() if old else Manifest.from_json(content)
    except OSError as error:
        what = f"{MANIFEST} cannot be read ({error.strerror})"
        raise Damage(what, remedy(path, None)) from error
    except ValueError as error:
        raise Damage(str(error), remedy(path, None)) from error
    names = (manifest.task, manifest.model, manifest.method, manifest.key)
    if path != run_path(root, *names):
        belongs = run_path(Path(), *names).as_posix()
        what = f"its manifest belongs to {belongs}; a run cannot be moved or renamed"
        raise Damage(what, "move it back there")
    try:
        for name, recorded in manifest.files.items():
            check_run_file(path / name, recorded)
    except ValueError as error:
        raise Damage(str(error), remedy(path, manifest)) from error
    if old is not None:
        return manifest  # what its data was is in its own files
    for file in (*manifest.dataset.queries_files, *manifest.dataset.histories_files):
        place = shared_path(root, manifest.task, file), file.sha256
        if place not in checked:
            checked[place] = _problem(*place)
        if (problem := checked[place]) is not None:
            raise Damage(problem, remedy(path, manifest))
    return manifest


def _problem(path: Path, expected: str) -> str | None:
    try:
        check_content(path, expected)
    except ValueError as error:
        return str(error)
    return None

"""What nothing refers to in a cache: found by planning the recorded runs again, and removed."""

import contextlib
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from lampbench.engine.packaged_model import KIND, converted_key
from lampbench.execution.cache import DAMAGED, LOCKS, PARTIAL
from lampbench.execution.cache_contents import artifacts, disk_bytes, entries_below, folders
from lampbench.record.paths import unescape
from lampbench.record.recorded_run import Run
from lampbench.record.runs import load_runs
from lampbench.study.replan import Replanner
from lampbench.util.disk_set import DiskSet
from lampbench.util.errors import LampbenchError

ARTIFACT, PARTIAL_WORK, DAMAGED_ARTIFACT, LOCK, TEMPORARY = (
    "artifact", "partial work", "damaged artifact", "lock", "temporary file",
)  # fmt: skip
_DAY = 86_400.0
_FORMER = "digests.json"  # lampbench 0.1 kept the digests of models' files in it
_KNOWN = 10_000  # keys that are kept in memory while a run is planned again


@dataclass(frozen=True, slots=True)
class Unused:
    """A file or folder of a cache that nothing refers to; `what` is one of the words above."""

    what: str
    path: Path
    bytes: int


@dataclass(slots=True)
class Needed:
    """What recorded runs need: `artifacts` as `kind/key`, on disk, as there may be millions.

    All artifacts of `tasks` are needed too: `unplanned` says for each run why it cannot be known
    which of them it needs.
    """

    artifacts: DiskSet = field(default_factory=DiskSet)
    tasks: set[str] = field(default_factory=set)
    unplanned: list[str] = field(default_factory=list)

    def keep_task(self, task: str, run: Path, why: str) -> None:
        """Note a run that cannot be planned here."""
        self.tasks.add(task)
        self.unplanned.append(f"{run}: {why}; all artifacts of {task} are kept")


def needed(results: Sequence[Path], cache_dir: Path, plugins: tuple[str, ...] = ()) -> Needed:
    """What the recorded runs of some folders need of a cache.

    Raises:
        LampbenchError: a folder does not exist, or a run's task cannot be known.
    """
    found = Needed()
    replanner = Replanner(cache_dir, plugins)
    for root in results:
        if not root.is_dir():
            raise LampbenchError(
                f"{root}: no such folder; name the folder of recorded runs with --results"
            )
        runs, problems = load_runs(root)
        for problem in problems:
            found.keep_task(_task(root, problem.path), problem.path, problem.reason)
        for run in runs:
            _add(found, replanner, run, root)
    return found


def _add(found: Needed, replanner: Replanner, run: Run, root: Path) -> None:
    manifest = run.manifest
    if manifest.external is not None or run.submitter is not None:
        return  # nothing of it was made here, and what it names must not be asked
    try:
        plan = replanner.plan(manifest, root)
    except LampbenchError as error:
        found.keep_task(manifest.task, run.path, f"cannot be planned here ({error})")
        return
    if plan.folder.name != manifest.key:
        found.keep_task(
            manifest.task, run.path, "code, data or model have changed since it was recorded"
        )
        return
    if (packaged := plan.executor.model_spec.package) is not None:
        found.artifacts.add(f"{KIND}/{converted_key(packaged)}")
    keys = plan.executor.keys
    for stage in plan.stages:
        for owner in stage.owners:
            found.artifacts.add(f"{stage.name}/{keys.of(stage.recipe, owner)}")
            if len(keys.known) > _KNOWN:
                keys.known.clear()


def _task(root: Path, path: Path) -> str:
    with contextlib.suppress(ValueError, IndexError):
        return unescape(path.relative_to(root).parts[0])
    raise LampbenchError(f"{path}: no run, and its task is not known; remove it or repair it")


def unused(root: Path, keep: Needed, days: float) -> Iterator[Unused]:
    """What in a cache nothing refers to and nothing has used in the last `days`.

    Raises:
        LampbenchError: a process is at work in the cache.
    """
    before = time.time() - days * _DAY
    require_no_work(root)
    for each in artifacts(root):
        if f"{each.kind}/{each.key}" in keep.artifacts or each.last_used > before:
            continue
        if keep.tasks:
            task = each.description().get("task")
            if task is None or task in keep.tasks:
                continue
        yield Unused(ARTIFACT, each.folder, disk_bytes(each.folder))
    for kind in folders(root / PARTIAL):
        for key in folders(root / PARTIAL / kind):
            folder = root / PARTIAL / kind / key
            if _newest(folder) <= before:
                yield Unused(PARTIAL_WORK, folder, disk_bytes(folder))
    for name in folders(root / DAMAGED):
        yield Unused(DAMAGED_ARTIFACT, root / DAMAGED / name, disk_bytes(root / DAMAGED / name))
    for file in _files(root / LOCKS):
        if file.stat().st_mtime <= before:
            yield Unused(LOCK, file, file.stat().st_size)
    for file in _files(root):
        if (file.name.startswith(".") or file.name == _FORMER) and file.stat().st_mtime <= before:
            yield Unused(TEMPORARY, file, file.stat().st_size)


def require_no_work(root: Path) -> None:
    """Make sure that no process makes artifacts at this moment.

    Raises:
        LampbenchError: one does.
    """
    for file in _files(root / LOCKS):
        if file.suffix == ".holder":
            continue
        try:
            with FileLock(file, timeout=0):
                pass
        except Timeout:
            raise LampbenchError(
                f"{root}: a run is at work in this cache (it holds {file}); wait until it has ended"
            ) from None


def remove(found: Iterable[Unused]) -> Iterator[Unused]:
    """Remove files and folders; yields each when it is gone.

    Raises:
        LampbenchError: one cannot be removed.
    """
    for each in found:
        try:
            if each.path.is_dir():
                shutil.rmtree(each.path)
            else:
                each.path.unlink(missing_ok=True)
        except OSError as error:
            raise LampbenchError(
                f"{each.path}: cannot be removed ({error.strerror}); check its permissions"
            ) from error
        yield each


def _newest(folder: Path) -> float:
    """When anything below a folder was last changed, in seconds since 1970."""
    newest = folder.stat().st_mtime
    for entry in entries_below(folder):
        with contextlib.suppress(FileNotFoundError):
            newest = max(newest, entry.stat(follow_symlinks=False).st_mtime)
    return newest


def _files(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            if path.is_file():
                yield path

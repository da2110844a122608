"""From the words of `--data` to a dataset: which kind of source it is, and who reads it."""

import difflib
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from lampbench.bundled import DATA
from lampbench.core.dataset import Dataset, User
from lampbench.core.task import Task
from lampbench.data.lamp import load_lamp
from lampbench.data.lamp import places as lamp_places
from lampbench.data.leak_notes import audit, check
from lampbench.data.longlamp import is_layout as is_longlamp
from lampbench.data.longlamp import load_longlamp
from lampbench.data.native import (
    HEAD,
    folder_of,
    has_dev,
    load_bundled,
    load_native,
    read_credits,
)
from lampbench.data.oppu import TESTED, load_oppu
from lampbench.data.options import DataOptions
from lampbench.util.errors import LampbenchError

FOLDERS: dict[str, Callable[[Task, Path, DataOptions], Dataset]] = {
    "lamp": load_lamp,
    "oppu": load_oppu,
    "lampbench": load_native,
}
KINDS = ("bundled", "longlamp", *FOLDERS)


def load_source(task: Task, data: str, options: DataOptions) -> Dataset:
    """As `lampbench.data.load`."""
    kind, place = _parse(task, data)
    if kind == "bundled":
        dataset = load_bundled(task, options)
    elif kind == "longlamp":
        dataset = load_longlamp(task, place, options)
    else:
        dataset = FOLDERS[kind](task, Path(place), options)
    check(dataset)
    notes = [*dataset.notes, *audit(dataset, task.fields)]
    if options.split_by and kind not in ("lamp", "longlamp"):
        notes.append(f"--split-by {options.split_by} chose nothing: this source has one split")
    return replace(dataset, notes=tuple(notes), asked={"data": data, **asdict(options)})


def load_companions(
    task: Task, data: str, options: DataOptions
) -> tuple[tuple[User, ...], dict[str, list[str]]]:
    """What a source in our own layout has beside its tested users: users to tune on, and credits.

    All other sources have neither, nor are users to tune on beside themselves (`--split dev`).

    Raises:
        LampbenchError: as `load`.
    """
    kind, place = _parse(task, data)
    if kind not in ("bundled", "lampbench"):
        return (), {}
    folder = folder_of(task, DATA if kind == "bundled" else Path(place))
    dev: tuple[User, ...] = ()
    if has_dev(folder) and options.splits != ("dev",):
        dev = load_native(task, folder, DataOptions(splits=("dev",))).test_users
    return dev, read_credits(folder)


def _parse(task: Task, data: str) -> tuple[str, str]:
    """The kind of source and its place.

    Raises:
        LampbenchError: an unknown kind, a missing folder, or one of no or several kinds.
    """
    kind, colon, place = data.partition(":")
    if data in ("bundled", "longlamp"):
        return data, ""
    if colon and kind in KINDS and kind != "bundled":
        if not place:
            raise LampbenchError(f"--data {data}: a folder is missing after the colon")
        if kind in FOLDERS and not Path(place).is_dir():
            raise LampbenchError(f"{place}: no such folder (--data {kind}:DIR)")
        return kind, place
    if Path(data).is_dir():
        return _detect(task, Path(data)), data
    if Path(data).exists():
        raise LampbenchError(f"{data}: is a file; give the folder that holds it (--data)")
    near = difflib.get_close_matches(kind, KINDS, n=1)
    hint = f"did you mean {near[0]}?" if near else "no such folder"
    raise LampbenchError(
        f"--data {data}: {hint} (say bundled, lamp:DIR, oppu:DIR, longlamp[:DIR], lampbench:DIR)"
    )


def _detect(task: Task, folder: Path) -> str:
    """The kind of source that a folder holds for a task."""
    kinds = [
        *(["lampbench"] if _has(task, folder, HEAD) else []),
        *(["oppu"] if _has(task, folder, TESTED) else []),
        *(["lamp"] if _is_lamp(task, folder) else []),
        *(["longlamp"] if is_longlamp(task, folder) else []),
    ]
    if len(kinds) == 1:
        return kinds[0]
    if kinds:
        options = " or ".join(f"--data {kind}:{folder}" for kind in kinds)
        raise LampbenchError(f"{folder}: holds data of {len(kinds)} kinds; say {options}")
    raise LampbenchError(
        f"{folder}: no data of task {task.name} is recognised here ({HEAD}, {TESTED}, "
        "train_questions.json or a LongLaMP configuration); say the kind, as in lamp:DIR"
    )


def _has(task: Task, folder: Path, name: str) -> bool:
    return (folder / name).is_file() or (folder / task.name / name).is_file()


def _is_lamp(task: Task, folder: Path) -> bool:
    return task.files is not None and any(lamp_places(folder, task.files.task_id).values())

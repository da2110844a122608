"""Which loader reads what `--data` names."""

import difflib
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path

from lampbench.bundled import DATA
from lampbench.core.dataset import Dataset, User
from lampbench.core.task import Task
from lampbench.data.cut_histories import cut_histories
from lampbench.data.file_checks import names_in, no_data
from lampbench.data.latin_text import rouge_notes
from lampbench.data.leaks.notes import leak_notes
from lampbench.data.loaders.entry_parser import task_folders
from lampbench.data.loaders.lamp import find_lamp_files, load_lamp
from lampbench.data.loaders.lampbench_layout import (
    HEAD_FILE,
    has_dev_users,
    load_bundled,
    load_lampbench_layout,
    read_credits,
    task_folder,
)
from lampbench.data.loaders.longlamp import configurations, is_longlamp, load_longlamp
from lampbench.data.loaders.oppu import TEST_USERS_FILE, load_oppu
from lampbench.data.options import DataOptions
from lampbench.util.errors import LampbenchError, short_repr

FOLDER_LOADERS: dict[str, Callable[[Task, Path, DataOptions], Dataset]] = {
    "lamp": load_lamp,
    "oppu": load_oppu,
    "lampbench": load_lampbench_layout,
}
SOURCE_KINDS = ("bundled", "longlamp", *FOLDER_LOADERS)


def load_source(task: Task, data: str, options: DataOptions) -> Dataset:
    """Read a source; as `lampbench.data.load_dataset`."""
    kind, place = _parse(task, data)
    if kind == "bundled":
        dataset = load_bundled(task, options)
    elif kind == "longlamp":
        dataset = load_longlamp(task, place, options)
    else:
        dataset = FOLDER_LOADERS[kind](task, Path(place), options)
    check_test_users(dataset)
    if options.max_history is not None:
        dataset = cut_histories(dataset, options.max_history)
        if not dataset.cut_from:  # the whole data, and so are its runs
            options = replace(options, max_history=None)
    check_choices(task, dataset)
    notes = [*dataset.notes, *leak_notes(dataset, task.fields)]
    if not task.choices:
        notes += rouge_notes(dataset.test_users)
    if options.split_by and kind not in ("lamp", "longlamp"):
        notes.append(f"--split-by {options.split_by} ignored: this source has a single split")
    return replace(dataset, notes=tuple(notes), asked={"data": data, **asdict(options)})


def load_dev_users(task: Task, data: str, options: DataOptions) -> Sequence[User]:
    """The users of dev.jsonl, of bundled data and `lampbench:DIR`; none from other sources.

    Also none when they are the test users themselves (`--split dev`).

    Raises:
        LampbenchError: as `load_source`.
    """
    folder = _lampbench_folder(task, data)
    if folder is None or not has_dev_users(folder) or options.splits == ("dev",):
        return ()
    return load_lampbench_layout(task, folder, DataOptions(splits=("dev",))).test_users


def load_credits(task: Task, data: str) -> dict[str, list[str]]:
    """The authors of each paper by its id, from CREDITS.tsv; empty for sources without it.

    Raises:
        LampbenchError: as `load_source`, or a malformed CREDITS.tsv.
    """
    folder = _lampbench_folder(task, data)
    return read_credits(folder) if folder else {}


def check_test_users(dataset: Dataset) -> None:
    """Check that every test user has a history and queries.

    Raises:
        LampbenchError: a test user without history or queries.
    """
    for user in dataset.test_users:
        if not user.history or not user.queries:
            what = "no queries" if user.history else "an empty history"
            raise LampbenchError(
                f"{dataset.source}: test user {short_repr(user.id)} has {what}; add some or remove "
                "the user"
            )


def check_choices(task: Task, dataset: Dataset) -> None:
    """Check that every reference is one of the task's choices, where it has a fixed set.

    Raises:
        LampbenchError: a reference is not.
    """
    if not task.choices:
        return
    for user in chain(dataset.test_users, dataset.train_users):
        for query in user.queries:
            if query.reference is not None and query.reference not in task.choices:
                raise LampbenchError(
                    f"{dataset.source}: the reference of query {query.id!r}, "
                    f"{query.reference[:48]!r}, is none of the answers of {task.name} "
                    f"({', '.join(task.choices)}); correct it or give this task's files"
                )


def _lampbench_folder(task: Task, data: str) -> Path | None:
    """The task's folder of a source in our own layout; None for other sources."""
    kind, place = _parse(task, data)
    if kind not in ("bundled", "lampbench"):
        return None
    return task_folder(task, DATA if kind == "bundled" else Path(place))


def _parse(task: Task, data: str) -> tuple[str, str]:
    """The kind of source and its place; manifests name folders below home as `~/...`.

    Raises:
        LampbenchError: an unknown kind, a missing folder, or one of no or several kinds.
    """
    kind, colon, place = data.partition(":")
    data, place = (os.path.expanduser(text) for text in (data, place))  # noqa: PTH111 (any text)
    if data in ("bundled", "longlamp"):
        return data, ""
    if colon and kind in SOURCE_KINDS and kind != "bundled":
        if not place:
            raise LampbenchError(f"--data {data}: has no folder after the colon; add it")
        if kind in FOLDER_LOADERS and not Path(place).is_dir():
            raise LampbenchError(f"{place}: no such folder; correct --data {kind}:DIR")
        return kind, place
    if Path(data).is_dir():
        return _recognise(task, Path(data)), data
    if Path(data).exists():
        raise LampbenchError(f"{data}: is a file; give the folder that has it (--data)")
    near = difflib.get_close_matches(kind, SOURCE_KINDS, n=1)
    hint = f"did you mean {near[0]}?" if near else "no such folder;"
    raise LampbenchError(
        f"--data {data}: {hint} use bundled, lamp:DIR, oppu:DIR, longlamp[:DIR] or lampbench:DIR"
    )


def _recognise(task: Task, folder: Path) -> str:
    """The kind of data that a folder has for a task."""
    kinds = [
        *(["lampbench"] if _has(task, folder, HEAD_FILE) else []),
        *(["oppu"] if _has(task, folder, TEST_USERS_FILE) else []),
        *(["lamp"] if _has_lamp(task, folder) else []),
        *(["longlamp"] if is_longlamp(task, folder) else []),
    ]
    if len(kinds) == 1:
        return kinds[0]
    if kinds:
        options = " or ".join(f"--data {kind}:{folder}" for kind in kinds)
        raise LampbenchError(f"{folder}: has data of {len(kinds)} kinds; use {options}")
    names = [
        task.name,
        *(task_folders(task.files.task_id) if task.files else []),
        *(configurations(task.hub) if task.hub else []),
    ]
    raise no_data(
        folder,
        names,
        f"{folder}: no data of task {task.name} is recognised here ({HEAD_FILE}, "
        f"{TEST_USERS_FILE}, train_questions.json or a LongLaMP configuration); give another "
        "folder, or name its kind, as in --data lamp:DIR",
    )


def _has(task: Task, folder: Path, name: str) -> bool:
    """Whether a name is there in any form; the loader says what is wrong with it."""
    forms = (name, f"{name}.gz")
    there = (*names_in(folder), *names_in(folder / task.name))
    return any(one.casefold() in forms for one in there)


def _has_lamp(task: Task, folder: Path) -> bool:
    return task.files is not None and any(find_lamp_files(folder, task.files.task_id).values())

"""Our own layout, that of the bundled data and of what `lampbench data import` writes.

    dataset.json   {"task", "source", "licence", "attribution", "synthetic", "description"}
    test.jsonl     one test user per line: {"id", "history": [...], "queries": [...]}
    dev.jsonl      the same, optional: users for choosing hyper-parameters, never reported
    train.jsonl    one user per line whose queries train the task adapter; no history needed

Records and queries are {"id", "date", "fields": {...}, "target"}.
"""

import importlib.resources
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lampbench.core.dataset import Dataset, Query, Record, User
from lampbench.core.task import Task
from lampbench.data.choose_test_users import limit_test_users
from lampbench.data.file_checks import check_json_start, find_file, no_data, open_data
from lampbench.data.json_stream import parse_object, stream_lines
from lampbench.data.options import DataOptions
from lampbench.data.parse_values import as_date, as_id, as_list, as_object, as_text, json_type
from lampbench.data.time_order import OrderOfFile
from lampbench.data.users_on_disk import held
from lampbench.util.disk_set import DiskSet
from lampbench.util.errors import LampbenchError, NoDataForTask, short_repr

HEAD_FILE, TEST_FILE, DEV_FILE, TRAIN_FILE = (
    "dataset.json",
    "test.jsonl",
    "dev.jsonl",
    "train.jsonl",
)
CREDITS_FILE = "CREDITS.tsv"
_LONGEST_HEAD = 2**24
_MAY_BE_EMPTY = " (it may be empty: then nothing can be trained on other users)"


def load_bundled(task: Task, options: DataOptions) -> Dataset:
    """The data that every installation carries.

    Raises:
        LampbenchError: there is none for this task, or too few users in it.
    """
    packaged = importlib.resources.files("lampbench.bundled") / "data" / task.name
    if not packaged.is_dir():
        raise NoDataForTask(
            f"no data for task {task.name} is bundled; give a source with --data "
            "(lamp:DIR, oppu:DIR, longlamp:DIR or lampbench:DIR)"
        )
    with importlib.resources.as_file(packaged) as folder:
        return _load(task, folder, options, "bundled")


def load_lampbench_layout(task: Task, folder: Path, options: DataOptions) -> Dataset:
    """Users from `folder`, or from the folder of the task's name below it.

    Raises:
        LampbenchError: files are missing, malformed or another task's, or too few users.
    """
    place = task_folder(task, folder)
    if find_file(place, HEAD_FILE) is None:
        raise no_data(
            folder,
            [task.name],
            f"{folder}: no {HEAD_FILE} here or in {task.name}/; give the folder that "
            "`lampbench data import` wrote",
        )
    return _load(task, place, options, f"lampbench:{place}")


def task_folder(task: Task, place: Path) -> Path:
    """The folder of a task's files: `place` itself, or the one of the task's name below it."""
    return place if find_file(place, HEAD_FILE) else place / task.name


def has_dev_users(folder: Path) -> bool:
    """Whether there are users for choosing hyper-parameters."""
    return find_file(folder, DEV_FILE) is not None


def read_credits(folder: Path) -> dict[str, list[str]]:
    """The authors of each paper by its id, from CREDITS.tsv in a task's folder or the one above.

    Empty if there is no such file.

    Raises:
        LampbenchError: not UTF-8, or a line that is not an id, a tab and authors ("A; B").
    """
    path = find_file(folder, CREDITS_FILE) or find_file(folder.parent, CREDITS_FILE)
    if path is None:
        return {}
    try:
        with open_data(path) as stream:
            lines = stream.read().decode("utf-8-sig").split("\n")
    except UnicodeDecodeError:
        raise LampbenchError(f"{path}: is not UTF-8; save the file as UTF-8") from None
    credits: dict[str, list[str]] = {}
    for number, line in enumerate(lines[1:], 2):
        if not line and number > len(lines) - 1:
            continue  # behind the last line feed
        name, _, authors = line.rstrip("\r").partition("\t")
        if not name or not authors:
            raise LampbenchError(
                f"{path}:{number}: must be an id, a tab and the authors; correct the line"
            )
        credits[name] = authors.split("; ")
    return credits


def _load(task: Task, folder: Path, options: DataOptions, source: str) -> Dataset:
    path = find_file(folder, HEAD_FILE) or folder / HEAD_FILE
    head, where = _read_head(path), str(path)
    if head.get("task") != task.name:
        message = (
            f"{where}: is data of task {short_repr(head.get('task'))}, not {task.name!r}; give "
            "other data or another --task"
        )
        raise LampbenchError(message) if folder.name == task.name else NoDataForTask(message)
    synthetic = head.get("synthetic", False)
    if not isinstance(synthetic, bool):
        raise LampbenchError(
            f"{where}: synthetic must be true or false, not {json_type(synthetic)}; change it"
        )
    tested_file = _tested_file(folder, options, source)
    if tested_file == DEV_FILE:
        source += " (dev)"  # so that no table takes these users for the test users
    order = OrderOfFile()
    tested = held(_users(task, _required(folder, tested_file), order, tested=True))
    others = list(_users(task, _required(folder, TRAIN_FILE), order, tested=False))
    test, notes = limit_test_users(tested, options, source)
    kept = [as_text(n, where, "notes") for n in as_list(head.get("notes", []), where, "notes")]
    return Dataset(
        task.name,
        source,
        tuple(others),
        test,
        synthetic=synthetic,
        notes=(*kept, *order.notes(), *notes),
        licence=as_text(head.get("licence"), where, "licence"),
        attribution=as_text(head.get("attribution"), where, "attribution"),
        description=as_text(head.get("description"), where, "description"),
    )


def _tested_file(folder: Path, options: DataOptions, source: str) -> str:
    """The file of the users who are tested."""
    if options.splits in ((), ("test",)):
        return TEST_FILE
    if options.splits != ("dev",):
        raise LampbenchError(
            f"{source}: --split {' --split '.join(options.splits)}: this layout is tested on one "
            "split, test (the default) or dev; give one of these two"
        )
    if not has_dev_users(folder):
        raise LampbenchError(f"{folder}: has no {DEV_FILE}; add it or leave out --split dev")
    return DEV_FILE


def _read_head(path: Path) -> dict[str, Any]:
    with open_data(path) as stream:
        raw = stream.read(_LONGEST_HEAD)
    if len(raw) == _LONGEST_HEAD:
        raise LampbenchError(
            f"{path}: has more than {_LONGEST_HEAD:,} bytes; describe the dataset in fewer"
        )
    check_json_start(path, raw)
    return parse_object(raw, str(path))


def _required(folder: Path, name: str) -> Path:
    path = find_file(folder, name)
    if path is None:
        raise LampbenchError(
            f"{folder / name}: no such file; put it there"
            f"{_MAY_BE_EMPTY if name == TRAIN_FILE else ''} or import the data again"
        )
    return path


def _users(task: Task, path: Path, order: OrderOfFile, *, tested: bool) -> Iterator[User]:
    if not tested and not path.stat().st_size:
        return
    names, asked = DiskSet(), DiskSet()
    for where, entry in stream_lines(path):
        name = as_id(entry.get("id"), where)
        here = f"{where}: user {short_repr(name)}"
        _check_unused(name, names, where, "user id")
        history = [Record(*item) for item in _items(task, entry, "history", here, set())]
        if tested and not history:
            raise LampbenchError(
                f"{here} is a test user with an empty history; add records or remove the user"
            )
        order.look(history, here)
        queries = tuple(Query(*item) for item in _items(task, entry, "queries", here, asked))
        for query in queries:
            if query.reference is None and not tested:
                raise LampbenchError(
                    f"{here}: query {short_repr(query.id)} has no target to train on; add it or "
                    "remove the "
                    "query"
                )
        profile = as_text(entry.get("profile"), here, "profile") or None
        yield User(name, tuple(history), queries, profile)


def _items(
    task: Task, entry: Mapping[str, Any], key: str, where: str, taken: DiskSet | set[str]
) -> Iterator[tuple[str, dict[str, str], Any, str | None]]:
    """(id, fields, target, date) of a user's records or queries; a query's target may be null."""
    for number, value in enumerate(as_list(entry.get(key), where, key), 1):
        here = f"{where}: {key} {number}"
        item = as_object(value, here)
        name = as_id(item.get("id"), here)
        _check_unused(name, taken, here, "id")
        given = as_object(item.get("fields"), f"{here}: fields")
        needed = task.fields_of_records if key == "history" else task.fields
        missing = [field for field in needed if field not in given]
        if missing:
            there = f" (it has {short_repr(', '.join(given))})" if given else ""
            raise LampbenchError(
                f"{here}: fields has no {', '.join(missing)}{there}, which task {task.name} needs; "
                "add or rename it"
            )
        known = [field for field in (*needed, *task.optional) if field in given]
        fields = {field: as_text(given[field], here, field) for field in known}
        target = as_text(item.get("target"), here, "target") or None
        if target is None and (key == "history" or item.get("target") is not None):
            raise LampbenchError(f"{here} has no target; add it or remove the entry")
        yield name, fields, target, as_date(item.get("date"), here)


def _check_unused(name: str, taken: DiskSet | set[str], where: str, what: str) -> None:
    if name in taken:
        raise LampbenchError(f"{where}: {what} {short_repr(name)} is used twice; give each its own")
    taken.add(name)

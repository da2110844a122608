"""Our own layout, that of the bundled data and of what `lampbench data import` writes.

    dataset.json   {"task", "source", "licence", "attribution", "synthetic", "description"}
    test.jsonl     a tested user a line: {"id", "history": [...], "queries": [...]}
    dev.jsonl      the same, may be missing: users for choosing hyper-parameters, never reported
    train.jsonl    a user a line whose queries train the task adapter; the history may be empty

Records and queries are {"id", "date", "fields": {...}, "target"}.
"""

import importlib.resources
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lampbench.core.dataset import Dataset, Query, Record, User
from lampbench.core.task import Task
from lampbench.data import json_records
from lampbench.data.choose_users import trim
from lampbench.data.field_values import day, identifier, listing, mapping, text
from lampbench.data.options import DataOptions
from lampbench.util.errors import LampbenchError

HEAD, TEST, DEV, TRAIN = "dataset.json", "test.jsonl", "dev.jsonl", "train.jsonl"
CREDITS = "CREDITS.tsv"


def load_bundled(task: Task, options: DataOptions) -> Dataset:
    """The data that every installation carries.

    Raises:
        LampbenchError: there is none for this task, or too few users in it.
    """
    packaged = importlib.resources.files("lampbench.bundled") / "data" / task.name
    if not (packaged / HEAD).is_file():
        raise LampbenchError(
            f"no data for task {task.name} is bundled: give some with --data "
            "(lamp:DIR, oppu:DIR, longlamp:DIR or lampbench:DIR)"
        )
    with importlib.resources.as_file(packaged) as folder:
        return _load(task, folder, options, "bundled")


def load_native(task: Task, folder: Path, options: DataOptions) -> Dataset:
    """Users from `folder`, or from the folder of the task's name below it.

    Raises:
        LampbenchError: files are missing, malformed or another task's, or too few users.
    """
    folder = folder_of(task, folder)
    if not (folder / HEAD).is_file():
        raise LampbenchError(f"{folder.parent}: no {HEAD} here or in {task.name}/")
    return _load(task, folder, options, f"lampbench:{folder}")


def folder_of(task: Task, place: Path) -> Path:
    """The folder of a task's files: `place` itself, or the one of the task's name below it."""
    return place if (place / HEAD).is_file() else place / task.name


def has_dev(folder: Path) -> bool:
    """Whether there are users for choosing hyper-parameters."""
    return (folder / DEV).is_file()


def read_credits(folder: Path) -> dict[str, list[str]]:
    """The authors of each paper by its id, from CREDITS.tsv in a task's folder or the one above.

    Empty where there is no such file.

    Raises:
        LampbenchError: not UTF-8, or a line that is not an id, a tab and authors ("A; B").
    """
    path = next((at / CREDITS for at in (folder, folder.parent) if (at / CREDITS).is_file()), None)
    if path is None:
        return {}
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise LampbenchError(f"{path}: not UTF-8; write the file in UTF-8") from None
    credits: dict[str, list[str]] = {}
    for number, line in enumerate(lines[1:], 2):
        name, _, authors = line.partition("\t")
        if not name or not authors:
            raise LampbenchError(f"{path}:{number}: must be an id, a tab and authors; mend it")
        credits[name] = authors.split("; ")
    return credits


def _load(task: Task, folder: Path, options: DataOptions, source: str) -> Dataset:
    head = _head(folder / HEAD)
    if head.get("task") != task.name:
        raise LampbenchError(
            f"{folder / HEAD}: is data of task {head.get('task')!r}; give --task or other data"
        )
    if not isinstance(head.get("synthetic", False), bool):
        raise LampbenchError(f"{folder / HEAD}: synthetic must be true or false")
    tested_file = _tested_file(folder, options, source)
    if tested_file == DEV:
        source += " (dev)"  # so that no table takes these users for the tested ones
    tested = list(_users(task, folder / tested_file, tested=True))
    others = list(_users(task, folder / TRAIN, tested=False))
    test, notes = trim(tested, options, source)
    here = str(folder / HEAD)
    kept = [text(note, here, "notes") for note in listing(head.get("notes", []), here, "notes")]
    return Dataset(
        task.name,
        source,
        tuple(others),
        test,
        synthetic=head.get("synthetic", False),
        notes=(*kept, *notes),
        licence=text(head.get("licence"), here, "licence"),
        attribution=text(head.get("attribution"), here, "attribution"),
        description=text(head.get("description"), here, "description"),
    )


def _tested_file(folder: Path, options: DataOptions, source: str) -> str:
    """The file of the users who stand in the tested ones' place."""
    if options.splits in ((), ("test",)):
        return TEST
    if options.splits != ("dev",):
        raise LampbenchError(
            f"{source}: --split {' --split '.join(options.splits)}: this layout has the part test "
            f"({TEST}) or the part dev ({DEV}) tested; give one of the two"
        )
    if not has_dev(folder):
        raise LampbenchError(f"{folder}: has no {DEV}; add it, or leave out --split dev")
    return DEV


def _head(path: Path) -> dict[str, Any]:
    json_records.check_file(path)
    try:
        return mapping(json.loads(path.read_text("utf-8-sig")), str(path))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise LampbenchError(f"{path}: malformed JSON: {error}; write it again") from None


def _users(task: Task, path: Path, *, tested: bool) -> Iterator[User]:
    if not tested and path.is_file() and not path.stat().st_size:
        return
    names: set[str] = set()
    asked: set[str] = set()
    for where, entry in json_records.lines(path):
        name = identifier(entry.get("id"), where)
        here = f"{where}: user {name!r}"
        _once(name, names, where, "user id")
        history = [Record(*item) for item in _items(task, entry, "history", here, set())]
        if tested and not history:
            raise LampbenchError(f"{here} is tested and has an empty history; remove the user")
        queries = tuple(Query(*item) for item in _items(task, entry, "queries", here, asked))
        for query in queries:
            if query.reference is None and not tested:
                raise LampbenchError(f"{here}: query {query.id!r} has no target; remove the query")
        profile = text(entry.get("profile"), here, "profile") or None
        yield User(name, tuple(history), queries, profile)


def _items(
    task: Task, entry: Mapping[str, Any], key: str, where: str, taken: set[str]
) -> Iterator[tuple[str, dict[str, str], Any, str | None]]:
    """(id, fields, target, date) of a user's records or queries; a query's target may be null."""
    for number, value in enumerate(listing(entry.get(key), where, key), 1):
        here = f"{where}: {key} {number}"
        item = mapping(value, here)
        name = identifier(item.get("id"), here)
        _once(name, taken, here, "id")
        given = mapping(item.get("fields"), f"{here}: fields")
        missing = [field for field in task.fields if field not in given]
        if missing:
            raise LampbenchError(
                f"{here}: fields lack {', '.join(missing)}, which task {task.name} asks for"
            )
        known = [field for field in (*task.fields, *task.optional) if field in given]
        fields = {field: text(given[field], here, field) for field in known}
        target = text(item.get("target"), here, "target") or None
        if target is None and (key == "history" or item.get("target") is not None):
            raise LampbenchError(f"{here} has no target; remove it")
        yield name, fields, target, day(item.get("date"), here)


def _once(name: str, taken: set[str], where: str, what: str) -> None:
    if name in taken:
        raise LampbenchError(f"{where}: {what} {name!r} stands twice; give each its own")
    taken.add(name)


def write(dataset: Dataset, folder: Path) -> None:
    """Write a dataset in this layout; the folder appears whole or not at all.

    Raises:
        LampbenchError: the folder holds something already, or cannot be written.
    """
    check_free(folder)
    head = {
        "task": dataset.task,
        "source": dataset.source,
        "licence": dataset.licence,
        "attribution": dataset.attribution,
        "description": dataset.description,
        "synthetic": dataset.synthetic,
        "notes": list(dataset.notes),
    }
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            (unfinished / HEAD).write_text(json.dumps(head, indent=2, sort_keys=True) + "\n")
            _write_users(unfinished / TEST, dataset.test_users)
            _write_users(unfinished / TRAIN, dataset.train_users)
            unfinished.chmod(0o755)
            unfinished.rename(folder)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
    except OSError as error:
        raise LampbenchError(f"{folder}: cannot be written: {error.strerror}") from error


def check_free(folder: Path) -> None:
    """Raises LampbenchError unless the folder is missing or empty."""
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise LampbenchError(f"{folder}: exists already; remove it or choose another --output")


def _write_users(path: Path, users: Iterable[User]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        for user in users:
            line: dict[str, Any] = {
                "id": user.id,
                "history": [_item(r.id, r.fields, r.target, r.date) for r in user.history],
                "queries": [_item(q.id, q.fields, q.reference, q.date) for q in user.queries],
            }
            if user.profile is not None:
                line["profile"] = user.profile
            stream.write(json.dumps(line, ensure_ascii=False) + "\n")


def _item(
    name: str, fields: Mapping[str, str], target: str | None, date: str | None
) -> dict[str, Any]:
    return {"id": name, "date": date, "fields": dict(fields), "target": target}

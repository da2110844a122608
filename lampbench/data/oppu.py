"""The processed files of OPPU (Tan et al., 2024) and CoPe (Bu et al., 2025), already split.

`user_top_100_history.json` (tested) and `user_others.json` (train the task adapter) are lists of
{user_id or user_name, profile: [...], query: [{id, input, gold}]}; `*_label.json` repeats the
golds; `profile_user_100.json` is [{id, output}], one for each tested user, in their order.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from lampbench.core.dataset import Dataset, Query, Record, User
from lampbench.core.task import Task
from lampbench.data import json_records
from lampbench.data.choose_users import trim
from lampbench.data.field_values import identifier, listing, text
from lampbench.data.lamp import read_golds
from lampbench.data.options import DataOptions
from lampbench.data.record_format import Form, form_of, same_task
from lampbench.util.errors import LampbenchError

TESTED = "user_top_100_history.json"
OTHERS = "user_others.json"
PROFILES = "profile_user_100.json"
_USER_KEYS = ("user_id", "user_name")


def load_oppu(task: Task, folder: Path, options: DataOptions) -> Dataset:
    """Users from the processed files, in `folder` or in the folder of the task's name below it.

    Raises:
        LampbenchError: files are missing, malformed or another task's, an id stands twice,
            labels and profiles do not fit the users, or another part than test is asked for.
    """
    if options.splits not in ((), ("test",)):
        raise LampbenchError(
            f"{folder}: --split {' --split '.join(options.splits)}: the processed files hold test "
            "users only; leave --split out"
        )
    form = form_of(task, task.files)
    folder = folder if (folder / TESTED).is_file() else folder / task.name
    if not (folder / TESTED).is_file():
        raise LampbenchError(f"{folder.parent}: no {TESTED} here or in {task.name}/")
    counts: Counter[str] = Counter()
    tested = list(_users(folder / TESTED, form, counts, history=True))
    others = list(_users(folder / OTHERS, form, counts, history=False))
    tested = _with_profiles(folder / PROFILES, tested)
    test, notes = trim(tested, options, str(folder))
    return Dataset(
        task.name,
        f"oppu:{folder}",
        tuple(user for user in others if user.queries),
        test,
        notes=(*notes, *(f"{what}: {count}" for what, count in counts.items() if count)),
    )


def _users(path: Path, form: Form, counts: Counter[str], *, history: bool) -> Iterator[User]:
    """The users of a file; records are kept only where they are needed."""
    labels = _labels(path, form)
    json_records.check_escapes(path)
    asked: set[str] = set()
    names: set[str] = set()
    for where, entry in json_records.items(path):
        name = _user_name(entry, where)
        if name in names:
            raise LampbenchError(f"{where}: user {name!r} stands twice; give each its own id")
        names.add(name)
        here = f"{where}: user {name!r}"
        queries = []
        for number, item in enumerate(listing(entry.get("query"), here, "query"), 1):
            query = _query(item, labels, form, f"{here}: query {number}")
            if query.id in asked:
                raise LampbenchError(
                    f"{here}: query {number}: id {query.id!r} stands twice; give each its own"
                )
            asked.add(query.id)
            if query.reference:
                queries.append(query)
            else:
                counts["queries with an empty reference, left out"] += 1
        yield User(name, _history(entry, form, counts, here) if history else (), tuple(queries))
    for label in labels or ():
        if label not in asked:
            raise LampbenchError(
                f"{_label_file(path)}: a reference for query {label!r}, which {path.name} does "
                "not ask; give the files of the same download"
            )


def _user_name(entry: dict[str, Any], where: str) -> str:
    for key in _USER_KEYS:
        if entry.get(key) is not None:
            return identifier(entry[key], where, key)
    raise LampbenchError(f"{where}: has neither user_id nor user_name")


def _query(item: Any, labels: dict[str, str] | None, form: Form, where: str) -> Query:
    if not isinstance(item, dict):
        raise LampbenchError(f"{where}: must be an object {{id, input, gold}}")
    name = identifier(item.get("id"), where)
    gold = None if item.get("gold") is None else text(item["gold"], where, "gold")
    label = None if labels is None else labels.get(name)
    if gold is None and label is None:
        raise LampbenchError(f"{where}: query {name!r} has no gold and no label; add one")
    if gold is not None and label is not None and gold != label:
        raise LampbenchError(
            f"{where}: the gold of query {name!r} is not its label; the files do not belong "
            "together, give those of one download"
        )
    return Query(name, form.read_input(item.get("input"), where), label if gold is None else gold)


def _history(
    entry: dict[str, Any], form: Form, counts: Counter[str], where: str
) -> tuple[Record, ...]:
    """The records as they stand, those with the same id and content once."""
    found: dict[str, Record] = {}
    for number, item in enumerate(listing(entry.get("profile"), where, "profile"), 1):
        record = form.read_record(item, f"{where}: profile entry {number}")
        if not record.target:
            counts["profile entries with an empty target, left out"] += 1
        elif record.id not in found:
            found[record.id] = record
        elif form.record_key(found[record.id]) == form.record_key(record):
            counts["profile entries that stand twice, one kept"] += 1
        else:
            raise LampbenchError(
                f"{where}: profile entry {number}: id {record.id!r} stands for another record "
                "too; give each its own"
            )
    if not found:
        raise LampbenchError(
            f"{where}: has an empty history (profile); remove the user or give the file that has it"
        )
    return tuple(found.values())


def _label_file(path: Path) -> Path:
    """The labels of a file of users: its own, or for the tested users the only one there is."""
    own = path.with_name(f"{path.stem}_label.json")
    others = path.with_name(f"{Path(OTHERS).stem}_label.json")
    if own.is_file() or path.name != TESTED:
        return own
    found = [file for file in sorted(path.parent.glob("*_label.json")) if file != others]
    if len(found) > 1:
        listed = " and ".join(file.name for file in found)
        raise LampbenchError(f"{path.parent}: labels in {listed}; keep the one of {path.name}")
    return found[0] if found else own


def _labels(path: Path, form: Form) -> dict[str, str] | None:
    """The references beside a file of users; None where there is no such file."""
    labels = _label_file(path)
    if not labels.is_file():
        return None
    found = json_records.task_of(labels)
    if found is not None and not same_task(found, form.task_id):
        raise LampbenchError(
            f"{labels}: holds {found}, not {form.task_id} ({form.task}); "
            "give this task's files or another --task"
        )
    return read_golds(labels)


def _with_profiles(path: Path, users: list[User]) -> list[User]:
    """The users with their ready-made profiles, joined by position."""
    if not path.is_file():
        return users
    json_records.check_escapes(path)
    entries = list(json_records.items(path))
    if len(entries) != len(users):
        raise LampbenchError(
            f"{path}: {len(entries)} profiles for the {len(users)} users of {TESTED}; they are "
            "joined by position, so give one for each"
        )
    owners = [str(entry.get("id")) for _, entry in entries]
    names = [user.id for user in users]
    if owners != names and sorted(owners) == sorted(names):
        raise LampbenchError(
            f"{path}: the profiles stand in another order than the users of "
            f"{TESTED}, to whom they are joined by position; sort the file"
        )
    profiles = [text(entry.get("output"), where, "output") for where, entry in entries]
    return [
        replace(user, profile=profile or None)
        for user, profile in zip(users, profiles, strict=True)
    ]

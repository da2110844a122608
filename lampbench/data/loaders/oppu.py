"""The processed files of OPPU (Tan et al., 2024) and CoPe (Bu et al., 2025), with test users named.

`user_top_100_history.json` (tested) and `user_others.json` (train the task adapter) are lists of
{user_id or user_name, profile: [...], query: [{id, input, gold}]}; `*_label.json` repeats the
golds; `profile_user_100.json` is [{id, output}], one per test user, in their order.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from lampbench.core.dataset import Dataset, Query, Record, User
from lampbench.core.task import Task
from lampbench.data.choose_test_users import limit_test_users
from lampbench.data.file_checks import find_file, names_in, no_data
from lampbench.data.json_stream import stream_list
from lampbench.data.loaders.entry_parser import EntryParser, entry_parser
from lampbench.data.loaders.references import read_references
from lampbench.data.options import DataOptions
from lampbench.data.parse_values import as_id, as_list, as_object, as_text
from lampbench.util.errors import LampbenchError, short_repr

TEST_USERS_FILE = "user_top_100_history.json"
TRAINING_USERS_FILE = "user_others.json"
PROFILES_FILE = "profile_user_100.json"
_LABELS = "_label.json"
_USER_KEYS = ("user_id", "user_name")


def load_oppu(task: Task, folder: Path, options: DataOptions) -> Dataset:
    """Users from the processed files, in `folder` or in the folder of the task's name below it.

    Raises:
        LampbenchError: files are missing, malformed or another task's, an id is used twice,
            labels or profiles do not match the users, or a split other than test is requested.
    """
    if options.splits not in ((), ("test",)):
        raise LampbenchError(
            f"{folder}: --split {' --split '.join(options.splits)}: these files name their test "
            "users and have no other split; leave out --split"
        )
    parser = entry_parser(task, task.files)
    here = find_file(folder, TEST_USERS_FILE)
    tested_file = here or find_file(folder / task.name, TEST_USERS_FILE)
    if tested_file is None:
        raise no_data(
            folder,
            [task.name],
            f"{folder}: no {TEST_USERS_FILE} here or in {task.name}/; give the folder that has it",
        )
    folder = tested_file.parent
    where, first = next(stream_list(tested_file))
    parser.refuse_other_tasks(_first_input(first), where, folder)
    others_file = find_file(folder, TRAINING_USERS_FILE)
    if others_file is None:
        raise LampbenchError(
            f"{folder / TRAINING_USERS_FILE}: no such file, and its users train the task adapter; "
            f"put it beside {TEST_USERS_FILE}"
        )
    counts: Counter[str] = Counter()
    labels_files = _labels_files(folder)
    tested = list(_users(tested_file, labels_files[0], parser, counts, history=True))
    others = list(_users(others_file, labels_files[1], parser, counts, history=False))
    tested = _with_profiles(find_file(folder, PROFILES_FILE), tested)
    test, notes = limit_test_users(tested, options, str(folder))
    return Dataset(
        task.name,
        f"oppu:{folder}",
        tuple(user for user in others if user.queries),
        test,
        notes=(*notes, *(f"{what}: {count}" for what, count in counts.items() if count)),
    )


def _first_input(user: dict[str, Any]) -> object:
    """The input of a user's first query, if there is one."""
    match user.get("query"):
        case [{"input": sentence}, *_]:
            return sentence
    return None


def _users(
    path: Path,
    labels_file: Path | None,
    parser: EntryParser,
    counts: Counter[str],
    *,
    history: bool,
) -> Iterator[User]:
    """The users of a file; records are kept only if they are needed."""
    labels = None
    if labels_file is not None:
        labels = read_references(labels_file, parser.task, parser.task_id)
    asked: set[str] = set()
    used_key = ""
    names: set[str] = set()
    for where, entry in stream_list(path):
        key, name = _user_name(entry, where)
        used_key = used_key or key
        if key != used_key:
            raise LampbenchError(
                f"{where}: has {key}, where the users before have {used_key}; name all users by "
                "the same key, so that none is taken for two"
            )
        if name in names:
            raise LampbenchError(
                f"{where}: user {short_repr(name)} is listed twice; give each its own id"
            )
        names.add(name)
        here = f"{where}: user {short_repr(name)}"
        queries = []
        for number, item in enumerate(as_list(entry.get("query"), here, "query"), 1):
            query = _query(item, labels, parser, f"{here}: query {number}")
            if query.id in asked:
                raise LampbenchError(
                    f"{here}: query {number}: id {short_repr(query.id)} is used twice; give each "
                    "its "
                    "own"
                )
            asked.add(query.id)
            if query.reference:
                queries.append(query)
            else:
                counts["queries with an empty reference, removed"] += 1
        records = _history(entry, parser, counts, here) if history else ()
        yield User(name, records, tuple(queries))
    for label in labels or ():
        if label not in asked:
            raise LampbenchError(
                f"{labels_file}: has a reference for query {short_repr(label)}, which is not in "
                f"{path.name}; "
                "use the files of one download"
            )


def _user_name(entry: dict[str, Any], where: str) -> tuple[str, str]:
    """The key by which a user is named, and the name."""
    for key in _USER_KEYS:
        if entry.get(key) is not None:
            return key, as_id(entry[key], where, key)
    raise LampbenchError(f"{where}: has neither user_id nor user_name; add one of them")


def _query(value: object, labels: dict[str, str] | None, parser: EntryParser, where: str) -> Query:
    item = as_object(value, where)
    name = as_id(item.get("id"), where)
    gold = None if item.get("gold") is None else as_text(item["gold"], where, "gold")
    label = None if labels is None else labels.get(name)
    if gold is None and label is None:
        raise LampbenchError(
            f"{where}: query {short_repr(name)} has neither a gold nor a label; add one of them"
        )
    if gold is not None and label is not None and gold != label:
        raise LampbenchError(
            f"{where}: the gold of query {short_repr(name)} differs from its label; use the files "
            "of "
            "one "
            "download"
        )
    return Query(name, parser.read_input(item, where), label if gold is None else gold)


def _history(
    entry: dict[str, Any], parser: EntryParser, counts: Counter[str], where: str
) -> tuple[Record, ...]:
    """The records in file order; those with the same id and content once."""
    found: dict[str, Record] = {}
    for number, item in enumerate(as_list(entry.get("profile"), where, "profile"), 1):
        record = parser.read_record(item, f"{where}: profile entry {number}")
        if not record.target:
            counts["profile entries with an empty target, removed"] += 1
        elif record.id not in found:
            found[record.id] = record
        elif parser.record_key(found[record.id]) == parser.record_key(record):
            counts["repeated profile entries, one kept"] += 1
        else:
            raise LampbenchError(
                f"{where}: profile entry {number}: id {short_repr(record.id)} is another record's "
                "too; "
                "give each its own"
            )
    if not found:
        raise LampbenchError(
            f"{where}: is a test user with an empty history (profile); add records or remove the "
            "user"
        )
    return tuple(found.values())


def _labels_files(folder: Path) -> tuple[Path | None, Path | None]:
    """The labels of the test users and of the others; None where there are none.

    Those of the test users are in a file named after theirs, or in the only file of labels.
    """
    tested, others = (
        f"{Path(name).stem}{_LABELS}" for name in (TEST_USERS_FILE, TRAINING_USERS_FILE)
    )
    named = find_file(folder, tested), find_file(folder, others)
    if named[0]:
        return named
    endings = (_LABELS, f"{_LABELS}.gz")
    found = [name for name in names_in(folder) if name.endswith(endings)]
    found = [name for name in found if name.removesuffix(".gz") != others]
    if len(found) > 1:
        raise LampbenchError(
            f"{folder}: labels in {' and '.join(found[:5])}; keep those of {TEST_USERS_FILE}"
        )
    return (find_file(folder, found[0].removesuffix(".gz")) if found else None), named[1]


def _with_profiles(path: Path | None, users: list[User]) -> list[User]:
    """The users with their ready-made profiles, matched by position."""
    if path is None:
        return users
    entries = list(stream_list(path))
    if len(entries) != len(users):
        raise LampbenchError(
            f"{path}: {len(entries)} profiles for {len(users)} users of {TEST_USERS_FILE}, which "
            "are matched by position; give one per user"
        )
    owners = [str(entry.get("id")) for _, entry in entries]
    names = [user.id for user in users]
    if owners != names and sorted(owners) == sorted(names):
        raise LampbenchError(
            f"{path}: the profiles are in another order than the users of {TEST_USERS_FILE}, and "
            "are matched by position; put them in the same order"
        )
    profiles = [as_text(entry.get("output"), where, "output") for where, entry in entries]
    return [
        replace(user, profile=profile or None)
        for user, profile in zip(users, profiles, strict=True)
    ]

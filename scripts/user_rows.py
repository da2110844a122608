"""Users as rows of the bundled files: reading, writing, comparing them."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lampbench.core.dataset import Dataset, Query, Record, User
from lampbench.data.leaks.audit import LeakAudit, LeakFinding
from lampbench.data.leaks.ngrams import text_ngrams
from lampbench.registry import Registry
from scripts.source_texts import Json, stop


def read_users(path: Path) -> list[Json]:
    """The users of a bundled file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def records(user: Json) -> Iterator[Json]:
    """A user's history, then the user's queries."""
    yield from user["history"]
    yield from user["queries"]


def record_ngrams(record: Json) -> set[str]:
    """The 13-grams of all texts of a record."""
    texts = (record["target"], *record["fields"].values())
    return {ngram for text in texts for ngram in text_ngrams(text)}


def user_ngrams(users: Iterable[Json]) -> set[str]:
    """The 13-grams of everything that these users wrote or were given."""
    every = (record for user in users for record in records(user))
    return {ngram for record in every for ngram in record_ngrams(record)}


def find_leaks(
    task: str, test: Iterable[Json], dev: Iterable[Json], train: Iterable[Json]
) -> list[LeakFinding]:
    """The leaks that `lampbench data audit` finds among these users."""
    dataset = Dataset(task, "rows", _users(train), _users(test))
    names = Registry().task(task).fields
    found = LeakAudit(dataset, _users(dev), names, strict=True).within()
    return [finding for finding in found if finding.leak and finding.cases]


def write_users(
    folder: Path,
    test: Sequence[Json],
    dev: Sequence[Json],
    train: Sequence[Json],
    note: Mapping[str, Any],
) -> None:
    """Write a task's users and the description of the data, after a last check for leaks.

    Raises:
        SystemExit: the leak check finds something.
    """
    if leaks := find_leaks(folder.name, test, dev, train):
        first = leaks[0]
        stop(f"{folder.name}: {first.what} in {first.where}, the first: {first.cases[0]}")
    folder.mkdir(parents=True, exist_ok=True)
    for name, users in (("test", test), ("dev", dev), ("train", train)):
        lines = [json.dumps(user, ensure_ascii=False, sort_keys=True) + "\n" for user in users]
        write_text(folder / f"{name}.jsonl", "".join(lines))
    head = {"task": folder.name, **note}
    text = json.dumps(head, ensure_ascii=False, indent=2, sort_keys=True)
    write_text(folder / "dataset.json", text + "\n")


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 with Unix line ends, so that the bytes are the same everywhere."""
    path.write_text(text, encoding="utf-8", newline="\n")


def _users(rows: Iterable[Json]) -> tuple[User, ...]:
    return tuple(
        User(
            row["id"],
            tuple(Record(r["id"], r["fields"], r["target"], r["date"]) for r in row["history"]),
            tuple(Query(q["id"], q["fields"], q["target"], q["date"]) for q in row["queries"]),
        )
        for row in rows
    )

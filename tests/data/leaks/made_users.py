"""Users without leaks, in our own layout, in which one leak at a time is planted."""

import json
from pathlib import Path
from typing import Any

Json = dict[str, Any]
Users = dict[str, list[Json]]
"""Users by file: test, dev, train."""


def made_words(tag: str, count: int = 20) -> str:
    return " ".join(f"{tag}{number}" for number in range(count))


def made_record(name: str) -> Json:
    text, target = made_words(name), made_words(f"t{name}")
    return {"id": name, "date": None, "fields": {"text": text}, "target": target}


def made_user(name: str, history: int, queries: int) -> Json:
    return {
        "id": name,
        "history": [made_record(f"{name}h{number}") for number in range(history)],
        "queries": [made_record(f"{name}q{number}") for number in range(queries)],
    }


def made_users() -> Users:
    return {
        "test": [made_user("ann", 2, 1), made_user("bob", 2, 2)],
        "dev": [made_user("dan", 2, 1)],
        "train": [made_user("eve", 0, 2)],
    }


def write_users(users: Users, folder: Path) -> Path:
    """Write the users as data of `news_headline`; returns the folder."""
    folder.mkdir(exist_ok=True)
    (folder / "dataset.json").write_text('{"task": "news_headline"}')
    for name, rows in users.items():
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(lines)
    return folder

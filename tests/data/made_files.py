"""Small files in the published formats, and the entries they are made of."""

import json
from pathlib import Path
from typing import Any

import pytest

from lampbench.core.dataset import Dataset
from lampbench.core.task import Task
from lampbench.data import DataOptions, load_dataset
from lampbench.util.errors import LampbenchError

Entry = dict[str, Any]


def read(task: Task, data: str, **options: Any) -> Dataset:
    """A dataset, with the options of `DataOptions`."""
    return load_dataset(task, data, DataOptions(**options))


def check_refused(task: Task, data: str, *patterns: str, **options: Any) -> None:
    """Check that a source is refused with one line in which all patterns occur."""
    with pytest.raises(LampbenchError) as caught:
        read(task, data, **options)
    message = str(caught.value)
    assert "\n" not in message
    for pattern in patterns:
        assert pattern in message


def news_profile(user: object, count: int, **extra: Any) -> list[Entry]:
    """News records of a user, with dates in reverse."""
    return [
        {
            "id": f"{user}{n}",
            "text": f"Article {n} of {user}.",
            "title": f"Headline {n} of {user}",
            "date": f"2014-01-{28 - n:02}",
            **extra,
        }
        for n in range(count)
    ]


def news_question(name: object, profile: list[Entry], **extra: Any) -> Entry:
    """A LaMP-4 question; `extra` overrides any key."""
    sentence = f"Generate a headline for the following article: Asked text {name}"
    return {"id": name, "input": sentence, "profile": profile, **extra}


def write_lamp(
    folder: Path, split: str, questions: list[Entry], golds: Any = ..., task_id: str = "LaMP_4"
) -> Path:
    """Write a split's questions and outputs (none if `golds` is None), and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{split}_questions.json").write_text(json.dumps(questions))
    if golds is ...:
        golds = [{"id": q["id"], "output": f"Gold {q['id']}"} for q in questions]
    if golds is not None:
        outputs = {"task": task_id, "golds": golds}
        (folder / f"{split}_outputs.json").write_text(json.dumps(outputs))
    return folder


def oppu_user(name: object, count: int, key: str = "user_id", **extra: Any) -> Entry:
    """A user of the OPPU files with `count` records and two queries."""
    profile = [
        {"id": str(n), "text": f"Article {n} of {name}.", "title": f"Headline {n} of {name}"}
        for n in range(count)
    ]
    query = [
        {
            "id": f"{name}-{n}",
            "input": f"Generate a headline for the following article: Asked {n} of {name}",
            "gold": f"Gold {n} of {name}",
        }
        for n in range(2)
    ]
    return {key: name, "profile": profile, "query": query, **extra}


def topic_row(user: str, number: int, count: int, **extra: Any) -> Entry:
    """A row of LongLaMP's topic_writing configurations."""
    return {
        "author": user,
        "input": f"Generate the content for a reddit post Asked {number} of {user}",
        "output": f"Post {number} of {user}",
        "profile": [
            {
                "id": f"{user}{n}",
                "author": user,
                "summary": f"Summary {n} of {user}",
                "content": f"Content {n} of {user}",
            }
            for n in range(count)
        ],
        **extra,
    }

"""Small files in the published formats, built anew for each test."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lampbench.core.task import Task
from lampbench.registry import Registry

Entry = dict[str, Any]


@pytest.fixture(scope="session")
def task() -> Callable[[str], Task]:
    return Registry().task


@pytest.fixture(scope="session")
def news(task: Callable[[str], Task]) -> Task:
    return task("news_headline")


@pytest.fixture(scope="session")
def topic(task: Callable[[str], Task]) -> Task:
    return task("topic_writing")


@pytest.fixture(scope="session")
def profile() -> Callable[..., list[Entry]]:
    """News records of a user, with dates in reverse."""

    def make(user: str, count: int, **extra: Any) -> list[Entry]:
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

    return make


@pytest.fixture(scope="session")
def question() -> Callable[..., Entry]:
    """A LaMP-4 question; `extra` overrides any key."""

    def make(name: Any, profile: list[Entry], **extra: Any) -> Entry:
        sentence = f"Generate a headline for the following article: Asked text {name}"
        return {"id": name, "input": sentence, "profile": profile, **extra}

    return make


@pytest.fixture(scope="session")
def write_lamp() -> Callable[..., Path]:
    """Writes a part's questions and outputs, and returns the folder."""

    def write(
        folder: Path, part: str, questions: list[Entry], golds: Any = ..., task_id: str = "LaMP_4"
    ) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{part}_questions.json").write_text(json.dumps(questions))
        if golds is ...:
            golds = [{"id": q["id"], "output": f"Gold {q['id']}"} for q in questions]
        if golds is not None:
            outputs = {"task": task_id, "golds": golds}
            (folder / f"{part}_outputs.json").write_text(json.dumps(outputs))
        return folder

    return write


@pytest.fixture
def lamp(
    tmp_path: Path, question: Callable[..., Entry], profile: Callable[..., list[Entry]],
    write_lamp: Callable[..., Path],
) -> Path:  # fmt: skip
    """Four users with ids, of 2, 4, 6 and 8 records; `c` and `d` are in dev."""
    train = [
        question("q1", profile("a", 2), user_id="a"),
        question("q2", profile("b", 4), user_id="b"),
        question("q3", profile("b", 4), user_id="b"),
    ]
    dev = [
        question("q4", profile("c", 6), user_id="c"),
        question("q5", profile("d", 8), user_id="d"),
    ]
    write_lamp(tmp_path / "lamp", "train", train)
    return write_lamp(tmp_path / "lamp", "dev", dev)


@pytest.fixture(scope="session")
def oppu_user() -> Callable[..., Entry]:
    """A user of the OPPU files with `count` records and two queries."""

    def make(name: Any, count: int, key: str = "user_id", **extra: Any) -> Entry:
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

    return make


@pytest.fixture
def oppu(tmp_path: Path, oppu_user: Callable[..., Entry]) -> Path:
    """Three tested users (2, 3 and 1 records) and two others."""
    folder = tmp_path / "oppu"
    folder.mkdir()
    tested = [oppu_user(1, 2), oppu_user(2, 3), oppu_user(3, 1)]
    (folder / "user_top_100_history.json").write_text(json.dumps(tested))
    (folder / "user_others.json").write_text(json.dumps([oppu_user(8, 5), oppu_user(9, 0)]))
    return folder


@pytest.fixture(scope="session")
def topic_row() -> Callable[..., Entry]:
    """A row of LongLaMP's topic_writing configurations."""

    def make(user: str, number: int, count: int, **extra: Any) -> Entry:
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

    return make

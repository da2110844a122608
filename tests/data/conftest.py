"""Tasks, and small folders in the published formats that are built again for each test."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lampbench.core.task import Task
from lampbench.registry import Registry
from tests.data.made_files import news_profile, news_question, oppu_user, write_lamp


@pytest.fixture(scope="session")
def task() -> Callable[[str], Task]:
    return Registry().task


@pytest.fixture(scope="session")
def news(task: Callable[[str], Task]) -> Task:
    return task("news_headline")


@pytest.fixture(scope="session")
def topic(task: Callable[[str], Task]) -> Task:
    return task("topic_writing")


@pytest.fixture
def lamp(tmp_path: Path) -> Path:
    """Four users with ids, of 2, 4, 6 and 8 records; `c` and `d` are in dev."""
    train = [
        news_question("q1", news_profile("a", 2), user_id="a"),
        news_question("q2", news_profile("b", 4), user_id="b"),
        news_question("q3", news_profile("b", 4), user_id="b"),
    ]
    dev = [
        news_question("q4", news_profile("c", 6), user_id="c"),
        news_question("q5", news_profile("d", 8), user_id="d"),
    ]
    write_lamp(tmp_path / "lamp", "train", train)
    return write_lamp(tmp_path / "lamp", "dev", dev)


@pytest.fixture
def oppu(tmp_path: Path) -> Path:
    """Three tested users (2, 3 and 1 records) and two others."""
    folder = tmp_path / "oppu"
    folder.mkdir()
    tested = [oppu_user(1, 2), oppu_user(2, 3), oppu_user(3, 1)]
    (folder / "user_top_100_history.json").write_text(json.dumps(tested))
    (folder / "user_others.json").write_text(json.dumps([oppu_user(8, 5), oppu_user(9, 0)]))
    return folder

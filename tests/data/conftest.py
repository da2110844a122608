"""Tasks, and small folders in the published formats that are built again for each test."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lampbench.core.task import Task
from lampbench.registry import Registry
from tests.data.made_files import oppu_user


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
def oppu(tmp_path: Path) -> Path:
    """Three tested users (2, 3 and 1 records) and two others."""
    folder = tmp_path / "oppu"
    folder.mkdir()
    tested = [oppu_user(1, 2), oppu_user(2, 3), oppu_user(3, 1)]
    (folder / "user_top_100_history.json").write_text(json.dumps(tested))
    (folder / "user_others.json").write_text(json.dumps([oppu_user(8, 5), oppu_user(9, 0)]))
    return folder

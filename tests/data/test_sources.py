"""What `--data` may say."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lampbench.core.task import FileFormat, Task
from lampbench.data import DataOptions, load_dataset
from tests.data.made_files import check_refused


def test_what_is_not_a_source(news: Task, tmp_path: Path) -> None:
    (tmp_path / "file.json").touch()
    check_refused(news, "lmp:here", "did you mean lamp? use bundled, lamp:DIR")
    check_refused(news, "nowhere/at/all", "no such folder; use bundled, lamp:DIR")
    check_refused(news, "lamp:", "has no folder after the colon; add it")
    check_refused(news, "lampbench:nowhere", "nowhere: no such folder; correct --data lampbench:")
    check_refused(news, str(tmp_path / "file.json"), "is a file; give the folder")
    check_refused(
        news, str(tmp_path), "no data of task news_headline is recognised here", "name its kind"
    )


def test_a_folder_of_two_kinds_asks_which(news: Task, lamp: Path, oppu: Path) -> None:
    for path in oppu.iterdir():
        path.rename(lamp / path.name)
    which = f"has data of 2 kinds; use --data oppu:{lamp} or --data lamp:{lamp}"
    check_refused(news, str(lamp), which)
    assert load_dataset(news, f"lamp:{lamp}", DataOptions(users=1)).test_users[0].id == "d"
    assert load_dataset(news, f"oppu:{lamp}", DataOptions(users=1)).test_users[0].id == "2"


def varied(task: Task, **attributes: Any) -> Task:
    """The task with other attributes."""
    other: Task = type("Other", (type(task),), attributes)()
    return other


def test_a_task_that_declares_no_files(news: Task, lamp: Path) -> None:
    other = varied(news, name="own", files=None)
    check_refused(
        other, f"lamp:{lamp}", "task own does not declare how such files look", "use --data bundled"
    )
    check_refused(other, str(lamp), "no data of task own is recognised")


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "files.input is not a valid regular expression"),
        ("(?P<title>.*)", "files.input has no group for text; add (?P<text>...)"),
    ],
)
def test_a_task_whose_input_pattern_cannot_be_used(
    news: Task, lamp: Path, pattern: str, message: str
) -> None:
    files = FileFormat("LaMP_4", pattern, {"text": "text"}, "title")
    check_refused(varied(news, files=files), f"lamp:{lamp}", message)


def test_options_that_a_source_does_not_have_are_refused_or_noted(news: Task, oppu: Path) -> None:
    check_refused(news, f"oppu:{oppu}", "--split dev: ", "leave out --split", splits=("dev",))
    for data in ("bundled", f"oppu:{oppu}"):
        note = "--split-by time ignored: this source has a single split"
        assert note in load_dataset(news, data, DataOptions(split_by="time")).notes
        assert note not in load_dataset(news, data, DataOptions()).notes


def test_nothing_heavy_is_imported() -> None:
    code = """
import sys
import lampbench.cli.data, lampbench.data
heavy = {"torch", "datasets", "transformers", "pyarrow", "pandas", "tokenizers"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
from lampbench.data import DataOptions, load_dataset
from lampbench.registry import Registry
load_dataset(Registry().task("news_headline"), "bundled", DataOptions())
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)

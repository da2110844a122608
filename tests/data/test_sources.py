"""What `--data` may say, the protocol, and the options."""

import subprocess
import sys

import pytest

from lampbench.data import DataOptions, load
from lampbench.data.choose_users import choose
from lampbench.util.errors import LampbenchError


def says(task, data, *patterns):
    with pytest.raises(LampbenchError) as caught:
        load(task, data, DataOptions(users=1))
    for pattern in patterns:
        assert pattern in str(caught.value)


def test_sources_that_are_none(news, tmp_path):
    (tmp_path / "file.json").touch()
    says(news, "lmp:here", "did you mean lamp?")
    says(news, "nowhere/at/all", "no such folder")
    says(news, "lamp:", "a folder is missing after the colon")
    says(news, "lampbench:nowhere", "nowhere: no such folder")
    says(news, str(tmp_path / "file.json"), "is a file; give the folder")
    says(news, str(tmp_path), "no data of task news_headline is recognised here")


def test_a_folder_of_two_kinds_asks_which(news, lamp, oppu):
    for path in oppu.iterdir():
        path.rename(lamp / path.name)
    says(news, str(lamp), "2 kinds", f"--data oppu:{lamp} or --data lamp:{lamp}")
    assert load(news, f"lamp:{lamp}", DataOptions(users=1)).test_users[0].id == "d"
    assert load(news, f"oppu:{lamp}", DataOptions(users=1)).test_users[0].id == "2"


def test_a_task_that_declares_no_files(news, lamp):
    own = type("Own", (type(news),), {"name": "own", "files": None})()
    says(own, f"lamp:{lamp}", "task own says nothing of such files")
    says(own, str(lamp), "no data of task own is recognised")


def test_a_task_whose_input_pattern_cannot_be_used(news, lamp):
    for pattern, message in (
        ("(", "no regular expression"),
        ("(?P<title>.*)", "no group for text"),
    ):
        files = type(news.files)("LaMP_4", pattern, {"text": "text"}, "title")
        own = type("Own", (type(news),), {"files": files})()
        says(own, f"lamp:{lamp}", message)


LENGTHS = {f"u{n}": n // 10 for n in range(150)}


def test_the_paper_takes_the_hundred_longest_histories():
    chosen, notes = choose(LENGTHS, DataOptions(), "here")
    assert len(chosen) == 100
    assert min(LENGTHS[name] for name in chosen) == 5
    assert [LENGTHS[name] for name in chosen] == sorted((LENGTHS[n] for n in chosen), reverse=True)
    assert not notes


def test_ties_are_broken_by_the_seed_and_not_by_order():
    options = DataOptions(users=5)
    chosen, _ = choose(LENGTHS, options, "here")
    assert choose(dict(reversed(LENGTHS.items())), options, "here")[0] == chosen
    assert choose(LENGTHS, DataOptions(users=4), "here")[0] == chosen[:4]
    other, _ = choose(LENGTHS, DataOptions(users=5, seed=1), "here")
    assert other != chosen
    assert {LENGTHS[name] for name in other} == {14}
    assert choose(LENGTHS, DataOptions(users=10, seed=1), "here")[0] != other


def test_few_users_are_halved_and_it_is_said():
    chosen, notes = choose({"a": 1, "b": 2, "c": 3}, DataOptions(), "here")
    assert chosen == ["c"]
    assert notes == ["of 3 users 1 are tested (the paper tests 100; --users says otherwise)"]
    chosen, notes = choose(LENGTHS, DataOptions(min_history=14), "here")
    assert len(chosen) == 10
    assert "10 users have at least 14" in notes[0]
    with pytest.raises(LampbenchError, match="0 to test leave 1 to train"):
        choose({"a": 1}, DataOptions(), "here")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"users": 0}, "at least 1 test user"),
        ({"min_history": 0}, "at least 1 record"),
        ({"split_by": "temporal"}, "say user or time"),
        ({"splits": ("training",)}, "no part is called 'training'"),
    ],
)
def test_impossible_options(options, message):
    with pytest.raises(LampbenchError, match=message):
        DataOptions(**options)


def test_options_that_a_source_cannot_serve_are_not_passed_over(news, oppu):
    with pytest.raises(LampbenchError, match="--split dev: the processed files hold test users only"):
        load(news, f"oppu:{oppu}", DataOptions(splits=("dev",)))
    for data in ("bundled", f"oppu:{oppu}"):
        said = "--split-by time chose nothing: this source has one split"
        assert said in load(news, data, DataOptions(split_by="time")).notes
        assert said not in load(news, data, DataOptions()).notes


def test_nothing_heavy_is_imported(tmp_path):
    code = """
import sys
import lampbench.cli.data, lampbench.data
heavy = {"torch", "datasets", "transformers", "pyarrow", "pandas", "tokenizers", "ijson"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
from lampbench.data import DataOptions, load
from lampbench.registry import Registry
load(Registry().task("news_headline"), "bundled", DataOptions())
heavy.remove("ijson")
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)

"""LongLaMP: local files in the hub's layout, and the hub through `datasets`."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lampbench.core.dataset import Dataset
from lampbench.core.task import Task
from lampbench.data import DataOptions, load_dataset
from tests.data import made_files
from tests.data.made_files import Entry, topic_row

SPLITS = ("train", "val", "test")
ROWS = {
    split: [topic_row(f"t{n}", at, 2 * n + at) for n in range(3)] for at, split in enumerate(SPLITS)
}
"""Users `t0`, `t1` ... with one row per split; test rows come with the longest profiles."""


def write_rows(folder: Path, rows: dict[str, list[Entry]], ending: str) -> Path:
    folder.mkdir(parents=True)
    for split, listed in rows.items():
        write_shard(folder / f"{split}-00000-of-00001.{ending}", listed)
    return folder


def write_shard(path: Path, rows: list[Entry]) -> None:
    if path.suffix == ".parquet":
        import datasets

        datasets.disable_progress_bars()
        datasets.Dataset.from_list(rows).to_parquet(str(path))
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        path.write_text(json.dumps(rows))


def read(task: Task, place: object, **options: object) -> Dataset:
    return made_files.read(task, f"longlamp:{place}", **options)


def check_refused(task: Task, place: object, *patterns: str, **options: object) -> None:
    made_files.check_refused(task, f"longlamp:{place}", *patterns, **options)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Both configurations; the user-based one has other users."""
    write_rows(tmp_path / "topic_writing_temporal", ROWS, "jsonl")
    others = {split: [topic_row(f"{split}{n}", n, n + 1) for n in range(2)] for split in SPLITS}
    write_rows(tmp_path / "topic_writing_user", others, "jsonl")
    return tmp_path


@pytest.mark.parametrize("ending", ["parquet", "jsonl", "json"])
@pytest.mark.parametrize("setting", ["user", "temporal"])
def test_both_configurations_in_every_format(
    topic: Task, tmp_path: Path, ending: str, setting: str
) -> None:
    write_rows(tmp_path / f"topic_writing_{setting}", ROWS, ending)
    data = read(topic, tmp_path, users=1)
    (user,) = data.test_users
    assert (user.id, len(user.history), len(user.queries)) == ("t2", 6, 3)
    assert user.history[5].fields == {"summary": "Summary 5 of t2"}
    assert user.history[5].target == "Content 5 of t2"
    assert user.queries[0].fields == {"summary": "Asked 0 of t2"}
    assert [u.id for u in data.train_users] == ["t0", "t1"]
    assert f"topic_writing_{setting}: train, dev, test" in data.source


def test_the_same_content_gives_the_same_dataset_in_every_format(
    topic: Task, tmp_path: Path
) -> None:
    found = set()
    for ending in ("parquet", "jsonl", "json"):
        write_rows(tmp_path / ending / "topic_writing_user", ROWS, ending)
        found.add(read(topic, tmp_path / ending, users=1).fingerprint)
    assert len(found) == 1


def test_time_is_the_default_and_user_can_be_requested(topic: Task, folder: Path) -> None:
    assert {u.id for u in read(topic, folder, users=1).train_users} == {"t0", "t1"}
    assert read(topic, folder, users=1, split_by="user").test_users[0].id.endswith("1")
    assert load_dataset(topic, str(folder), DataOptions(users=1)).test_users[0].id == "t2"
    alone = folder / "topic_writing_user"
    assert "topic_writing_user" in read(topic, alone, users=1).source
    assert len(load_dataset(topic, str(alone), DataOptions(users=1)).train_users) == 5


@pytest.mark.parametrize(("ending", "here", "asked"), [
    ("user", "user", "time"), ("temporal", "time", "user"),
])  # fmt: skip
def test_a_configuration_split_another_way_than_is_asked_for_is_refused(
    topic: Task,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    ending: str,
    here: str,
    asked: str,
) -> None:
    alone = folder / f"topic_writing_{ending}"
    said = f"its users are split by {here}, not by {asked}; use --split-by {here}"
    check_refused(topic, alone, said, users=1, split_by=asked)
    assert read(topic, alone, users=1, split_by=here).test_users
    monkeypatch.chdir(alone)
    check_refused(topic, ".", said, users=1, split_by=asked)


def test_splits_restrict_reading(topic: Task, folder: Path) -> None:
    data = read(topic, folder, users=1, splits=("train",))
    assert len(data.test_users[0].history) == 4
    (folder / "topic_writing_temporal" / "val-00000-of-00001.jsonl").unlink()
    check_refused(topic, folder, "has no split dev; use --split train or test", splits=("dev",))


def test_query_ids_are_made_from_the_content_and_repeated_rows_removed(
    topic: Task, folder: Path
) -> None:
    first = read(topic, folder, users=1)
    path = folder / "topic_writing_temporal" / "test-00000-of-00001.jsonl"
    longer = topic_row("t2", 1, 9)
    path.write_text("".join(json.dumps(row) + "\n" for row in [*ROWS["test"][::-1], longer]))
    again = read(topic, folder, users=1)
    assert again.query_fingerprint == first.query_fingerprint
    assert len(again.test_users[0].history) == 9
    assert "repeated questions, one kept: 1" in again.notes


def test_reviews_without_record_ids_and_with_number_ratings(
    task: Callable[[str], Task], tmp_path: Path
) -> None:
    def row(user: str, count: int) -> Entry:
        return {
            "reviewerId": user,
            "input": "Generate the review text written by a reviewer who has a given an overall "
            'rating of "4.0" for a product with description "A "nice" thing.". The summary of the '
            'review text is "So "good".".',
            "output": f"Review by {user}",
            "profile": [
                {"overall": 5.0, "description": None, "summary": f"s{n}", "reviewText": f"r{n}"}
                for n in range(count)
            ],
        }

    path = tmp_path / "product_review_user"
    write_rows(path, {"train": [row("A", 3), row("B", 2)]}, "parquet")
    (user,) = read(task("review_writing"), tmp_path, users=1).test_users
    assert user.queries[0].fields == {
        "rating": "4.0", "description": 'A "nice" thing.', "summary": 'So "good".',
    }  # fmt: skip
    assert user.history[0].fields == {"rating": "5.0", "description": "", "summary": "s0"}
    assert len({record.id for record in user.history}) == 3


def test_abstracts_with_and_without_items(task: Callable[[str], Task], tmp_path: Path) -> None:
    def row(user: str, rest: str, count: int) -> Entry:
        profile = [
            {"id": n, "title": f"t{n}", "abstract": "a", "year": 2020 - n} for n in range(count)
        ]
        return {"name": user, "output": f"By {user}", "profile": profile,
                "input": f'Generate an abstract for the title "On "cats""{rest}'}  # fmt: skip

    items = " using the following items: 1. Cats\n2. Dogs"
    path = tmp_path / "abstract_generation_temporal"
    write_rows(path, {"train": [row("A", items, 3), row("B", "", 2), row("C", ".", 1)]}, "parquet")
    data = read(task("abstract_generation"), tmp_path, users=1)
    (user,) = data.test_users
    assert user.queries[0].fields == {"title": 'On "cats"', "items": "1. Cats\n2. Dogs"}
    assert [record.date for record in user.history] == ["2018", "2019", "2020"]
    assert [u.queries[0].fields for u in data.train_users] == [{"title": 'On "cats"'}] * 2


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_profile_as_columns(topic: Task, tmp_path: Path, ending: str) -> None:
    rows = [topic_row("A", 0, 2), topic_row("B", 0, 1)]
    for row in rows:
        row["profile"] = {key: [r[key] for r in row["profile"]] for key in row["profile"][0]}
    write_rows(tmp_path / "topic_writing_user", {"train": rows}, ending)
    assert len(read(topic, tmp_path, users=1).test_users[0].history) == 2


def test_hub_rows_come_through_datasets(
    topic: Task, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    asked = []
    real = datasets.load_dataset

    def local(repository: str, config: str) -> Any:
        asked.append((repository, config))
        files = {split: str(folder / config / f"{split}-00000-of-00001.jsonl") for split in SPLITS}
        return real("json", data_files=files, cache_dir=str(tmp_path / "cache"))

    monkeypatch.setattr(datasets, "load_dataset", local)
    data = load_dataset(topic, "longlamp", DataOptions(users=1))
    assert data.test_users[0].id == "t2"
    assert data.fingerprint == read(topic, folder, users=1).fingerprint
    load_dataset(topic, "longlamp:some/copy", DataOptions(users=1, split_by="user"))
    assert asked == [
        ("LongLaMP/LongLaMP", "topic_writing_temporal"),
        ("some/copy", "topic_writing_user"),
    ]


def test_an_unreachable_hub_is_one_line(tmp_path: Path) -> None:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    command = "from lampbench.cli.main import main; main()"
    arguments = ["data", "stats", "--task", "topic_writing", "--data", "longlamp"]
    done = subprocess.run(
        [sys.executable, "-c", command, *arguments], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "cannot be read from the Hugging Face hub" in done.stderr
    assert "--data longlamp:DIR" in done.stderr


def test_missing_places(topic: Task, news: Task, tmp_path: Path) -> None:
    check_refused(
        topic, tmp_path, "no files of topic_writing_temporal or topic_writing_user",
        "or another --split-by",
    )  # fmt: skip
    check_refused(topic, tmp_path / "none", "none: no such folder or hub repository")
    check_refused(news, tmp_path, "task news_headline is not in LongLaMP; use lamp:DIR or oppu:DIR")


def test_two_formats_of_one_split(topic: Task, folder: Path) -> None:
    path = folder / "topic_writing_temporal" / "train.json"
    path.write_text("[]")
    check_refused(topic, folder, "split train is there in two formats", "keep one of them")


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        ({"author": None}, ":2: author is missing; add a unique one (a string or a whole number"),
        ({"author": 1.5}, ":2: author must be a string or a whole number, not a number"),
        ({"input": "Paraphrase this"}, ":2: input is not a prompt of topic_writing"),
        ({"input": None}, ":2: input is missing; add the text that is asked"),
        ({"output": None}, ":2: output is null; add the text that the user wrote"),
        ({"profile": None}, ":2: profile is missing; add it as a list"),
        ({"profile": [{"summary": "s"}]}, ":2: profile entry 1: has no 'content'"),
        ({"output": "\ud800"}, ":2: output contains a lone surrogate"),
    ],
)
def test_bad_rows(topic: Task, folder: Path, change: Entry, pattern: str) -> None:
    path = folder / "topic_writing_temporal" / "train-00000-of-00001.jsonl"
    bad = [ROWS["train"][0], ROWS["train"][1] | change]
    path.write_text("".join(json.dumps(row) + "\n" for row in bad))
    check_refused(topic, folder, "train-00000-of-00001.jsonl", pattern)


@pytest.mark.parametrize("key", ["author", "input", "output", "profile"])
def test_a_row_without_a_key(topic: Task, folder: Path, key: str) -> None:
    path = folder / "topic_writing_temporal" / "train-00000-of-00001.jsonl"
    row = {name: value for name, value in ROWS["train"][0].items() if name != key}
    path.write_text(json.dumps(row))
    check_refused(topic, folder, f"jsonl:1: has no {key!r}, which every row of", "give this task's")


def test_another_tasks_rows(topic: Task, task: Callable[[str], Task], folder: Path) -> None:
    (folder / "topic_writing_temporal").rename(folder / "abstract_generation_temporal")
    check_refused(task("abstract_generation"), folder, ":1: has no 'name'", "give this task's")


def test_broken_files(topic: Task, folder: Path) -> None:
    config = folder / "topic_writing_temporal"
    path = config / "train-00000-of-00001.jsonl"
    path.write_text(path.read_text() + '{"author": \n')
    check_refused(topic, folder, f"{path.name}:4: malformed JSON", "correct it")
    path.unlink()
    (config / "train.parquet").write_bytes(b"not parquet")
    check_refused(topic, folder, "train.parquet: cannot be read as parquet", "download it again")
    (config / "train.parquet").write_bytes(b"")
    check_refused(topic, folder, "train.parquet: is empty; download or write the file again")


def write_empty_parquet(path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"author": pyarrow.array([], pyarrow.string())}), path)


def test_a_parquet_shard_without_rows_is_skipped(topic: Task, tmp_path: Path) -> None:
    config = write_rows(tmp_path / "topic_writing_user", ROWS, "parquet")
    whole = read(topic, tmp_path, users=1).fingerprint
    write_empty_parquet(config / "train-00001-of-00002.parquet")
    assert read(topic, tmp_path, users=1).fingerprint == whole


def test_a_split_without_any_row_is_refused(topic: Task, tmp_path: Path) -> None:
    config = write_rows(tmp_path / "topic_writing_user", ROWS, "parquet")
    write_empty_parquet(config / "val-00000-of-00001.parquet")
    check_refused(
        topic, tmp_path, f"{config}: no rows in val-00000-of-00001.parquet; download it again or",
        "--split", users=1,
    )  # fmt: skip
    assert read(topic, tmp_path, users=1, splits=("train", "test")).train_users


def test_text_in_parquet_that_is_not_utf8_is_refused(topic: Task, tmp_path: Path) -> None:
    """Found by the fuzzer."""
    import pyarrow
    from pyarrow import parquet

    (tmp_path / "topic_writing_user").mkdir()
    path = tmp_path / "topic_writing_user" / "train.parquet"
    parquet.write_table(pyarrow.table({"author": ["Ann Ann"]}), path, compression=None)
    path.write_bytes(path.read_bytes().replace(b"Ann Ann", b"Ann\xff\xfeAn"[:7]))
    check_refused(topic, tmp_path, "train.parquet: cannot be read as parquet", "download it again")

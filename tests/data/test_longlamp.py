"""LongLaMP: local files in the hub's layout, and the hub through `datasets`."""

import json
import os
import subprocess
import sys

import pytest

from lampbench.data import DataOptions, load
from lampbench.util.errors import LampbenchError

PARTS = ("train", "val", "test")


@pytest.fixture(scope="module")
def rows(topic_row):
    """Users `t0`, `t1` ... with one row a part; test rows come with the longest profiles."""
    return {
        part: [topic_row(f"t{n}", at, 2 * n + at) for n in range(3)]
        for at, part in enumerate(PARTS)
    }


def write(folder, rows, ending):
    import datasets

    folder.mkdir(parents=True)
    for part, listed in rows.items():
        path = folder / f"{part}-00000-of-00001.{ending}"
        if ending == "parquet":
            datasets.disable_progress_bars()
            datasets.Dataset.from_list(listed).to_parquet(str(path))
        elif ending == "jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in listed))
        else:
            path.write_text(json.dumps(listed))
    return folder


def read(task, place, **options):
    return load(task, f"longlamp:{place}", DataOptions(**options))


def fails(task, place, *patterns, **options):
    with pytest.raises(LampbenchError) as caught:
        read(task, place, **options)
    assert "\n" not in str(caught.value)
    for pattern in patterns:
        assert pattern in str(caught.value)


@pytest.fixture
def folder(tmp_path, rows, topic_row):
    """Both configurations; the user-based one has other users."""
    write(tmp_path / "topic_writing_temporal", rows, "jsonl")
    others = {part: [topic_row(f"{part}{n}", n, n + 1) for n in range(2)] for part in PARTS}
    write(tmp_path / "topic_writing_user", others, "jsonl")
    return tmp_path


@pytest.mark.parametrize("ending", ["parquet", "jsonl", "json"])
@pytest.mark.parametrize("setting", ["user", "temporal"])
def test_both_configurations_in_every_format(topic, tmp_path, rows, ending, setting):
    write(tmp_path / f"topic_writing_{setting}", rows, ending)
    data = read(topic, tmp_path, users=1)
    (user,) = data.test_users
    assert (user.id, len(user.history), len(user.queries)) == ("t2", 6, 3)
    assert user.history[5].fields == {"summary": "Summary 5 of t2"}
    assert user.history[5].target == "Content 5 of t2"
    assert user.queries[0].fields == {"summary": "Asked 0 of t2"}
    assert [u.id for u in data.train_users] == ["t0", "t1"]
    assert f"topic_writing_{setting}: train, dev, test" in data.source


def test_the_same_content_gives_the_same_dataset_in_every_format(topic, tmp_path, rows):
    found = set()
    for ending in ("parquet", "jsonl", "json"):
        write(tmp_path / ending / "topic_writing_user", rows, ending)
        found.add(read(topic, tmp_path / ending, users=1).fingerprint)
    assert len(found) == 1


def test_time_is_the_default_and_user_can_be_asked_for(topic, folder):
    assert {u.id for u in read(topic, folder, users=1).train_users} == {"t0", "t1"}
    assert read(topic, folder, users=1, split_by="user").test_users[0].id.endswith("1")
    assert load(topic, str(folder), DataOptions(users=1)).test_users[0].id == "t2"
    alone = folder / "topic_writing_user"
    assert "topic_writing_user" in read(topic, alone, users=1).source
    assert len(load(topic, str(alone), DataOptions(users=1)).train_users) == 5


def test_parts(topic, folder):
    data = read(topic, folder, users=1, splits=("train",))
    assert len(data.test_users[0].history) == 4
    (folder / "topic_writing_temporal" / "val-00000-of-00001.jsonl").unlink()
    fails(topic, folder, "has no dev part", splits=("dev",))


def test_query_ids_are_made_from_the_content_and_repeated_rows_dropped(
    topic, folder, rows, topic_row
):
    first = read(topic, folder, users=1)
    path = folder / "topic_writing_temporal" / "test-00000-of-00001.jsonl"
    longer = topic_row("t2", 1, 9)
    path.write_text("".join(json.dumps(row) + "\n" for row in [*rows["test"][::-1], longer]))
    again = read(topic, folder, users=1)
    assert again.query_fingerprint == first.query_fingerprint
    assert len(again.test_users[0].history) == 9
    assert "questions that stand twice, one kept: 1" in again.notes


def test_reviews_without_record_ids_and_with_number_ratings(task, tmp_path):
    def row(user, count):
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

    write(tmp_path / "product_review_user", {"train": [row("A", 3), row("B", 2)]}, "parquet")
    (user,) = read(task("review_writing"), tmp_path, users=1).test_users
    assert user.queries[0].fields == {
        "rating": "4.0", "description": 'A "nice" thing.', "summary": 'So "good".',
    }  # fmt: skip
    assert user.history[0].fields == {"rating": "5.0", "description": "", "summary": "s0"}
    assert len({record.id for record in user.history}) == 3


def test_abstracts_with_and_without_items(task, tmp_path):
    def row(user, rest, count):
        profile = [
            {"id": n, "title": f"t{n}", "abstract": "a", "year": 2020 - n} for n in range(count)
        ]
        return {"name": user, "output": f"By {user}", "profile": profile,
                "input": f'Generate an abstract for the title "On "cats""{rest}'}  # fmt: skip

    items = " using the following items: 1. Cats\n2. Dogs"
    path = tmp_path / "abstract_generation_temporal"
    write(path, {"train": [row("A", items, 3), row("B", "", 2), row("C", ".", 1)]}, "parquet")
    data = read(task("abstract_generation"), tmp_path, users=1)
    (user,) = data.test_users
    assert user.queries[0].fields == {"title": 'On "cats"', "items": "1. Cats\n2. Dogs"}
    assert [record.date for record in user.history] == ["2018", "2019", "2020"]
    assert [u.queries[0].fields for u in data.train_users] == [{"title": 'On "cats"'}] * 2


def test_profile_as_columns(topic, tmp_path, topic_row):
    rows = [topic_row("A", 0, 2), topic_row("B", 0, 1)]
    for row in rows:
        row["profile"] = {key: [r[key] for r in row["profile"]] for key in row["profile"][0]}
    write(tmp_path / "topic_writing_user", {"train": rows}, "jsonl")
    assert len(read(topic, tmp_path, users=1).test_users[0].history) == 2


def test_hub_rows_come_through_datasets(topic, folder, tmp_path, monkeypatch):
    import datasets

    asked = []
    real = datasets.load_dataset

    def local(repository, config):
        asked.append((repository, config))
        files = {part: str(folder / config / f"{part}-00000-of-00001.jsonl") for part in PARTS}
        return real("json", data_files=files, cache_dir=str(tmp_path / "cache"))

    monkeypatch.setattr(datasets, "load_dataset", local)
    data = load(topic, "longlamp", DataOptions(users=1))
    assert data.test_users[0].id == "t2"
    assert data.fingerprint == read(topic, folder, users=1).fingerprint
    load(topic, "longlamp:some/copy", DataOptions(users=1, split_by="user"))
    assert asked == [
        ("LongLaMP/LongLaMP", "topic_writing_temporal"),
        ("some/copy", "topic_writing_user"),
    ]


def test_hub_out_of_reach_is_one_line(tmp_path):
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


def test_missing_places(topic, news, tmp_path):
    fails(topic, tmp_path, "no files of topic_writing_temporal or topic_writing_user")
    fails(topic, tmp_path / "none", "none: no such folder")
    fails(news, tmp_path, "task news_headline is not in LongLaMP")


def test_two_formats_of_one_part(topic, folder):
    path = folder / "topic_writing_temporal" / "train.json"
    path.write_text("[]")
    fails(topic, folder, "train stands in", "keep one file format")


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        ({"author": None}, ":2: author must be a string or a whole number, it is missing"),
        ({"input": "Paraphrase this"}, ":2: the input is not that of topic_writing"),
        ({"output": None}, ":2: output is null"),
        ({"profile": None}, ":2: profile must be a list, it is missing"),
        ({"profile": [{"summary": "s"}]}, ":2: profile entry 1: has no 'content'"),
        ({"output": "\ud800"}, ":2: output holds a lone surrogate"),
    ],
)
def test_bad_rows(topic, folder, rows, change, pattern):
    path = folder / "topic_writing_temporal" / "train-00000-of-00001.jsonl"
    bad = [rows["train"][0], rows["train"][1] | change]
    path.write_text("".join(json.dumps(row) + "\n" for row in bad))
    fails(topic, folder, "train-00000-of-00001.jsonl", pattern)


def test_another_tasks_rows(topic, task, folder):
    (folder / "topic_writing_temporal").rename(folder / "abstract_generation_temporal")
    fails(task("abstract_generation"), folder, ":1: has no 'name'", "give this task's")


def test_broken_files(topic, folder):
    config = folder / "topic_writing_temporal"
    path = config / "train-00000-of-00001.jsonl"
    path.write_text(path.read_text() + '{"author": \n')
    fails(topic, folder, f"{path.name}:4: malformed JSON", "mend the line")
    path.unlink()
    (config / "train.parquet").write_bytes(b"not parquet")
    fails(topic, folder, "train.parquet: is no readable parquet file")

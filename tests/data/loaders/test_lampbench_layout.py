"""Our own layout: what is bundled, and what an import writes."""

import gzip
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lampbench.core.dataset import Dataset, Query, Record, User
from lampbench.core.task import Task
from lampbench.data import DataOptions, load_dataset
from lampbench.data.write_dataset import write_dataset
from lampbench.util.errors import LampbenchError
from tests.data import made_files


def user(name: str, count: int, profile: str | None = None) -> User:
    history = tuple(
        Record(f"{name}r{n}", {"text": f"{name} {n}"}, "t\n", "2020") for n in range(count)
    )
    query = Query(f"{name}q", {"text": f"{name} asks"}, "gold", None)
    return User(name, history, (query,), profile)


@pytest.fixture
def dataset() -> Dataset:
    return Dataset(
        "news_headline",
        "somewhere",
        (user("x/../y", 0), user("b", 1)),
        (user("ünïcode\u202e", 3, profile="A person."), user("d", 2)),
        synthetic=True,
        notes=("found something",),
        licence="CC0",
        attribution="By us.",
        description="Small.",
    )


def read(task: Task, folder: Path, **options: object) -> Dataset:
    return made_files.read(task, f"lampbench:{folder}", **options)


def check_refused(task: Task, folder: Path, *patterns: str, **options: object) -> None:
    made_files.check_refused(task, f"lampbench:{folder}", *patterns, **options)


def test_what_is_written_is_read(news: Task, dataset: Dataset, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "data"
    write_dataset(dataset, folder)
    data = read(news, folder)
    assert data.fingerprint == replace(data, source="x").fingerprint
    stripped = [replace(u, history=tuple(replace(r, target="t") for r in u.history))
                for u in (*dataset.test_users, *dataset.train_users)]  # fmt: skip
    assert [*data.test_users, *data.train_users] == stripped
    assert data.source == f"lampbench:{folder}"
    assert (data.synthetic, data.licence, data.attribution) == (True, "CC0", "By us.")
    assert (data.description, data.notes) == ("Small.", ("found something",))
    assert sorted(path.name for path in folder.iterdir()) == [
        "dataset.json", "test.jsonl", "train.jsonl",
    ]  # fmt: skip
    assert load_dataset(news, str(folder), DataOptions(users=1)).test_users == data.test_users[:1]
    assert [path.name for path in folder.parent.iterdir()] == ["data"]


def test_a_folder_of_tasks(news: Task, dataset: Dataset, tmp_path: Path) -> None:
    write_dataset(dataset, tmp_path / "news_headline")
    assert len(read(news, tmp_path).test_users) == 2
    check_refused(news, tmp_path / "news_headline" / "..", "3 test users requested", users=3)


def test_an_empty_train_file_is_accepted(news: Task, dataset: Dataset, tmp_path: Path) -> None:
    write_dataset(replace(dataset, train_users=()), tmp_path / "d")
    assert read(news, tmp_path / "d").train_users == ()


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        (
            lambda u: u.update(history=[]),
            "test.jsonl:2: user 'd' is a test user with an empty history; add records or remove",
        ),
        (lambda u: u.pop("history"), "test.jsonl:2: user 'd': history is missing; add it"),
        (lambda u: u.update(queries=[]), "test user 'd' has no queries; add some"),
        (lambda u: u.pop("id"), "test.jsonl:2: id is missing"),
        (lambda u: u["history"][1].update(id="dr0"), "history 2: id 'dr0' is used twice"),
        (lambda u: u["history"][1].pop("target"), "history 2 has no target; add it or remove"),
        (lambda u: u["queries"][0].update(target=""), "queries 1 has no target"),
        (lambda u: u["history"][0]["fields"].pop("text"), "history 1: fields has no text"),
        (
            lambda u: u["history"][0].update(fields={"article": "A", "by": "B"}),
            "fields has no text (it has 'article, by'), which task news_headline needs; add or ren",
        ),
        (lambda u: u["history"][0].update(fields=[]), "history 1: fields: must be a JSON object"),
        (lambda u: u["history"][0]["fields"].update(text="\0"), "text contains NUL"),
        (
            lambda u: u["queries"][0].update(id="ünïcode\u202eq"),
            "queries 1: id 'ünïcode\\u202eq' is used twice",
        ),
        (
            lambda u: u.update(id="ünïcode\u202e"),
            "test.jsonl:2: user id 'ünïcode\\u202e' is used twice",
        ),
    ],
)
def test_bad_users(
    news: Task, dataset: Dataset, tmp_path: Path, change: Callable[[Any], object], pattern: str
) -> None:
    write_dataset(dataset, tmp_path / "d")
    path = tmp_path / "d" / "test.jsonl"
    users = [json.loads(line) for line in path.read_text().splitlines()]
    change(users[1])
    path.write_text("".join(json.dumps(user) + "\n" for user in users))
    check_refused(news, tmp_path / "d", pattern)


@pytest.mark.parametrize(
    ("date", "said"),
    [
        (
            "02/03/2024",
            "2014-05 or 2014: 1, first .*test.jsonl:2: user 'd': record 'dr0': '02/03/2",
        ),
        ("2021", "not in the order of their dates: 1, first .*test.jsonl:2: user 'd'"),
    ],
)
def test_dates_that_do_not_fit_the_order_of_the_file_are_noted(
    news: Task, dataset: Dataset, tmp_path: Path, date: str, said: str
) -> None:
    write_dataset(dataset, tmp_path / "d")
    path = tmp_path / "d" / "test.jsonl"
    users = [json.loads(line) for line in path.read_text().splitlines()]
    users[1]["history"][0]["date"] = date
    path.write_text("".join(json.dumps(user) + "\n" for user in users))
    found = read(news, tmp_path / "d")
    assert re.search(said, "\n".join(found.notes))
    (user,) = (one for one in found.test_users if one.id == "d")
    assert [record.id for record in user.history] == ["dr0", "dr1"]


def test_bad_files(news: Task, topic: Task, dataset: Dataset, tmp_path: Path) -> None:
    folder = tmp_path / "d"
    write_dataset(dataset, folder)
    head, train = folder / "dataset.json", folder / "train.jsonl"
    check_refused(topic, folder, "dataset.json: is data of task 'news_headline', not")
    row = train.read_text().splitlines()[0]
    train.write_text(json.dumps([json.loads(row)]))
    check_refused(news, folder, "train.jsonl: is one JSON list; write one object per line")
    train.write_bytes(row.encode("utf-16"))
    check_refused(news, folder, "train.jsonl: is UTF-16")
    train.write_bytes(gzip.compress(row.encode()))
    assert read(news, folder).train_users[0].id
    train.write_text("<html></html>")
    check_refused(news, folder, "train.jsonl: is an HTML page")
    train.write_text('{"id": 1,\n')
    check_refused(news, folder, "train.jsonl:1: malformed JSON", "correct it")
    train.write_bytes(b'{"id": "\xff"}')
    check_refused(news, folder, "train.jsonl:1: is not UTF-8", "save the file as UTF-8")
    train.unlink()
    check_refused(news, folder, "train.jsonl: no such file", "it may be empty")
    head.write_text('{"task": "news_headline", "synthetic": "no"}')
    check_refused(news, folder, "dataset.json: synthetic must be true or false, not text")
    head.write_text("{")
    check_refused(news, folder, "dataset.json: malformed JSON")
    head.write_bytes('{"task": "news_headline"}'.encode("utf-16"))
    check_refused(news, folder, "dataset.json: is UTF-16")
    head.unlink()
    check_refused(news, folder, "no dataset.json here or in news_headline/; give the folder")


def test_dev_users_replace_the_test_users(news: Task, dataset: Dataset, tmp_path: Path) -> None:
    folder = tmp_path / "d"
    write_dataset(dataset, folder)
    check_refused(news, folder, f"{folder}: has no dev.jsonl; add it or leave", splits=("dev",))
    write_dataset(replace(dataset, test_users=(user("tuned", 2),)), tmp_path / "other")
    (tmp_path / "other" / "test.jsonl").rename(folder / "dev.jsonl")
    dev = read(news, folder, splits=("dev",))
    assert [u.id for u in dev.test_users] == ["tuned"]
    assert dev.source == f"lampbench:{folder} (dev)"
    test = read(news, folder)
    assert dev.train_users == test.train_users
    assert dev.query_fingerprint != test.query_fingerprint
    assert read(news, folder, splits=("test",)) == test
    for splits in (("train",), ("dev", "test")):
        check_refused(news, folder, f"--split {splits[0]}", "give one of these two", splits=splits)
    (folder / "dev.jsonl").write_text('{"id": "tuned", "history": [], "queries": []}')
    check_refused(news, folder, "dev.jsonl:1: user 'tuned' is a test user", splits=("dev",))


def test_imported_data_equal_their_source(news: Task, lamp: Path, tmp_path: Path) -> None:
    source = load_dataset(news, f"lamp:{lamp}", DataOptions(users=2))
    write_dataset(source, tmp_path / "imported")
    imported = read(news, tmp_path / "imported")
    assert imported.fingerprint == source.fingerprint
    assert imported.test_users == source.test_users


@pytest.mark.parametrize(
    "name", ["news_headline", "scholarly_title", "abstract_generation", "topic_writing"]
)
def test_bundled_data_load(task: Callable[[str], Task], name: str) -> None:
    data = load_dataset(task(name), "bundled", DataOptions())
    assert data.source == "bundled"
    assert data.train_users
    assert not data.synthetic
    assert data.licence and data.attribution
    dev = load_dataset(task(name), "bundled", DataOptions(splits=("dev",)))
    assert dev.source == "bundled (dev)"
    assert not {u.id for u in dev.test_users} & {u.id for u in data.test_users}
    fewer = load_dataset(task(name), "bundled", DataOptions(users=2))
    assert fewer.test_users == data.test_users[:2]
    assert len(fewer.test_users[0].history) == max(len(u.history) for u in data.test_users)


def test_a_task_without_bundled_data(news: Task) -> None:
    other = type("Other", (type(news),), {"name": "no_such_task"})()
    with pytest.raises(LampbenchError, match="no data for task no_such_task is bundled; give a"):
        load_dataset(other, "bundled", DataOptions())

"""Our own layout: what is bundled, and what an import writes."""

import json
from dataclasses import replace

import pytest

from lampbench.core.dataset import Dataset, Query, Record, User
from lampbench.data import DataOptions, load
from lampbench.data.native import write
from lampbench.util.errors import LampbenchError


def user(name, count, **extra):
    history = tuple(
        Record(f"{name}r{n}", {"text": f"{name} {n}"}, "t\n", "2020") for n in range(count)
    )
    return User(
        name, history, (Query(f"{name}q", {"text": f"{name} asks"}, "gold", None),), **extra
    )


@pytest.fixture
def dataset():
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


def read(task, folder, **options):
    return load(task, f"lampbench:{folder}", DataOptions(**options))


def fails(task, folder, *patterns, **options):
    with pytest.raises(LampbenchError) as caught:
        read(task, folder, **options)
    assert "\n" not in str(caught.value)
    for pattern in patterns:
        assert pattern in str(caught.value)


def test_what_is_written_is_read(news, dataset, tmp_path):
    folder = tmp_path / "new" / "data"
    write(dataset, folder)
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
    assert load(news, str(folder), DataOptions(users=1)).test_users == data.test_users[:1]
    assert [path.name for path in folder.parent.iterdir()] == ["data"]


def test_a_folder_of_tasks(news, dataset, tmp_path):
    write(dataset, tmp_path / "news_headline")
    assert len(read(news, tmp_path).test_users) == 2
    fails(news, tmp_path / "news_headline" / "..", "users asked for", users=3)


def test_nothing_is_overwritten_or_half_written(dataset, tmp_path, monkeypatch):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "mine").touch()
    with pytest.raises(LampbenchError, match="exists already; remove it"):
        write(dataset, folder)
    assert [path.name for path in folder.iterdir()] == ["mine"]
    bad = replace(dataset, train_users=(user("x", 0), replace(user("y", 0), id=object())))
    with pytest.raises(TypeError):
        write(bad, tmp_path / "other")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    (tmp_path / "file").touch()
    with pytest.raises(LampbenchError, match="cannot be written"):
        write(dataset, tmp_path / "file" / "below")


def test_empty_train_file_is_no_fault(news, dataset, tmp_path):
    write(replace(dataset, train_users=()), tmp_path / "d")
    assert read(news, tmp_path / "d").train_users == ()


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        (
            lambda u: u.update(history=[]),
            "test.jsonl:2: user 'd' is tested and has an empty history",
        ),
        (lambda u: u.update(queries=[]), "test user 'd' has no queries"),
        (lambda u: u.pop("id"), "test.jsonl:2: id must be a string"),
        (lambda u: u["history"][1].update(id="dr0"), "user 'd': history 2: id 'dr0' stands twice"),
        (lambda u: u["history"][1].pop("target"), "history 2 has no target"),
        (lambda u: u["queries"][0].update(target=""), "queries 1 has no target"),
        (lambda u: u["history"][0]["fields"].pop("text"), "history 1: fields lack text"),
        (lambda u: u["history"][0].update(fields=[]), "history 1: fields: must be an object"),
        (lambda u: u["history"][0]["fields"].update(text="\0"), "text holds NUL"),
        (
            lambda u: u["queries"][0].update(id="ünïcode\u202eq"),
            "queries 1: id 'ünïcode\\u202eq' stands",
        ),
        (
            lambda u: u.update(id="ünïcode\u202e"),
            "test.jsonl:2: user id 'ünïcode\\u202e' stands twice",
        ),
    ],
)
def test_bad_users(news, dataset, tmp_path, change, pattern):
    write(dataset, tmp_path / "d")
    path = tmp_path / "d" / "test.jsonl"
    users = [json.loads(line) for line in path.read_text().splitlines()]
    change(users[1])
    path.write_text("".join(json.dumps(user) + "\n" for user in users))
    with pytest.raises(LampbenchError) as caught:
        read(news, tmp_path / "d")
    assert pattern in str(caught.value)


def test_bad_files(news, topic, dataset, tmp_path):
    folder = tmp_path / "d"
    write(dataset, folder)
    fails(topic, folder, "dataset.json: is data of task 'news_headline'")
    (folder / "train.jsonl").write_text('{"id": 1,\n')
    fails(news, folder, "train.jsonl:1: malformed JSON")
    (folder / "train.jsonl").write_bytes(b'{"id": "\xff"}')
    fails(news, folder, "train.jsonl:1: not UTF-8")
    (folder / "train.jsonl").unlink()
    fails(news, folder, "train.jsonl: no such file")
    (folder / "dataset.json").write_text("{")
    fails(news, folder, "dataset.json: malformed JSON")
    (folder / "dataset.json").unlink()
    fails(news, folder, "no dataset.json here or in news_headline/")


def test_dev_users_stand_in_the_tested_ones_place(news, dataset, tmp_path):
    folder = tmp_path / "d"
    write(dataset, folder)
    fails(news, folder, f"{folder}: has no dev.jsonl; add it", splits=("dev",))
    write(replace(dataset, test_users=(user("tuned", 2),)), tmp_path / "other")
    (tmp_path / "other" / "test.jsonl").rename(folder / "dev.jsonl")
    dev = read(news, folder, splits=("dev",))
    assert [u.id for u in dev.test_users] == ["tuned"]
    assert dev.source == f"lampbench:{folder} (dev)"
    test = read(news, folder)
    assert dev.train_users == test.train_users
    assert dev.query_fingerprint != test.query_fingerprint
    assert read(news, folder, splits=("test",)) == test
    for parts in (("train",), ("dev", "test")):
        fails(news, folder, f"--split {parts[0]}", "give one of the two", splits=parts)
    (folder / "dev.jsonl").write_text('{"id": "tuned", "history": [], "queries": []}')
    fails(news, folder, "dev.jsonl:1: user 'tuned' is tested", splits=("dev",))


def test_imported_data_equal_their_source(news, lamp, tmp_path):
    source = load(news, f"lamp:{lamp}", DataOptions(users=2))
    write(source, tmp_path / "imported")
    imported = read(news, tmp_path / "imported")
    assert imported.fingerprint == source.fingerprint
    assert imported.test_users == source.test_users


@pytest.mark.parametrize(
    "name", ["news_headline", "scholarly_title", "abstract_generation", "topic_writing"]
)
def test_bundled_data_load(task, name):
    data = load(task(name), "bundled", DataOptions())
    assert data.source == "bundled"
    assert data.train_users
    assert not data.synthetic
    assert data.licence and data.attribution
    dev = load(task(name), "bundled", DataOptions(splits=("dev",)))
    assert dev.source == "bundled (dev)"
    assert not {u.id for u in dev.test_users} & {u.id for u in data.test_users}
    fewer = load(task(name), "bundled", DataOptions(users=2))
    assert fewer.test_users == data.test_users[:2]
    assert len(fewer.test_users[0].history) == max(len(u.history) for u in data.test_users)


def test_a_task_without_bundled_data(news):
    other = type("Other", (type(news),), {"name": "no_such_task"})()
    with pytest.raises(LampbenchError, match="no data for task no_such_task is bundled"):
        load(other, "bundled", DataOptions())

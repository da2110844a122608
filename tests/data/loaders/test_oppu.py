"""The processed files of OPPU and CoPe."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lampbench.core.dataset import Dataset
from lampbench.core.task import Task
from lampbench.data import DataOptions, load_dataset
from tests.data import made_files

TESTED, OTHERS = "user_top_100_history.json", "user_others.json"
Change = Callable[[Any], object]


def read(task: Task, folder: Path, **options: object) -> Dataset:
    return made_files.read(task, f"oppu:{folder}", **options)


def check_refused(task: Task, folder: Path, *patterns: str, **options: object) -> None:
    made_files.check_refused(task, f"oppu:{folder}", *patterns, **options)


def edit(path: Path, change: Change) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def write_labels(
    folder: Path, name: str = f"{TESTED[:-5]}_label.json", task_id: str = "LaMP_4", **change: str
) -> None:
    golds = {f"{u}-{n}": f"Gold {n} of {u}" for u in (1, 2, 3) for n in range(2)}
    listed = [{"id": i, "output": text} for i, text in (golds | change).items()]
    (folder / name).write_text(json.dumps({"task": task_id, "golds": listed}))


def test_the_named_test_users_are_kept(news: Task, oppu: Path) -> None:
    data = read(news, oppu)
    assert [(user.id, len(user.history)) for user in data.test_users] == [
        ("2", 3),
        ("1", 2),
        ("3", 1),
    ]
    assert [user.id for user in data.train_users] == ["8", "9"]
    assert data.train_users[0].queries[1].fields == {"text": "Asked 1 of 8"}
    assert data.train_users[0].queries[1].reference == "Gold 1 of 8"
    assert [record.id for record in data.test_users[0].history] == ["0", "1", "2"]
    assert not data.notes


def test_fewer_users_are_those_with_the_longest_histories(news: Task, oppu: Path) -> None:
    assert [user.id for user in read(news, oppu, users=2).test_users] == ["2", "1"]
    data = read(news, oppu, min_history=2)
    assert [user.id for user in data.test_users] == ["2", "1"]
    assert "test users with fewer than 2 records, removed: 1" in data.notes
    check_refused(
        news, oppu, "4 test users requested, but only 3 of 3 users have at least 1 history record;",
        "lower --users", users=4,
    )  # fmt: skip


def test_folder_of_the_task_below_and_recognition(news: Task, oppu: Path) -> None:
    for folder in (oppu, oppu.parent):
        if folder == oppu.parent:
            oppu.rename(oppu.parent / "news_headline")
        assert len(load_dataset(news, str(folder), DataOptions()).test_users) == 3


def test_user_names_instead_of_ids(topic: Task, tmp_path: Path) -> None:
    def user(name: str) -> dict[str, Any]:
        return {
            "user_name": name,
            "profile": [{"summary": "s", "content": "c"}, {"summary": "s2", "content": "c2"}],
            "query": [{"id": f"{name}0", "gold": "g",
                       "input": "Generate the content for a reddit post A cat."}],
        }  # fmt: skip

    (tmp_path / TESTED).write_text(json.dumps([user("Ann")]))
    (tmp_path / OTHERS).write_text(json.dumps([user("Bob")]))
    (ann,) = read(topic, tmp_path).test_users
    assert ann.id == "Ann"
    assert ann.queries[0].fields == {"summary": "A cat."}
    assert len({record.id for record in ann.history}) == 2  # ids are made from the content
    assert [r.id for r in read(topic, tmp_path).test_users[0].history] == [
        r.id for r in ann.history
    ]


def test_labels_replace_missing_golds(news: Task, oppu: Path) -> None:
    def drop(users: Any) -> None:
        for user in users:
            for query in user["query"]:
                query.pop("gold")

    edit(oppu / TESTED, drop)
    check_refused(news, oppu, "query 1: query '1-0' has neither a gold nor a label; add one")
    write_labels(oppu, "news_label.json")
    assert read(news, oppu).test_users[0].queries[0].reference == "Gold 0 of 2"


def test_labels_must_match(news: Task, oppu: Path) -> None:
    write_labels(oppu)
    assert len(read(news, oppu).test_users) == 3
    write_labels(oppu, **{"1-1": "another"})
    check_refused(news, oppu, TESTED, "the gold of query '1-1' differs from its label")
    write_labels(oppu, **{"4-0": "nobody asks"})
    check_refused(
        news, oppu, "user_top_100_history_label.json: has a reference for query '4-0', which is"
    )
    write_labels(oppu, task_id="LaMP_5")
    check_refused(news, oppu, "has references of 'LaMP_5', not of LaMP_4")
    write_labels(oppu, "a_label.json")
    (oppu / "user_top_100_history_label.json").rename(oppu / "b_label.json")
    check_refused(news, oppu, "labels in a_label.json and b_label.json; keep those of")


def test_profiles_are_matched_by_position(news: Task, oppu: Path) -> None:
    profiles = [{"id": n, "output": f"Profile of {n}"} for n in (1, 2, 3)]
    path = oppu / "profile_user_100.json"
    path.write_text(json.dumps(profiles))
    found = {user.id: user.profile for user in read(news, oppu).test_users}
    assert found == {"1": "Profile of 1", "2": "Profile of 2", "3": "Profile of 3"}
    assert read(news, oppu, users=1).test_users[0].profile == "Profile of 2"
    path.write_text(json.dumps(profiles[:2]))
    check_refused(news, oppu, "profile_user_100.json: 2 profiles for 3 users", "give one per user")
    path.write_text(json.dumps(profiles[::-1]))
    check_refused(news, oppu, "another order", "put them in the same order")


def test_missing_files(news: Task, tmp_path: Path, oppu: Path) -> None:
    check_refused(news, tmp_path, "no user_top_100_history.json here or in news_headline/; give")
    (oppu / OTHERS).unlink()
    check_refused(news, oppu, "user_others.json: no such file")


@pytest.mark.parametrize(
    ("name", "change", "patterns"),
    [
        (TESTED, lambda v: v[1].update(user_id=1), ["record 2: user '1' is listed twice"]),
        (TESTED, lambda v: v[1].pop("user_id"), ["record 2: has neither user_id nor user_name"]),
        (TESTED, lambda v: v[1].update(profile=[]), ["record 2: user '2'", "empty history"]),
        (TESTED, lambda v: v[1].update(query=[]), ["user '2' has no queries; add some"]),
        (TESTED, lambda v: v[1]["query"][1].update(id="1-0"), ["query 2: id '1-0' is used twice"]),
        (TESTED, lambda v: v[1]["profile"][1].update(id="0"), ["id '0' is another record's too"]),
        (TESTED, lambda v: v[0]["profile"][0].pop("title"), ["1: has no 'title'", "add it, or"]),
        (OTHERS, lambda v: v[0]["query"][0].pop("gold"), [OTHERS, "neither a gold nor a label"]),
        (OTHERS, lambda v: v[0]["query"][0].pop("input"), [OTHERS, "query 1: input is missing"]),
        (OTHERS, lambda v: v[0]["query"][0].update(input="What?"), [OTHERS, "begins with 'What?'"]),
        (OTHERS, lambda v: v[1].pop("query"), [OTHERS, "query is missing; add it as a list"]),
        (OTHERS, lambda v: v[0].update(query=[1]), [OTHERS, "query 1: must be a JSON object"]),
        (OTHERS, lambda v: v[0]["query"][0].update(gold="\ud800"), [OTHERS, "lone surrogate"]),
    ],
)
def test_bad_users(news: Task, oppu: Path, name: str, change: Change, patterns: list[str]) -> None:
    edit(oppu / name, change)
    check_refused(news, oppu, *patterns)


def test_findings_are_noted(news: Task, oppu: Path) -> None:
    tested = json.loads((oppu / TESTED).read_text())
    leak = tested[0]["query"][0]["input"]

    def change(users: Any) -> None:
        users[0]["user_id"] = 2
        users[0]["query"][0]["input"] += "7"
        users[1]["query"][0]["input"] = leak
        users[1]["query"][1]["gold"] = ""

    record = {**tested[2]["profile"][0], "text": "asked 1 of 3"}
    edit(oppu / OTHERS, change)
    edit(
        oppu / TESTED,
        lambda users: users[2]["profile"].extend([record | {"id": "own"}, record | {"id": "own"}]),
    )
    assert set(read(news, oppu).notes) == {
        "repeated profile entries, one kept: 1",
        "queries with an empty reference, removed: 1",
        "leak: test queries that are in their own user's history: 1",
        "leak: test queries that are also training queries: 1",
        "leak: test users who are also training users: 1",
    }

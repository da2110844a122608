"""The processed files of OPPU and CoPe."""

import json

import pytest

from lampbench.data import DataOptions, load
from lampbench.util.errors import LampbenchError

TESTED, OTHERS = "user_top_100_history.json", "user_others.json"


def read(task, folder, **options):
    return load(task, f"oppu:{folder}", DataOptions(**options))


def edit(path, change):
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def fails(task, folder, *patterns, **options):
    with pytest.raises(LampbenchError) as caught:
        read(task, folder, **options)
    message = str(caught.value)
    assert "\n" not in message
    for pattern in patterns:
        assert pattern in message


def labels(folder, name=f"{TESTED[:-5]}_label.json", task_id="LaMP_4", **change):
    golds = {f"{u}-{n}": f"Gold {n} of {u}" for u in (1, 2, 3) for n in range(2)}
    listed = [{"id": i, "output": text} for i, text in (golds | change).items()]
    (folder / name).write_text(json.dumps({"task": task_id, "golds": listed}))


def test_the_given_split_stands(news, oppu):
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


def test_fewer_users_are_those_with_the_longest_histories(news, oppu):
    assert [user.id for user in read(news, oppu, users=2).test_users] == ["2", "1"]
    data = read(news, oppu, min_history=2)
    assert [user.id for user in data.test_users] == ["2", "1"]
    assert "test users with fewer than 2 records, left out: 1" in data.notes
    fails(news, oppu, "4 test users asked for, 3 of 3", users=4)


def test_folder_of_the_task_below_and_recognition(news, oppu):
    for folder in (oppu, oppu.parent):
        if folder == oppu.parent:
            oppu.rename(oppu.parent / "news_headline")
        assert len(load(news, str(folder), DataOptions()).test_users) == 3


def test_user_names_instead_of_ids(topic, tmp_path):
    def user(name):
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


def test_labels_stand_in_for_golds(news, oppu):
    def drop(users):
        for user in users:
            for query in user["query"]:
                query.pop("gold")

    edit(oppu / TESTED, drop)
    fails(news, oppu, "query 1: query '1-0' has no gold and no label")
    labels(oppu, "news_label.json")
    assert read(news, oppu).test_users[0].queries[0].reference == "Gold 0 of 2"


def test_labels_must_fit(news, oppu):
    labels(oppu)
    assert len(read(news, oppu).test_users) == 3
    labels(oppu, **{"1-1": "another"})
    fails(news, oppu, TESTED, "the gold of query '1-1' is not its label")
    labels(oppu, **{"4-0": "nobody asks"})
    fails(news, oppu, "user_top_100_history_label.json: a reference for query '4-0'")
    labels(oppu, task_id="LaMP_5")
    fails(news, oppu, "holds LaMP_5, not LaMP_4")
    labels(oppu, "a_label.json")
    (oppu / "user_top_100_history_label.json").rename(oppu / "b_label.json")
    fails(news, oppu, "labels in a_label.json and b_label.json")


def test_profiles_are_joined_by_position(news, oppu):
    profiles = [{"id": n, "output": f"Profile of {n}"} for n in (1, 2, 3)]
    path = oppu / "profile_user_100.json"
    path.write_text(json.dumps(profiles))
    found = {user.id: user.profile for user in read(news, oppu).test_users}
    assert found == {"1": "Profile of 1", "2": "Profile of 2", "3": "Profile of 3"}
    assert read(news, oppu, users=1).test_users[0].profile == "Profile of 2"
    path.write_text(json.dumps(profiles[:2]))
    fails(news, oppu, "profile_user_100.json: 2 profiles for the 3 users")
    path.write_text(json.dumps(profiles[::-1]))
    fails(news, oppu, "another order")


def test_missing_files(news, tmp_path, oppu):
    fails(news, tmp_path, "no user_top_100_history.json here or in news_headline/")
    (oppu / OTHERS).unlink()
    fails(news, oppu, "user_others.json: no such file")


@pytest.mark.parametrize(
    ("name", "change", "patterns"),
    [
        (TESTED, lambda v: v[1].update(user_id=1), ["record 2: user '1' stands twice"]),
        (TESTED, lambda v: v[1].pop("user_id"), ["record 2: has neither user_id nor user_name"]),
        (TESTED, lambda v: v[1].update(profile=[]), ["record 2: user '2'", "empty history"]),
        (TESTED, lambda v: v[1].update(query=[]), ["user '2' has no queries"]),
        (TESTED, lambda v: v[1]["query"][1].update(id="1-0"), ["query 2: id '1-0' stands twice"]),
        (TESTED, lambda v: v[1]["profile"][1].update(id="0"), ["id '0' stands for another record"]),
        (TESTED, lambda v: v[0]["profile"][0].pop("title"), ["profile entry 1: has no 'title'"]),
        (OTHERS, lambda v: v[0]["query"][0].pop("gold"), [OTHERS, "no gold and no label"]),
        (OTHERS, lambda v: v[0]["query"][0].update(input="What?"), [OTHERS, "begins 'What?'"]),
        (OTHERS, lambda v: v[1].pop("query"), [OTHERS, "query must be a list, it is missing"]),
        (OTHERS, lambda v: v[0]["query"][0].update(gold="\ud800"), [OTHERS, "lone surrogate"]),
    ],
)
def test_bad_users(news, oppu, name, change, patterns):
    edit(oppu / name, change)
    fails(news, oppu, *patterns)


def test_findings_are_noted(news, oppu):
    def change(users):
        users[0]["user_id"] = 2
        users[0]["query"][0]["input"] += "7"
        users[1]["query"][0]["input"] = leak
        users[1]["query"][1]["gold"] = ""

    tested = json.loads((oppu / TESTED).read_text())
    leak = tested[0]["query"][0]["input"]
    record = {**tested[2]["profile"][0], "text": "asked 1 of 3"}
    edit(oppu / OTHERS, change)
    edit(
        oppu / TESTED,
        lambda users: users[2]["profile"].extend([record | {"id": "own"}, record | {"id": "own"}]),
    )
    assert set(read(news, oppu).notes) == {
        "profile entries that stand twice, one kept: 1",
        "queries with an empty reference, left out: 1",
        "test queries that stand in their own user's history (a leak): 1",
        "test queries that are also queries of training users (a leak): 1",
        "test users that are also training users (a leak): 1",
    }

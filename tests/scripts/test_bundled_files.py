"""The committed data: its shape, its size, and that nothing leaks."""

import json
from typing import Any

import pytest

from lampbench.bundled import DATA
from scripts.data_card import TASKS, statistics_table
from scripts.user_rows import find_leaks, read_users, records

FIELDS = {
    "news_headline": {"text"},
    "scholarly_title": {"abstract"},
    "abstract_generation": {"title"},
    "topic_writing": {"summary"},
    "review_writing": {"rating", "description", "summary"},
}


def users(task: str, name: str) -> list[dict[str, Any]]:
    return read_users(DATA / task / f"{name}.jsonl")


def evaluated(task: str) -> list[dict[str, Any]]:
    return [*users(task, "test"), *users(task, "dev")]


@pytest.mark.parametrize(
    ("task", "counts"),
    [("news_headline", (32, 14, 224)), ("topic_writing", (32, 14, 224)),
     ("scholarly_title", (100, 20, 75)), ("abstract_generation", (100, 20, 75)),
     ("review_writing", (20, 8, 40))],
)  # fmt: skip
def test_as_many_users_as_promised(task: str, counts: tuple[int, ...]) -> None:
    assert tuple(len(users(task, name)) for name in ("test", "dev", "train")) == counts


@pytest.mark.parametrize("task", TASKS)
def test_nothing_leaks(task: str) -> None:
    assert find_leaks(task, *(users(task, name) for name in ("test", "dev", "train"))) == []


@pytest.mark.parametrize("task", ["scholarly_title", "abstract_generation"])
def test_no_paper_of_a_test_user_is_anyone_elses(task: str) -> None:
    lines = (DATA / "CREDITS.tsv").read_text(encoding="utf-8").splitlines()[1:]
    authors = {name: who.split("; ") for name, who in (line.split("\t") for line in lines)}
    names = {user["id"] for user in evaluated(task)}
    for user in (*evaluated(task), *users(task, "train")):
        for record in records(user):
            assert authors[record["id"]][-1] == user["id"]
            assert not names & {*authors[record["id"]]} - {user["id"]}


@pytest.mark.parametrize("task", TASKS)
def test_every_user_has_the_documented_shape(task: str) -> None:
    for name in ("test", "dev", "train"):
        for user in users(task, name):
            assert set(user) == {"id", "history", "queries"}
            assert user["queries"] and bool(user["history"]) == (name != "train")
            for record in records(user):
                assert set(record) == {"id", "date", "fields", "target"}
                assert set(record["fields"]) == FIELDS[task]
                texts = [record["id"], record["date"], record["target"], *record["fields"].values()]
                assert all(isinstance(text, str) and text.strip() for text in texts)


@pytest.mark.parametrize("task", TASKS)
def test_history_is_older_than_queries(task: str) -> None:
    for user in evaluated(task):
        dates = [record["date"] for record in records(user)]
        assert dates == sorted(dates)


@pytest.mark.parametrize("task", TASKS)
def test_ids_are_unique(task: str) -> None:
    everyone = [*evaluated(task), *users(task, "train")]
    ids = [record["id"] for user in everyone for record in records(user)]
    assert len(ids) == len(set(ids))
    assert len({user["id"] for user in everyone}) == len(everyone)


@pytest.mark.parametrize("task", TASKS)
def test_the_note_says_what_the_data_is(task: str) -> None:
    note = json.loads((DATA / task / "dataset.json").read_text(encoding="utf-8"))
    keys = {"task", "source", "licence", "attribution", "synthetic", "description"}
    assert set(note) == keys
    assert note["task"] == task
    assert note["synthetic"] is (task == "review_writing")


@pytest.mark.parametrize("task", ["news_headline", "topic_writing"])
def test_the_prompt_does_not_hold_the_answer(task: str) -> None:
    for user in (*evaluated(task), *users(task, "train")):
        for record in records(user):
            (given,) = record["fields"].values()
            shown, target = " ".join(given.lower().split()), " ".join(record["target"].split())
            assert not target.lower().startswith(shown[:60])
            assert not shown.startswith(target.lower())


def test_the_card_has_the_numbers_of_the_files() -> None:
    assert statistics_table(DATA) in (DATA / "README.md").read_text(encoding="utf-8")


def test_the_data_is_small() -> None:
    assert sum(path.stat().st_size for path in DATA.rglob("*") if path.is_file()) < 10 * 2**20


def test_a_test_user_who_trains_under_another_spelling_is_a_leak() -> None:
    def user(name: str) -> dict[str, Any]:
        def record(at: int) -> dict[str, Any]:
            text = f"{name} {at} wrote this"
            return {"id": f"{name}-{at}", "date": None, "fields": {"text": text}, "target": text}

        return {"id": name, "history": [record(0)], "queries": [record(1)]}

    assert find_leaks("news_headline", [user("Will Sullivan")], [], [user("Ann")]) == []
    (found,) = find_leaks("news_headline", [user("Will Sullivan")], [], [user("willsullivan")])
    assert (found.what, found.by) == ("users", "author")

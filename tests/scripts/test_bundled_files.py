"""The committed data: its shape, its size, and that nothing leaks."""

import json
import re
import statistics
from typing import Any

import pytest

from lampbench.bundled import DATA, MODEL
from lampbench.data.leaks.corpus_sketch import load_sketch
from scripts.data_card import TASKS, statistics_table
from scripts.user_rows import find_leaks, read_users, records

FIELDS = {
    "news_headline": {"text"},
    "scholarly_title": {"abstract"},
    "abstract_generation": {"title"},
    "topic_writing": {"summary"},
    "review_writing": {"rating", "description", "summary"},
}
POST_TASKS = ("news_headline", "topic_writing")
NEWS = (55, 12, 254)
ATTRIBUTED = {"CC-BY", "CC-BY-3.0", "CC-BY-4.0", "MIT OR Apache-2.0", "Apache-2.0"}


def users(task: str, name: str) -> list[dict[str, Any]]:
    return read_users(DATA / task / f"{name}.jsonl")


def evaluated(task: str) -> list[dict[str, Any]]:
    return [*users(task, "test"), *users(task, "dev")]


@pytest.mark.parametrize(
    ("task", "counts"),
    [("news_headline", NEWS), ("topic_writing", NEWS),
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
def test_dates_are_dates(task: str) -> None:
    for user in (*evaluated(task), *users(task, "train")):
        for record in records(user):
            assert re.fullmatch(r"\d{4}(-\d\d){0,2}", record["date"])


@pytest.mark.parametrize("task", POST_TASKS)
def test_dev_users_have_histories_and_queries_like_those_of_test_users(task: str) -> None:
    test, dev = users(task, "test"), users(task, "dev")
    for name, longest in (("history", 24), ("queries", 8)):
        tested, tuned = ([len(user[name]) for user in group] for group in (test, dev))
        assert (min(tested), max(tested)) == (min(tuned), max(tuned))
        assert max(tested) == longest
        assert 0.8 < statistics.mean(tuned) / statistics.mean(tested) < 1.25
    assert min(len(user["history"]) for user in (*test, *dev)) == 7


def test_every_post_is_credited_and_nothing_else() -> None:
    head, *lines = (DATA / "POSTS.tsv").read_text(encoding="utf-8").splitlines()
    assert head.split("\t") == ["id", "author", "title", "site", "url", "licence"]
    credited = {line.split("\t")[0]: line.split("\t")[1:] for line in lines}
    for task in POST_TASKS:
        everyone = [*evaluated(task), *users(task, "train")]
        owner = {record["id"]: user["id"] for user in everyone for record in records(user)}
        assert owner == {name: author for name, (author, *_) in credited.items()}
    for author, title, site, url, licence in credited.values():
        assert author and title
        if site in ("digital.gov", "18f"):
            assert (url, licence) == ("", "CC0 1.0 / public domain in the United States")
        else:
            assert url.startswith("https://") and licence in ATTRIBUTED


def test_nothing_is_under_a_share_alike_licence_and_licence_texts_are_there() -> None:
    assert "-SA" not in (DATA / "POSTS.tsv").read_text(encoding="utf-8")
    assert {path.name for path in (DATA / "licences").iterdir()} == {"MIT.txt", "Apache-2.0.txt"}


def test_the_models_have_read_no_post_of_a_user() -> None:
    read = load_sketch(MODEL / "corpus.npz").documents
    for task in POST_TASKS:
        for user in (*evaluated(task), *users(task, "train")):
            assert not read & {record["id"] for record in records(user)}


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


@pytest.mark.parametrize("task", POST_TASKS)
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
    assert sum(path.stat().st_size for path in DATA.rglob("*") if path.is_file()) < 11 * 2**20


def test_a_test_user_who_trains_under_another_spelling_is_a_leak() -> None:
    def user(name: str) -> dict[str, Any]:
        def record(at: int) -> dict[str, Any]:
            text = f"{name} {at} wrote this"
            return {"id": f"{name}-{at}", "date": None, "fields": {"text": text}, "target": text}

        return {"id": name, "history": [record(0)], "queries": [record(1)]}

    assert find_leaks("news_headline", [user("Will Sullivan")], [], [user("Ann")]) == []
    (found,) = find_leaks("news_headline", [user("Will Sullivan")], [], [user("willsullivan")])
    assert (found.what, found.by) == ("users", "author")

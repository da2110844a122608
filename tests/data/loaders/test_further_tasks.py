"""LaMP-1, 2, 3 and 7 and LongLaMP-1 from files in their official formats."""

import json
from pathlib import Path
from typing import Any

import pytest

from lampbench.data import DataOptions, load_dataset
from lampbench.data.dataset_statistics import dataset_statistics, length_in_words
from lampbench.data.leaks.audit import LeakAudit
from lampbench.registry import Registry
from tests.data.made_files import check_refused, read, write_lamp
from tests.shared.further_tasks import PUBLISHED, TAGS, write_published

TASKS = sorted(PUBLISHED)


@pytest.fixture(params=TASKS)
def name(request):
    return request.param


@pytest.fixture
def task(name):
    return Registry().task(name)


@pytest.fixture
def folder(name, tmp_path: Path) -> Path:
    return write_published(tmp_path / name, name)


def test_every_user_is_read_with_history_and_references(task, name, folder) -> None:
    found = read(task, f"lamp:{folder}")
    assert [len(user.history) for user in found.test_users] == [6, 5]
    outputs = [query.reference for user in found.test_users for query in user.queries]
    assert sorted(map(str, outputs)) == sorted(PUBLISHED[name].output(place) for place in range(4))
    for user in (*found.test_users, *found.train_users):
        for query in user.queries:
            assert tuple(query.fields) == task.fields
            assert all(query.fields.values())
        for record in user.history:
            assert tuple(record.fields) == task.fields_of_records
            assert record.target


def test_the_kind_of_source_is_recognised(task, folder) -> None:
    assert read(task, str(folder)).fingerprint == read(task, f"lamp:{folder}").fingerprint


def test_our_own_layout_keeps_everything(task, folder, tmp_path) -> None:
    from lampbench.data.write_dataset import write_dataset

    found = read(task, f"lamp:{folder}")
    write_dataset(found, tmp_path / "own")
    again = load_dataset(task, f"lampbench:{tmp_path / 'own'}", DataOptions())
    assert again.test_users == found.test_users
    assert again.query_fingerprint == found.query_fingerprint


def test_another_tasks_files_are_refused(task, name, tmp_path) -> None:
    other = TASKS[(TASKS.index(name) + 1) % len(TASKS)]
    made = write_published(tmp_path / "other", other)
    check_refused(task, f"lamp:{made}", f"is not a prompt of {name}")


def test_statistics_and_audit_take_them(task, folder) -> None:
    found = read(task, f"lamp:{folder}")
    row = dataset_statistics(found, task, length_in_words, "words")
    assert row.profile_out.mean > 0
    findings = LeakAudit(found, (), task.fields, strict=False).within()
    assert all(not one.cases for one in findings if one.leak)


def test_records_without_input_are_told_apart_by_what_was_written(tmp_path) -> None:
    """A tweet of the history that is the asked one, and tweets that two users have."""
    task = Registry().task("tweet_paraphrasing")
    asked = PUBLISHED["tweet_paraphrasing"].asked

    def question(user: str, texts: list[str]) -> dict[str, Any]:
        profile = [{"id": f"{user}{n}", "text": text} for n, text in enumerate(texts)]
        return {"id": user, "user_id": user, "input": asked(user), "profile": profile}

    questions = [question("a", ["one", "two", "The answer"]), question("b", ["one"])]
    golds = [{"id": "a", "output": "the  answer"}, {"id": "b", "output": "mine"}]
    write_lamp(tmp_path, "train", questions, golds, "LaMP_7")
    found = read(task, f"lamp:{tmp_path}", users=1)
    (user,) = found.test_users
    assert [record.target for record in user.history] == ["one", "two"]
    assert any("one of the test user's own queries, removed: 1" in note for note in found.notes)


def test_the_audit_tells_records_without_input_apart(tmp_path) -> None:
    task = Registry().task("tweet_paraphrasing")
    found = read(task, f"lamp:{write_published(tmp_path, 'tweet_paraphrasing')}")
    for finding in LeakAudit(found, (), task.fields, strict=False).within():
        assert not [case for case in finding.cases if finding.by == "id"], finding.where


class TestChoices:
    @pytest.mark.parametrize(
        ("name", "wrong"),
        [("movie_tagging", "horror"), ("product_rating", "6"), ("citation_identification", "[3]")],
    )
    def test_a_reference_that_is_no_choice_is_refused(self, name, wrong, tmp_path) -> None:
        folder = write_published(tmp_path, name)
        path = folder / "dev_outputs.json"
        content = json.loads(path.read_text())
        content["golds"][0]["output"] = wrong
        path.write_text(json.dumps(content))
        check_refused(Registry().task(name), f"lamp:{folder}", repr(wrong), "none of the answers")

    def test_a_number_in_the_files_is_the_choice_that_it_prints(self, tmp_path) -> None:
        folder = write_published(tmp_path, "product_rating")
        for split in ("train", "dev"):
            path = folder / f"{split}_outputs.json"
            content = json.loads(path.read_text())
            for gold in content["golds"]:
                gold["output"] = int(gold["output"])
            path.write_text(json.dumps(content))
        found = read(Registry().task("product_rating"), f"lamp:{folder}")
        assert {q.reference for user in found.test_users for q in user.queries} <= set("12345")

    def test_the_tags_are_the_benchmarks(self) -> None:
        assert ", ".join(Registry().task("movie_tagging").choices) == TAGS

"""The most recent records of every test user: which stay, what it says, and what keys see of it."""

from dataclasses import replace
from typing import Any

import pytest

from lampbench.core.dataset import Dataset, Record, User
from lampbench.data import DataOptions, load_dataset
from lampbench.data.cut_histories import cut_histories
from lampbench.registry import Registry
from tests.shared.fake_runs import person


def user(name: str, *dates: str | None, profile: str | None = None) -> User:
    history = tuple(Record(f"{name}{i}", {}, "t", date) for i, date in enumerate(dates))
    return User(name, history, person(name).queries, profile)


def crowd(*users: User) -> Dataset:
    return Dataset("news_headline", "a test", (person("other", records=5),), users)


def kept(dataset: Dataset) -> list[list[str]]:
    return [[record.id for record in one.history] for one in dataset.test_users]


def test_the_most_recent_stay_in_the_order_of_the_source() -> None:
    dated = user("a", "2021-05-02", "2019", "2020-01", "2021-05-01")
    assert kept(cut_histories(crowd(dated), 2)) == [["a0", "a3"]]
    assert kept(cut_histories(crowd(dated), 3)) == [["a0", "a2", "a3"]]


def test_of_one_date_the_last_stay() -> None:
    assert kept(cut_histories(crowd(user("a", "2020", "2020", "2020")), 2)) == [["a1", "a2"]]


@pytest.mark.parametrize("other", [None, "last May"])
def test_without_dates_the_last_stay_and_a_note_says_so(other: str | None) -> None:
    found = cut_histories(crowd(user("a", "2021", other, "2020"), user("b", "2021", "2020")), 1)
    assert kept(found) == [["a2"], ["b0"]]
    assert "cut by the source's order of records: 1" in found.notes[1]


def test_users_with_few_records_and_training_users_are_as_before() -> None:
    whole = crowd(user("a", "2021", "2020", profile="Long."), user("b", "2021", profile="Short."))
    found = cut_histories(whole, 1)
    assert found.test_users[1] is whole.test_users[1] and found.train_users is whole.train_users
    assert found.query_fingerprint == whole.query_fingerprint
    assert found.test_users[0].fingerprint != whole.test_users[0].fingerprint
    assert found.test_users[0].profile is None, "it describes the record that was cut, too"
    assert found.cut_from == whole.fingerprint
    assert found.notes == (
        "test users whose history is cut to the most recent record (--max-history): 1 of 2",
        "profiles of the source that describe records which are cut, left out: 1",
    )


def test_where_nothing_is_cut_it_is_the_dataset_itself() -> None:
    whole = crowd(user("a", "2021", "2020"))
    assert cut_histories(whole, 2) is whole


def bundled(**options: Any) -> Dataset:
    task = Registry().task("news_headline")
    return load_dataset(task, "bundled", DataOptions(**options))


def test_users_are_chosen_by_whole_histories_and_then_cut() -> None:
    whole = bundled(users=5, min_history=12)
    found = bundled(users=5, min_history=12, max_history=3)
    assert [one.id for one in found.test_users] == [one.id for one in whole.test_users]
    assert {len(one.history) for one in found.test_users} == {3}
    assert found.max_history == 3 and found.cut_from == whole.fingerprint
    assert found.query_fingerprint == whole.query_fingerprint
    for one, other in zip(whole.test_users, found.test_users, strict=True):
        assert other.history == one.history[-3:]  # the bundled histories are in order of time
    dev = bundled(splits=("dev",), max_history=2)
    assert {len(one.history) for one in dev.test_users} == {2} and dev.source != found.source


def test_a_length_that_cuts_nothing_is_the_default_dataset() -> None:
    whole, found = bundled(users=2), bundled(users=2, max_history=1000)
    assert found == whole and found.asked == whole.asked and found.max_history is None


def test_each_length_has_keys_of_its_own_and_whole_histories_keep_theirs(planner) -> None:
    whole = crowd(user("a", "2021", "2020", "2019"), user("b", "2021"), user("c", "2021", "2020"))
    plans = [planner("oppu", data=cut_histories(whole, most)) for most in (1, 2, 9)]
    assert plans[2].folder == planner("oppu", data=whole).folder
    assert len({plan.folder for plan in plans}) == 3
    task, users = ([plan.stages[i] for plan in plans] for i in (0, 1))
    keys = [
        [plan.executor.keys.of(stage.recipe, owner) for owner in stage.owners]
        for stages in (task, users)
        for plan, stage in zip(plans, stages, strict=True)
    ]
    assert keys[0] == keys[1] == keys[2], "TAM is the same for every length"
    adapters = list(zip(*keys[3:], strict=True))
    assert [len(set(of_one)) for of_one in adapters] == [3, 1, 2], "shared where nothing was cut"


def test_the_length_is_recorded_and_read_again() -> None:
    found = bundled(users=2, max_history=2)
    assert found.asked["max_history"] == 2
    options = DataOptions(**{name: v for name, v in found.asked.items() if name != "data"})
    assert options.max_history == 2
    assert replace(options, max_history=None) == DataOptions(users=2)

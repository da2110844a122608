"""Many users are kept in a temporary file, and are the users that were read."""

import errno
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from lampbench.core.dataset import Dataset, Query, Record, User
from lampbench.data import DataOptions, load_dataset, users_on_disk
from lampbench.data.users_on_disk import UsersOnDisk, chosen, held, in_memory
from lampbench.data.write_dataset import write_dataset
from lampbench.registry import Registry
from lampbench.util.disk import FullDisk


def person(number):
    past = tuple(
        Record(f"r{number}-{i}", {"text": f"Text {i} \ud800é"}, f"Headline {i}", "2020-01-01")
        for i in range(1 + number % 3)
    )
    asked = (Query(f"q{number}", {"text": "new"}, None if number % 2 else "Reference"),)
    return User(f"user{number}", past, asked, "a profile" if number % 5 == 0 else None)


PEOPLE = [person(number) for number in range(40)]


def test_they_are_the_same_users_in_the_same_order():
    users = UsersOnDisk.of(iter(PEOPLE))
    assert len(users) == 40 and list(users) == PEOPLE == list(users)
    assert [user.fingerprint for user in users] == [user.fingerprint for user in PEOPLE]
    assert users[3] == PEOPLE[3] and users[-1] == PEOPLE[-1]
    assert list(users[::-7]) == PEOPLE[::-7]
    assert list(chosen(users, [5, 2])) == [PEOPLE[5], PEOPLE[2]] == list(chosen(PEOPLE, [5, 2]))


def test_few_are_kept_in_memory(monkeypatch):
    monkeypatch.setattr(users_on_disk, "IN_MEMORY", 40)
    assert held(iter(PEOPLE)) == tuple(PEOPLE)
    monkeypatch.setattr(users_on_disk, "IN_MEMORY", 39)
    many = held(iter(PEOPLE))
    assert isinstance(many, UsersOnDisk) and list(many) == PEOPLE


def test_once_loaded_each_is_one_object():
    users = UsersOnDisk.of(PEOPLE)
    assert users[0] is not users[0]
    assert in_memory(users) == tuple(PEOPLE)
    assert users[0] is users[0] is next(iter(users)) and list(users) == PEOPLE
    assert in_memory(PEOPLE) is PEOPLE


def test_threads_may_read_at_once():
    users = UsersOnDisk.of(PEOPLE * 20)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda place: users[place], range(len(users))))
    assert found == PEOPLE * 20


def test_a_choice_outlives_the_users_that_it_was_made_from():
    few = UsersOnDisk.of(PEOPLE)[::10]
    assert list(few) == PEOPLE[::10]


def test_a_full_disk_is_one_line(monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(users_on_disk, "_File", full)
    with pytest.raises(FullDisk, match=f"{tempfile.gettempdir()}: the disk is full"):
        UsersOnDisk.of(PEOPLE)


@pytest.mark.parametrize("options", [{}, {"users": 9}, {"min_history": 2}, {"max_history": 1}])
def test_a_dataset_on_disk_is_the_one_in_memory(tmp_path, monkeypatch, options):
    task = Registry().task("news_headline")
    named = [replace(user, queries=tuple(replace(q, reference="Headline") for q in user.queries))
             for user in PEOPLE]  # fmt: skip
    plain = [
        replace(user, history=tuple(replace(r, fields={"text": r.id}) for r in user.history))
        for user in named
    ]
    made = Dataset("news_headline", "made", (plain[0],), tuple(plain[1:]), synthetic=True)
    write_dataset(made, tmp_path / "data")
    small = load_dataset(task, f"lampbench:{tmp_path / 'data'}", DataOptions(**options))
    monkeypatch.setattr(users_on_disk, "IN_MEMORY", 5)
    large = load_dataset(task, f"lampbench:{tmp_path / 'data'}", DataOptions(**options))
    assert isinstance(small.test_users, tuple) and isinstance(large.test_users, UsersOnDisk)
    assert tuple(large.test_users) == small.test_users
    assert replace(large, test_users=small.test_users) == small
    for name in ("fingerprint", "query_fingerprint", "dates_fingerprint"):
        assert getattr(large, name) == getattr(small, name)

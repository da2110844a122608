"""Histories of users who are not in memory."""

from dataclasses import replace

import pytest

from lampbench.core.dataset import Dataset, Record, User
from lampbench.data.users_on_disk import UsersOnDisk
from lampbench.scoring import HistoriesInOrder, histories


def person(number):
    return User(f"u{number}", (Record("r", {}, f"text {number}"), Record("s", {}, "more")), ())


PEOPLE = tuple(person(number) for number in range(20))


def test_they_are_those_of_all_users_in_any_order():
    expected = histories(Dataset("task", "made", (), PEOPLE))
    found = HistoriesInOrder(UsersOnDisk.of(PEOPLE))
    assert dict(found) == expected and len(found) == 20
    for number in (3, 3, 19, 0, 7, 6):
        assert found[f"u{number}"] == expected[f"u{number}"] == (f"text {number}", "more")
    assert found.get("nobody") is None and "nobody" not in found and found["u4"]


@pytest.mark.parametrize("users", [PEOPLE, PEOPLE[::2]])
def test_in_order_each_user_is_read_once(users):
    read = []

    class Noted(UsersOnDisk):
        def __iter__(self):
            for user in UsersOnDisk.__iter__(self):
                read.append(user.id)
                yield replace(user)

    on_disk = UsersOnDisk.of(PEOPLE)
    found = HistoriesInOrder(Noted(on_disk._file, on_disk._places, on_disk._numbers))
    for user in users:
        assert found[user.id] == found.get(user.id)
    assert read == [user.id for user in PEOPLE][: len(read)]

"""The choice of test users: the paper's protocol."""

import pytest

from lampbench.core.dataset import Record, User
from lampbench.data import DataOptions
from lampbench.data.choose_test_users import choose_test_users, limit_test_users
from lampbench.util.errors import LampbenchError

LENGTHS = {f"u{n}": n // 10 for n in range(150)}


def test_the_paper_tests_the_hundred_longest_histories() -> None:
    chosen, notes = choose_test_users(LENGTHS, DataOptions(), "here")
    assert len(chosen) == 100
    assert min(LENGTHS[name] for name in chosen) == 5
    assert [LENGTHS[name] for name in chosen] == sorted((LENGTHS[n] for n in chosen), reverse=True)
    assert not notes


def test_ties_are_broken_by_the_seed_and_not_by_order() -> None:
    options = DataOptions(users=5)
    chosen, _ = choose_test_users(LENGTHS, options, "here")
    assert choose_test_users(dict(reversed(LENGTHS.items())), options, "here")[0] == chosen
    assert choose_test_users(LENGTHS, DataOptions(users=4), "here")[0] == chosen[:4]
    other, _ = choose_test_users(LENGTHS, DataOptions(users=5, seed=1), "here")
    assert other != chosen
    assert {LENGTHS[name] for name in other} == {14}
    more, _ = choose_test_users(LENGTHS, DataOptions(users=10, seed=1), "here")
    assert more != choose_test_users(LENGTHS, DataOptions(users=10), "here")[0]


def test_half_of_few_users_are_tested_and_it_is_noted() -> None:
    chosen, notes = choose_test_users({"a": 1, "b": 2, "c": 3}, DataOptions(), "here")
    assert chosen == ["c"]
    assert notes == ["1 of 3 users are tested (the paper tests 100; --users sets the number)"]
    chosen, notes = choose_test_users(LENGTHS, DataOptions(min_history=14), "here")
    assert len(chosen) == 10
    assert "only 10 users have at least 14 history records; all of them are tested" in notes[0]


@pytest.mark.parametrize(
    ("lengths", "options", "message"),
    [
        ({"a": 1}, DataOptions(), "0 of 1 users tested leaves 1 to train .*two users"),
        ({"a": 1, "b": 1}, DataOptions(users=2), "2 of 2 .* leaves 0 to train .*lower --users"),
        ({"a": 1, "b": 1}, DataOptions(users=3), "3 .*requested, but only 2 of 2 .*lower --users$"),
        (
            {"a": 1, "b": 2},
            DataOptions(users=2, min_history=2),
            "2 .*but only 1 of 2 users have at least 2 .*; lower --users or --min-history$",
        ),
        ({}, DataOptions(), "has no users with queries; give the complete files"),
        ({"a": 1}, DataOptions(min_history=2), "none of 1 users has .*lower --min-history"),
    ],
)
def test_too_few_users(lengths: dict[str, int], options: DataOptions, message: str) -> None:
    with pytest.raises(LampbenchError, match=f"^here: {message}"):
        choose_test_users(lengths, options, "here")


def test_a_source_that_names_no_test_users() -> None:
    with pytest.raises(LampbenchError, match="here: has no test users; give the complete files"):
        limit_test_users([], DataOptions(), "here")


def test_the_remedy_for_short_histories_of_named_test_users() -> None:
    users = [User("a", (Record("1", {}, "t"),), ())]
    with pytest.raises(LampbenchError, match=r"1 test users .*0 of 1 .*; lower --min-history$"):
        limit_test_users(users, DataOptions(min_history=2), "here")

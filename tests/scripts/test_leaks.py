"""The leak check finds what it is there to find."""

from typing import Any

from lampbench.bundled.leaks import find_leaks, find_shared_authors, word_runs

LONG = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"


def record(name: str, target: str, text: str = "x") -> dict[str, Any]:
    return {"id": name, "date": "2020", "fields": {"text": text}, "target": target}


def user(name: str, history: list[Any], queries: list[Any]) -> dict[str, Any]:
    return {"id": name, "history": history, "queries": queries}


def test_runs_ignore_case_and_punctuation() -> None:
    assert word_runs(LONG) == word_runs(LONG.upper().replace(" ", ", "))
    assert len(word_runs(LONG)) == 2


def test_a_short_text_is_one_run_and_a_tiny_one_none() -> None:
    assert word_runs("A title of five words!") == {"a title of five words"}
    assert word_runs("Understanding your customer") == set()


def test_a_clean_split_has_no_leak() -> None:
    test = [user("a", [record("1", "alpha")], [record("2", "beta")])]
    assert find_leaks(test, [user("b", [], [record("3", "gamma")])]) == []


def test_a_record_of_two_users_is_found() -> None:
    test = [user("a", [record("1", "alpha")], [record("2", "beta")])]
    (found,) = find_leaks(test, [user("b", [], [record("2", "other")])])
    assert "'2'" in found and "'a'" in found and "'b'" in found


def test_a_user_on_both_sides_is_found() -> None:
    test = [user("a", [record("1", "alpha")], [record("2", "beta")])]
    assert find_leaks(test, [user("a", [], [record("3", "x")])]) == ["user 'a' stands twice"]


def test_a_query_in_the_own_history_is_found() -> None:
    test = [user("a", [record("1", "alpha", f"see: {LONG}")], [record("2", LONG)])]
    (found,) = find_leaks(test, [])
    assert "with the history '1'" in found


def test_a_query_in_another_users_history_is_found() -> None:
    test = [
        user("a", [record("1", LONG)], [record("2", "x")]),
        user("b", [record("3", "y")], [record("4", LONG)]),
    ]
    assert len(find_leaks(test, [])) == 1


def test_training_text_of_a_test_user_is_found() -> None:
    test = [user("a", [record("1", LONG)], [record("2", "A title of five words")])]
    train = [user("b", [], [record("3", LONG), record("4", "a title of five words")])]
    assert len(find_leaks(test, train)) == 2


def test_a_paper_of_two_test_users_is_found() -> None:
    test = [user("a", [record("1", "x")], []), user("b", [], [record("2", "y")])]
    assert find_shared_authors(test, [], {"1": ["a"], "2": ["b"]}) == []
    (found,) = find_shared_authors(test, [], {"1": ["b", "a"], "2": ["b"]})
    assert "'1'" in found and "'b'" in found

"""Does text of a test user stand where it must not? By id, by author and by shared word runs.

Used when the bundled data is cut, when the text for pre-training is chosen, and by the test that
reads the committed files: one notion of a leak for all three.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

RUN = 13
"""Words in a run that counts as copied text, as in the GPT-3 contamination analysis."""

SHORTEST_WHOLE = 5
"""Texts below `RUN` words are compared as a whole, from this length on: "Yes" is no leak."""

Row = Mapping[str, Any]
"""A record or a user as it stands in a bundled JSON line."""

_WORD = re.compile(r"\w+")


def word_runs(text: str) -> set[str]:
    """The 13-word runs of a text, without case and punctuation; a short text is one run."""
    words = _WORD.findall(text.lower())
    if len(words) < RUN:
        return {" ".join(words)} if len(words) >= SHORTEST_WHOLE else set()
    return {" ".join(words[at : at + RUN]) for at in range(len(words) - RUN + 1)}


def record_runs(record: Row) -> set[str]:
    """The word runs of all that a record says."""
    runs = word_runs(record["target"])
    for text in record["fields"].values():
        runs |= word_runs(text)
    return runs


def records(user: Row) -> Iterator[Row]:
    """A user's history, then the queries."""
    yield from user["history"]
    yield from user["queries"]


def user_runs(users: Iterable[Row]) -> set[str]:
    """The word runs of everything that these users wrote or were given."""
    return {run for user in users for record in records(user) for run in record_runs(record)}


def find_leaks(test_users: Sequence[Row], train_users: Sequence[Row]) -> list[str]:
    """What is wrong with a split, one line each; empty when nothing leaks.

    Looks for a user or record that stands twice, for text of a query in any test user's history,
    and for text of any test user in the records of the training users.
    """
    found: list[str] = []
    owner: dict[str, str] = {}
    names: set[str] = set()
    for user in (*test_users, *train_users):
        if user["id"] in names:
            found.append(f"user {user['id']!r} stands twice")
        names.add(user["id"])
        for record in records(user):
            if record["id"] in owner:
                found.append(
                    f"record {record['id']!r} of user {user['id']!r} is also a record of "
                    f"{owner[record['id']]!r}"
                )
            owner[record["id"]] = user["id"]
    history = _index(record for user in test_users for record in user["history"])
    queries = _index(record for user in test_users for record in user["queries"])
    for user in test_users:
        for query in user["queries"]:
            found += _shared(query, history, "history")
    for user in train_users:
        for record in records(user):
            found += _shared(record, history, "history") + _shared(record, queries, "query")
    return found


def find_shared_authors(
    test_users: Sequence[Row], train_users: Sequence[Row], authors: Mapping[str, Sequence[str]]
) -> list[str]:
    """Papers that a test user wrote and that stand as another user's record.

    `authors` gives the authors of a record id; the ids of the users are authors' names.
    """
    testers = {user["id"] for user in test_users}
    return [
        f"record {record['id']!r} of user {user['id']!r} was also written by {name!r}"
        for user in (*test_users, *train_users)
        for record in records(user)
        for name in authors[record["id"]]
        if name in testers and name != user["id"]
    ]


def _index(items: Iterable[Row]) -> dict[str, str]:
    return {run: record["id"] for record in items for run in record_runs(record)}


def _shared(record: Row, index: Mapping[str, str], where: str) -> list[str]:
    for run in sorted(record_runs(record)):
        if run in index and index[run] != record["id"]:
            return [f"record {record['id']!r} shares {run!r} with the {where} {index[run]!r}"]
    return []

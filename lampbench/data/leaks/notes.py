"""Count the leaks that are cheap to find, for the notes of a dataset."""

from collections.abc import Iterable, Mapping, Sequence

from lampbench.core.dataset import Dataset, Query
from lampbench.core.findings import LEAK
from lampbench.util.temporary_table import count_repeated


def leak_notes(dataset: Dataset, fields: Sequence[str]) -> list[str]:
    """Notes on texts that a dataset has twice, and on queries without a reference.

    Texts are compared as a whole (white space and case aside); `leaks.audit` also finds parts.

    Args:
        dataset: test and training users.
        fields: the input fields that are compared, the task's.
    """
    trained = {key for user in dataset.train_users for key in _keys(user.queries, fields)}
    training_ids = {user.id for user in dataset.train_users}
    own = shared = both = people = withheld = 0
    for user in dataset.test_users:
        history = {_key(record.fields, fields) for record in user.history}
        asked = _keys(user.queries, fields)
        own += sum(key in history for key in asked)
        shared += sum(key in trained for key in history)
        both += sum(key in trained for key in asked)
        people += user.id in training_ids
        withheld += sum(query.reference is None for query in user.queries)
    found = {
        f"{LEAK}test queries that are in their own user's history": own,
        f"{LEAK}test queries that are also training queries": both,
        "history records of test users that are also training queries": shared,
        "test queries with the same text as another test query": count_repeated(
            key for user in dataset.test_users for key in _keys(user.queries, fields)
        ),
        f"{LEAK}test users who are also training users": people,
        "test queries without a reference, answered but not scored": withheld,
    }
    return [f"{what}: {count}" for what, count in found.items() if count]


def _keys(queries: Iterable[Query], fields: Sequence[str]) -> list[int]:
    return [_key(query.fields, fields) for query in queries]


def _key(values: Mapping[str, str], fields: Sequence[str]) -> int:
    return hash("\0".join(" ".join(values.get(n, "").split()).casefold() for n in fields))

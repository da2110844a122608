"""What a reader of the results should know about a dataset: leaks, found and counted."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from lampbench.core.dataset import Dataset, Query
from lampbench.util.errors import LampbenchError


def audit(dataset: Dataset, names: Sequence[str]) -> list[str]:
    """Notes on text that stands in two places, compared by the fields `names` that are shared.

    Cheap: texts are compared whole (white space and case aside), not by overlap.
    """
    trained = Counter(key for u in dataset.train_users for key in _keys(u.queries, names))
    tested = Counter(key for u in dataset.test_users for key in _keys(u.queries, names))
    own = shared = 0
    for user in dataset.test_users:
        history = {_key(record.fields, names) for record in user.history}
        own += sum(key in history for key in _keys(user.queries, names))
        shared += sum(key in trained for key in history)
    training_ids = {user.id for user in dataset.train_users}
    found = {
        "test queries that stand in their own user's history (a leak)": own,
        "test queries that are also queries of training users (a leak)": sum(
            count for key, count in tested.items() if key in trained
        ),
        "history records of test users that are also queries of training users": shared,
        "test queries with the same text as another test query": sum(
            count for count in tested.values() if count > 1
        ),
        "test users that are also training users (a leak)": sum(
            user.id in training_ids for user in dataset.test_users
        ),
        "test queries without reference, answered but not scored": sum(
            query.reference is None for user in dataset.test_users for query in user.queries
        ),
    }
    return [f"{what}: {count}" for what, count in found.items() if count]


def check(dataset: Dataset) -> None:
    """Hold a dataset to what all else relies on; ids are checked where they are read.

    Raises:
        LampbenchError: no test user, or one without history or queries.
    """
    if not dataset.test_users:
        raise LampbenchError(f"{dataset.source}: holds no test user")
    for user in dataset.test_users:
        if not user.history or not user.queries:
            what = "has no queries" if user.history else "has an empty history"
            raise LampbenchError(
                f"{dataset.source}: test user {user.id!r} {what}; remove the user or give the "
                "file that has them"
            )


def _keys(queries: Iterable[Query], names: Sequence[str]) -> list[int]:
    return [_key(query.fields, names) for query in queries]


def _key(fields: Mapping[str, str], names: Sequence[str]) -> int:
    return hash("\0".join(" ".join(fields.get(n, "").split()).casefold() for n in names))

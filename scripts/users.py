"""Users as they stand in the bundled files, and how the library sees them."""

from collections.abc import Iterable, Iterator

from lampbench.core.dataset import Dataset, Query, Record, User
from lampbench.data.leak_audit import Audit, Finding
from lampbench.data.word_runs import word_runs
from lampbench.registry import Registry
from scripts.sources import Json


def records(user: Json) -> Iterator[Json]:
    """A user's history, then the queries."""
    yield from user["history"]
    yield from user["queries"]


def record_runs(record: Json) -> set[str]:
    """The word runs of all that a record says."""
    texts = (record["target"], *record["fields"].values())
    return {run for text in texts for run in word_runs(text)}


def user_runs(users: Iterable[Json]) -> set[str]:
    """The word runs of everything that these users wrote or were given."""
    return {run for user in users for record in records(user) for run in record_runs(record)}


def find_leaks(
    task: str, test: Iterable[Json], dev: Iterable[Json], train: Iterable[Json]
) -> list[Finding]:
    """What `lampbench data audit` finds among these users and holds for a leak."""
    dataset = Dataset(task, "rows", _users(train), _users(test))
    names = Registry().task(task).fields
    found = Audit(dataset, _users(dev), names, strict=True).within()
    return [finding for finding in found if finding.leak and finding.cases]


def _users(rows: Iterable[Json]) -> tuple[User, ...]:
    return tuple(
        User(
            row["id"],
            tuple(Record(r["id"], r["fields"], r["target"], r["date"]) for r in row["history"]),
            tuple(Query(q["id"], q["fields"], q["target"], q["date"]) for q in row["queries"]),
        )
        for row in rows
    )

"""The scores of a run: a column for each metric, a row for each query."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, repeat
from operator import eq, itemgetter
from typing import Any, overload

from lampbench.plugin.metric import Value
from lampbench.util.disk_list import DiskList
from lampbench.util.disk_set import DiskSet

Place = tuple[str, str]
"""A user's id and the id of one of their queries."""


@dataclass(frozen=True, slots=True, eq=False)
class ScoreTable(Sequence[Mapping[str, Any]]):
    """Scores of queries, in the order of the predictions.

    `columns` holds each metric's values; a value is None where the metric does not apply. As a
    sequence, the table consists of rows: `user`, `query` and a value for each metric. Columns of
    many rows may be on disk: iterate over them.

    Raises:
        ValueError: columns differ in length.
    """

    users: Sequence[str]
    queries: Sequence[str]
    columns: Mapping[str, Sequence[Value]]

    def __post_init__(self) -> None:
        lengths = {len(self.users), len(self.queries), *map(len, self.columns.values())}
        if len(lengths) > 1:
            raise ValueError(f"columns of {sorted(lengths)} rows; all must be equally long")

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]]) -> "ScoreTable":
        """A table of rows; a metric that is missing in a row is None there."""
        listed = list(rows)
        names = dict.fromkeys(name for row in listed for name in row)
        return cls(
            users=tuple(row["user"] for row in listed),
            queries=tuple(row["query"] for row in listed),
            columns={
                name: tuple(row.get(name) for row in listed)
                for name in names
                if name not in ("user", "query")
            },
        )

    @property
    def places(self) -> list[Place]:
        """(user, query) of each row."""
        return list(zip(self.users, self.queries, strict=True))

    def has_reference(self) -> Iterator[bool]:
        """For each row whether the query has a reference to be scored against."""
        found = [self.columns[n] for n in ("reference_words", "rouge1") if n in self.columns]
        if not found:
            return repeat(False, len(self))
        return (any(value is not None for value in row) for row in zip(*found, strict=True))

    def by_user(self) -> bool:
        """Whether the rows of each user follow each other."""
        names = (name for name, _ in groupby(self.users))
        if not isinstance(self.users, DiskList):
            listed = list(names)
            return len(listed) == len(set(listed))
        seen = DiskSet()
        return all(seen.add(name) for name in names)

    def has_each_query_once(self) -> bool:
        """Whether no two rows are of the same query."""
        if not self.by_user():
            return len(set(self.places)) == len(self)
        for _, rows in groupby(zip(self.users, self.queries, strict=True), itemgetter(0)):
            queries = [query for _, query in rows]
            if len(set(queries)) < len(queries):
                return False
        return True

    def has_same_places(self, other: "ScoreTable") -> bool:
        """Whether both are of the same queries, in one order."""
        return _equal_columns(self.users, other.users) and _equal_columns(
            self.queries, other.queries
        )

    def __eq__(self, other: object) -> bool:
        """Whether both have the same values, wherever these are."""
        if not isinstance(other, ScoreTable):
            return NotImplemented
        return (
            self.columns.keys() == other.columns.keys()
            and self.has_same_places(other)
            and all(_equal_columns(c, other.columns[name]) for name, c in self.columns.items())
        )

    __hash__ = None  # type: ignore[assignment]

    def __len__(self) -> int:
        return len(self.users)

    @overload
    def __getitem__(self, row: int) -> Mapping[str, Any]: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[Mapping[str, Any]]: ...
    def __getitem__(self, row: int | slice) -> Mapping[str, Any] | Sequence[Mapping[str, Any]]:
        if isinstance(row, slice):
            return [self[index] for index in range(*row.indices(len(self)))]
        values = {name: column[row] for name, column in self.columns.items()}
        return {"user": self.users[row], "query": self.queries[row], **values}

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        columns = {"user": self.users, "query": self.queries, **self.columns}
        return (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))


def _equal_columns(one: Sequence[Any], other: Sequence[Any]) -> bool:
    return len(one) == len(other) and all(map(eq, one, other))

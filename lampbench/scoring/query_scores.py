"""Scores by query in eight bytes each: metrics and runs share the ids of their queries."""

import math
from array import array
from collections.abc import ItemsView, Iterable, Iterator, Mapping, Sequence, ValuesView
from functools import cached_property
from hashlib import sha256
from operator import sub
from weakref import WeakValueDictionary

from lampbench.plugin.metric import Value
from lampbench.scoring.aggregate import mean
from lampbench.scoring.score_table import Place, ScoreTable
from lampbench.util.errors import LampbenchError


class Places:
    """Places in their order, and how to put a column of values into it."""

    def __init__(self, places: Iterable[Place]) -> None:
        given = list(places)
        self._rows = array("q", sorted(range(len(given)), key=given.__getitem__))
        self.ordered = tuple(given[row] for row in self._rows)

    @cached_property
    def numbers(self) -> Mapping[Place, int]:
        """The number of each place in the order."""
        return {place: number for number, place in enumerate(self.ordered)}

    def put_in_order(self, column: Iterable[Value]) -> "array[float]":
        """The values of places that were given, in the order of places; NaN for None."""
        values = array("d", (math.nan if value is None else float(value) for value in column))
        return array("d", map(values.__getitem__, self._rows))


_KNOWN: WeakValueDictionary[bytes, Places] = WeakValueDictionary()


def places_of(table: ScoreTable) -> Places:
    """The places of a table: one object for all tables with the same rows of queries."""
    found = sha256()
    for place in zip(table.users, table.queries, strict=True):
        found.update(repr(place).encode())
    places = _KNOWN.get(found.digest())
    if places is None:
        places = Places(zip(table.users, table.queries, strict=True))
        _KNOWN[found.digest()] = places
    return places


class QueryScores(Mapping[Place, float]):
    """Scores by (user, query), in order of both; `values` are those of all places, NaN for none."""

    def __init__(self, places: Places, values: "array[float]") -> None:
        self._places = places
        self._values = values
        self._count = sum(value == value for value in values)  # NaN is not

    def __getitem__(self, place: Place) -> float:
        value = self._values[self._places.numbers[place]]
        if math.isnan(value):
            raise KeyError(place)
        return value

    def __iter__(self) -> Iterator[Place]:
        return (place for place, _ in self._pairs())

    def __len__(self) -> int:
        return self._count

    def items(self) -> ItemsView[Place, float]:
        """The pairs of a place and its score, in order."""
        return _Items(self)

    def values(self) -> ValuesView[float]:
        """The scores in the order of their places."""
        return _Values(self)

    def _pairs(self) -> Iterator[tuple[Place, float]]:
        pairs = zip(self._places.ordered, self._values, strict=True)
        return (pair for pair in pairs if pair[1] == pair[1])

    def minus(self, other: "QueryScores") -> "QueryScores | None":
        """The differences, of two tables that have scores of the same queries; else None."""
        if self._places is not other._places:
            return None
        found = QueryScores(self._places, array("d", map(sub, self._values, other._values)))
        return found if len(found) == len(self) == len(other) else None

    @classmethod
    def mean(cls, tables: "Sequence[QueryScores]") -> "QueryScores":
        """Each query's mean over the tables that have it."""
        if len(tables) == 1:
            return tables[0]
        places = tables[0]._places if tables else Places(())
        columns = [table._values for table in tables]
        if any(table._places is not places for table in tables):
            places = Places(set().union(*tables))
            columns = [
                array("d", (table.get(place, math.nan) for place in places.ordered))
                for table in tables
            ]
        return cls(places, array("d", map(_mean_of_known, zip(*columns, strict=True))))


def score_differences(
    ours: Mapping[Place, float], theirs: Mapping[Place, float]
) -> Mapping[Place, float]:
    """Each query's score minus its score in another table; both have the same queries.

    Raises:
        LampbenchError: a query has a score in one of them only.
    """
    if isinstance(ours, QueryScores) and isinstance(theirs, QueryScores):
        found = ours.minus(theirs)
        if found is not None:
            return found
    if ours.keys() != theirs.keys():
        alone = len(ours.keys() - theirs.keys()), len(theirs.keys() - ours.keys())
        raise LampbenchError(
            f"scores of different queries cannot be compared: {alone[0]} are only in the first run "
            f"and {alone[1]} only in the second; run again what answers fewer, or score both again "
            "(lampbench score) with a metric that has a value of the same queries for both"
        )
    return {place: score - theirs[place] for place, score in ours.items()}


def _mean_of_known(values: Iterable[float]) -> float:
    known = [value for value in values if value == value]
    return mean(known) if known else math.nan


class _Items(ItemsView[Place, float]):
    _mapping: QueryScores

    def __iter__(self) -> Iterator[tuple[Place, float]]:
        return self._mapping._pairs()


class _Values(ValuesView[float]):
    _mapping: QueryScores

    def __iter__(self) -> Iterator[float]:
        return (value for _, value in self._mapping._pairs())

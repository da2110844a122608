"""Scores of queries that share their ids: what a dictionary for each metric would say."""

from random import Random

import pytest

from lampbench.scoring import ScoreTable
from lampbench.scoring.aggregate import mean
from lampbench.scoring.query_scores import Places, QueryScores, places_of, score_differences
from lampbench.util.errors import LampbenchError


def table(random, users, missing=0.2):
    """Rows in any order, and a column with gaps."""
    rows = [(f"user{n % users}", f"q{n}") for n in random.sample(range(60), 40)]
    values = tuple(None if random.random() < missing else random.random() for _ in rows)
    return ScoreTable(tuple(u for u, _ in rows), tuple(q for _, q in rows), {"a": values})


def scores(found):
    places = places_of(found)
    return QueryScores(places, places.put_in_order(found.columns["a"]))


def plain(found):
    pairs = zip(found.places, found.columns["a"], strict=True)
    return {place: value for place, value in sorted(pairs) if value is not None}


@pytest.fixture
def tables():
    random = Random(3)
    one, other = table(random, 7), table(random, 7)
    values = tuple(random.random() for _ in range(40))
    return [one, other, ScoreTable(one.users, one.queries, {"a": values})]


def test_they_are_a_mapping_in_order(tables):
    for one in tables:
        found, expected = scores(one), plain(one)
        assert list(found.items()) == list(expected.items()) and found == expected
        assert list(found) == list(expected) and list(found.values()) == list(expected.values())
        assert len(found) == len(expected) and found.keys() == expected.keys()
        assert all(found[place] == value for place, value in expected.items())
        without = [place for place in one.places if place not in expected]
        for place in (*without, ("user0", "none")):
            assert place not in found
            with pytest.raises(KeyError):
                found[place]


def test_tables_of_the_same_rows_share_their_places(tables):
    kept = [places_of(one) for one in tables]
    assert kept[0] is kept[2] and kept[0] is not kept[1]
    odd = [ScoreTable((user,), (query,), {}) for user, query in (("a', 'b", "c"), ("a", "b', 'c"))]
    assert places_of(odd[0]).ordered != places_of(odd[1]).ordered


@pytest.mark.parametrize("chosen", [[], [0], [0, 2], [0, 1], [2, 1, 0]])
def test_their_mean_is_over_the_tables_that_have_a_query(tables, chosen):
    found = QueryScores.mean([scores(tables[n]) for n in chosen])
    known = [plain(tables[n]) for n in chosen]
    expected = {
        place: mean([one[place] for one in known if place in one])
        for place in sorted(set().union(*known))
    }
    assert list(found.items()) == list(expected.items())


def test_differences_are_those_of_the_same_queries(tables):
    gaps, elsewhere, whole = map(scores, tables)
    less = QueryScores.mean([whole, gaps])
    found = whole.minus(less)
    assert dict(found) == {place: value - less[place] for place, value in whole.items()}
    assert whole.minus(gaps) is None and gaps.minus(whole) is None
    assert whole.minus(elsewhere) is None
    assert QueryScores(Places(()), Places(()).put_in_order(())) == {}


def test_differences_of_other_queries_are_refused(tables):
    gaps, elsewhere, whole = map(scores, tables)
    again = scores(table(Random(3), 7))
    assert list(score_differences(whole, plain(tables[2])).values()) == [0.0] * len(whole)
    assert list(score_differences(gaps, again).values()) == [0.0] * len(gaps)
    for one, other in ((whole, gaps), (gaps, whole), (dict(whole), elsewhere)):
        alone = len(one.keys() - other.keys()), len(other.keys() - one.keys())
        said = f"{alone[0]} are only in the first run and {alone[1]} only in the second"
        with pytest.raises(LampbenchError, match=said):
            score_differences(one, other)

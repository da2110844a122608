"""Retrievers: which past records a prompt quotes, and what they may see."""

from dataclasses import dataclass, replace

import pytest

from lampbench.core.dataset import Dataset, Record
from lampbench.execution.executor import Executor
from lampbench.execution.runner import execute
from lampbench.plugin import (
    BM25,
    Method,
    ProfileAugmented,
    RandomRecords,
    Recent,
    RetrievalAugmented,
    Retriever,
    nearest,
)
from lampbench.plugin.identity import identity
from lampbench.util.errors import LampbenchError
from tests.shared.fake_runs import Planner, RecordingEngine, person


@pytest.fixture
def context(planner: Planner) -> Executor:
    return planner("rag").executor


def quoted(context: Executor, retriever, user, item, k=2):
    prompting = RetrievalAugmented(k=k, retriever=retriever)
    return [record.id for record in prompting.quotes(context, user, item)]


def no_records(history, text, k):
    return []


class TestKeys:
    @pytest.mark.parametrize("kind", [RetrievalAugmented, ProfileAugmented])
    def test_the_default_retriever_has_no_place_in_keys(self, kind) -> None:
        assert identity(kind(k=3)) == identity(kind(k=3, retriever=BM25()))
        assert "retriever" not in str(identity(kind(k=3)))

    @pytest.mark.parametrize("kind", [RetrievalAugmented, ProfileAugmented])
    def test_any_other_retriever_has(self, kind) -> None:
        others = [BM25(), Recent(), RandomRecords(), no_records, nearest]
        keys = {str(identity(kind(k=3, retriever=one))) for one in others}
        assert len(keys) == len(others)

    def test_methods_that_differ_in_the_retriever_have_runs_of_their_own(self, planner) -> None:
        names = ("rag", "rag_recent", "rag_random")
        assert len({planner(name).folder.name for name in names}) == len(names)


class TestOrderOfTime:
    """A record's prompt, on which one may train, quotes only what came before it."""

    @pytest.mark.parametrize("retriever", [BM25(), Recent(), RandomRecords(), nearest])
    def test_a_record_is_never_shown_itself_nor_what_came_later(self, context, retriever) -> None:
        user = person("ann", records=5)
        for place, record in enumerate(user.history):
            found = quoted(context, retriever, user, record, k=9)
            assert set(found) <= {one.id for one in user.history[:place]}
            assert len(found) == place

    def test_a_retriever_is_given_nothing_else(self, context) -> None:
        user, seen = person("ann", records=4), []

        def watch(history, text, k):
            seen.append([record.id for record in history])
            return []

        quoted(context, watch, user, user.history[2])
        quoted(context, watch, user, user.queries[0])
        ids = [record.id for record in user.history]
        assert seen == [ids[:2], ids]


class TestBuiltIns:
    def test_recent_quotes_the_latest_first(self, context) -> None:
        user = person("ann", records=4)
        ids = [record.id for record in user.history]
        assert quoted(context, Recent(), user, user.queries[0]) == ids[:1:-1]
        assert quoted(context, Recent(), user, user.queries[0], k=0) == []
        assert quoted(context, Recent(), user, user.queries[0], k=9) == ids[::-1]

    def test_bm25_is_nearest(self, context) -> None:
        user = person("ann", records=4)
        for query in user.queries:
            assert quoted(context, BM25(), user, query) == quoted(context, nearest, user, query)

    def test_random_records_are_drawn_once_per_item_seed_and_user(self, planner) -> None:
        user, other = person("ann", records=9), person("bob", records=9)
        contexts = [planner("rag", seed=seed).executor for seed in (0, 1)]
        draws = [
            quoted(context, RandomRecords(), user, query, k=4)
            for context in contexts
            for query in user.queries
        ]
        again = quoted(contexts[0], RandomRecords(), user, user.queries[0], k=4)
        assert again == draws[0]
        assert len(set(map(tuple, draws))) == len(draws)
        assert all(len(set(one)) == 4 for one in draws)
        places = [int(name.rpartition("r")[2]) for name in draws[0]]
        theirs = quoted(contexts[0], RandomRecords(), other, other.queries[0], k=4)
        assert places != [int(name.rpartition("r")[2]) for name in theirs]

    def test_random_records_are_all_equally_likely(self, context) -> None:
        user = person("ann", records=5, queries=400)
        counts = dict.fromkeys((record.id for record in user.history), 0)
        for query in user.queries:
            for name in quoted(context, RandomRecords(), user, query, k=1):
                counts[name] += 1
        assert all(50 < count < 110 for count in counts.values()), counts


class TestFunctions:
    def test_a_function_gets_what_the_task_compares(self, context) -> None:
        user, asked = person("ann"), []

        def watch(history, text, k):
            asked.append((text, k))
            return history[:k]

        quoted(context, watch, user, user.queries[0], k=2)
        assert asked == [(context.task.query_text(user.queries[0]), 2)]

    @pytest.mark.parametrize(
        "wrong",
        [
            lambda history, text, k: [*history, *history],
            lambda history, text, k: [history[0], history[0]],
            lambda history, text, k: [Record("x", {}, "not theirs")],
        ],
        ids=["too many", "twice", "another's"],
    )
    def test_what_it_may_not_return_is_told(self, context, wrong) -> None:
        user = person("ann")
        with pytest.raises(LampbenchError, match="retriever <lambda> chose") as told:
            quoted(context, wrong, user, user.queries[0])
        assert "\n" not in str(told.value)

    def test_a_method_may_hold_one(self, planner, engine: RecordingEngine, tmp_path) -> None:
        class ByFunction(Method):
            title = "By a function"
            prompting = RetrievalAugmented(retriever=nearest)

        execute(planner(ByFunction), "lampbench", tmp_path / "a")
        first = [request.prompt for request in engine.generated]
        engine.generated.clear()
        execute(planner("rag"), "lampbench", tmp_path / "b")
        assert first == [request.prompt for request in engine.generated]


def test_a_part_of_ones_own_sees_context_and_user(planner, tmp_path, engine) -> None:
    @dataclass(frozen=True)
    class Shortest(Retriever):
        """The shortest past texts."""

        def rank(self, context, user, item, history, k):
            return sorted(history, key=lambda record: len(context.quote(record)))[:k]

    class Mine(Method):
        title = "Mine"
        prompting = RetrievalAugmented(k=1, retriever=Shortest())

    execute(planner(Mine), "lampbench", tmp_path / "results")
    assert engine.generated


def test_the_run_records_what_was_quoted(planner, dataset: Dataset, tmp_path) -> None:
    from lampbench.record.runs import load_runs

    execute(planner("rag_recent"), "lampbench", tmp_path / "results")
    (run,), _ = load_runs(tmp_path / "results")
    latest = {
        user.id: tuple(record.id for record in reversed(user.history))[:3]
        for user in dataset.test_users
    }
    assert all(row.quoted == latest[row.user] for row in run.predictions)


def test_a_task_says_what_is_compared(planner) -> None:
    context = planner("rag").executor
    task = context.task
    user = person("ann")
    record = replace(user.history[0], fields={"text": "apple"}, target="pear")
    assert task.record_text(record) == "apple pear"
    assert task.query_text(record) == "apple"

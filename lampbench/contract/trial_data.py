"""The task and the users that plugins are tried on: made up, small, the same in every process."""

import sys
from collections.abc import Callable
from random import Random

from lampbench.core.dataset import Dataset, Query, Record, User
from lampbench.core.task import Task
from lampbench.plugin.fault import plugin_frame
from lampbench.util.hashing import seed_from

SENTINEL = "zzqxj withheld zzqxj"
"""Stands where a reference was: no method can know it."""

_WORDS = (
    "old", "new", "town", "bridge", "harbour", "garden", "market", "river", "quiet", "early",
    "late", "letter", "morning", "winter", "summer", "author", "reader", "story", "house",
    "window", "street", "music", "paper", "stone", "light", "water", "field", "road",
)  # fmt: skip


class TrialTask(Task):
    """The title of a text, in the words of its author. No benchmark: plugins are tried on it."""

    name = "trial_task"
    title = "Trial"
    family = "lamp"
    fields = ("text",)
    target_name = "title"
    shorten = "text"
    system = "You write titles."
    template = "Write a title for this text.\ntext: {text}\ntitle:"
    example = "text: {text} title: {target}\n"
    max_new_tokens = 12


def trial_dataset(task: Task, edition: str = "", min_history: int = 1) -> Dataset:
    """Three test users and two training users of a task.

    Their histories differ in length (4, 1, 3), one id is no file name and one text has braces and
    accents. Another `edition` has the same users and ids with other texts. Nobody has fewer past
    records than `min_history`.
    """
    test = (
        _person(task, "ann", max(4, min_history), 2, edition),
        _person(task, "bob", min_history, 1, edition),
        _person(task, "../zoë {x}", max(3, min_history), 1, edition),
    )
    train = tuple(_person(task, f"other{i}", 2, 1, edition) for i in range(2))
    return Dataset(task.name, f"made up for checks {edition}".strip(), train, test, synthetic=True)


def _person(task: Task, name: str, records: int, queries: int, edition: str) -> User:
    def text(*parts: object, words: int) -> str:
        draw = Random(seed_from(name, edition, *parts))
        return " ".join(draw.choices(_WORDS, k=words)) + (" {né}" if parts[0] == "r1" else "")

    def fields(item: str) -> dict[str, str]:
        names = (*task.fields, *task.optional)
        return {field: text(item, field, words=6) for field in names}

    history = tuple(
        Record(f"{name}-r{i}", fields(f"r{i}"), text(f"r{i}", words=4), f"2024-01-{i + 1:02}")
        for i in range(records)
    )
    asked = tuple(
        Query(f"{name}-q{i}", fields(f"q{i}"), text(f"q{i}", words=4), f"2024-02-{i + 1:02}")
        for i in range(queries)
    )
    return User(name, history, asked)


def with_references(dataset: Dataset, reference: str | None) -> Dataset:
    """The same data with every reference of the test users replaced; None withholds them."""
    return _with_queries(
        dataset, lambda query: Query(query.id, query.fields, reference, query.date)
    )


def watched(dataset: Dataset, seen: set[str]) -> Dataset:
    """The same data; where code outside lampbench reads the reference of a test user's query, its
    `FILE:LINE` is added to `seen`.
    """

    class WatchedQuery(Query):
        __slots__ = ()

        def __getattribute__(self, name: str) -> object:
            if name == "reference" and (place := _place_of_a_plugin()):
                seen.add(place)
            return object.__getattribute__(self, name)

    return _with_queries(
        dataset, lambda query: WatchedQuery(query.id, query.fields, query.reference, query.date)
    )


def _place_of_a_plugin() -> str:
    """Where the code is that reads an attribute; empty if it is of lampbench or a library."""
    frame = sys._getframe(2)
    if plugin_frame(frame):
        return f"{frame.f_code.co_filename}:{frame.f_lineno}"
    return ""


def _with_queries(dataset: Dataset, change: Callable[[Query], Query]) -> Dataset:
    users = tuple(
        User(user.id, user.history, tuple(change(query) for query in user.queries), user.profile)
        for user in dataset.test_users
    )
    return Dataset(
        dataset.task, dataset.source, dataset.train_users, users, synthetic=dataset.synthetic
    )

"""Artifacts that are there are taken alike, whenever another process made them."""

import contextlib
from typing import Any

import pytest

from lampbench.execution.bookkeeping import Bookkeeping
from lampbench.execution.cache import Cache
from lampbench.execution.make_answers import build
from lampbench.util.progress import Progress

SECTIONS = ("task_sft", "user_sft")


@pytest.fixture
def taken(monkeypatch):
    """What is counted as made before, said to be cached, and looked through for left-overs."""
    seen: list[Any] = []

    def counted(self, recipe, owners):
        seen.append(("counted", recipe.section, sorted(owner.id for owner in owners)))

    def cached(self, stage, count, **place):
        seen.append(("cached", stage, count))

    def dropped(self, kind, keys):
        seen.append(("dropped", kind, sorted(keys)))

    monkeypatch.setattr(Bookkeeping, "reuse", counted)
    monkeypatch.setattr(Progress, "reuse", cached)
    monkeypatch.setattr(Cache, "drop_finished", dropped)
    return seen


def made_by_another(planner, section):
    """Another process makes a stage, and what is behind it."""
    plan = planner("oppu")
    for stage in plan.stages[: SECTIONS.index(section) + 1]:
        build(plan, stage)


@pytest.mark.parametrize("section", SECTIONS)
def test_before_the_lock_and_behind_it(planner, taken, monkeypatch, tmp_path, section):
    """Made before this process looks, and while it waits for the lock."""
    plan = planner("oppu")
    stage = plan.stages[SECTIONS.index(section)]
    lock = Cache.lock

    @contextlib.contextmanager
    def waited(self, *arguments):
        monkeypatch.setattr(Cache, "lock", lock)
        made_by_another(planner, section)
        taken.clear()
        with lock(self, *arguments):
            yield

    monkeypatch.setattr(Cache, "lock", waited)
    assert build(plan, stage) == len(stage.owners)
    behind = list(taken)
    taken.clear()
    # a folder, so that left-overs are looked for without the lock, too
    (tmp_path / "cache" / "partial" / section / "other").mkdir(parents=True)
    assert build(planner("oppu"), stage) == len(stage.owners)
    assert sorted(map(str, taken)) == sorted(map(str, behind))
    assert {what for what, *_ in behind} == {"counted", "cached", "dropped"}
    assert (section, sorted(owner.id for owner in stage.owners)) in [one[1:] for one in behind]

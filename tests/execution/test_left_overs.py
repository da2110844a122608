"""What killed processes leave behind is gone after the next command, or after `forget`."""

import os
import time

import pytest

from lampbench.execution.executor import PREDICTIONS
from lampbench.execution.runner import execute
from lampbench.record.recorded_run import read_run
from lampbench.util.atomic import replace
from lampbench.util.lock import hold
from tests.shared.fake_runs import Killed


@pytest.fixture
def partial(tmp_path):
    """The names below the folder of unfinished work."""

    def names():
        folder = tmp_path / "cache" / "partial"
        return sorted(str(path.relative_to(folder)) for path in folder.glob("*/*"))

    return names


def run(plan, tmp_path, **options):
    return execute(plan, "lampbench run", tmp_path / "results", **options)


def test_the_journals_of_a_recorded_run_are_dropped_by_the_next_command(
    planner, engine, partial, tmp_path
):
    """Killed after the run was recorded, and killed in a second recording."""
    plan = planner("base")
    key = plan.folder.name
    run(plan, tmp_path)
    recorded = read_run(plan.folder).predictions
    assert partial() == []
    engine.budget = 3
    with pytest.raises(Killed):
        run(planner("base"), tmp_path, force=True)
    assert partial() == [f"{PREDICTIONS}/{key}"]
    engine.budget = None
    run(planner("base"), tmp_path)
    assert partial() == []
    assert read_run(plan.folder).predictions == recorded


def test_journals_that_another_process_is_writing_stay(planner, engine, partial, tmp_path):
    plan = planner("base")
    run(plan, tmp_path)
    engine.budget = 3
    with pytest.raises(Killed):
        run(planner("base"), tmp_path, force=True)
    lock = tmp_path / "cache" / "locks" / f"run-{plan.folder.name}"
    with hold(lock, "answers", print):
        run(planner("base"), tmp_path)
        assert partial() == [f"{PREDICTIONS}/{plan.folder.name}"]


def test_unfinished_work_on_finished_artifacts_is_dropped_by_the_next_command(
    planner, engine, partial, tmp_path
):
    plan = planner("oppu")
    executor = plan.executor
    engine.budget = 3  # the task's adapter and two users'
    with pytest.raises(Killed):
        run(plan, tmp_path)
    left = partial()
    for stage in plan.stages:
        for owner in stage.made(executor):
            executor.cache.partial(stage.name, executor.keys.of(stage.recipe, owner))
    assert len(partial()) == len(left) + 3
    engine.budget = None
    run(planner("oppu"), tmp_path)
    assert partial() == []


def test_finished_adapters_are_taken_while_another_process_makes_others(
    planner, engine, partial, tmp_path
):
    """Of other users, say, under the same lock; then nothing is cleared away either."""
    first = planner("oppu")
    run(first, tmp_path)
    stage, keys = first.stages[-1], first.executor.keys
    for owner in stage.made(first.executor):
        first.executor.cache.partial(stage.name, keys.of(stage.recipe, owner))
    left = partial()
    lock = tmp_path / "cache" / "locks" / keys.shared(stage.recipe)

    def wait(text):
        raise AssertionError(text)

    with hold(lock, stage.name, print):
        plan = planner("oppu_head")
        plan.executor.cache.say = wait
        run(plan, tmp_path)
        assert partial() == left != []
    run(planner("oppu_cd"), tmp_path)
    assert partial() == []


def test_stale_temporary_files_are_removed_when_their_file_is_written(tmp_path):
    stale, live, other = (tmp_path / name for name in
                          (".a.json.01234567", ".a.json.89abcdef", ".b.json.01234567"))  # fmt: skip
    then = time.time() - 7200
    for file in (stale, live, other):
        file.write_text("begun")
        if file != live:
            os.utime(file, (then, then))
    replace(tmp_path / "a.json", b"1")
    assert sorted(path.name for path in tmp_path.iterdir()) == [live.name, other.name, "a.json"]

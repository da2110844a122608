"""A run over many users: the same bytes as over few at a time, and little memory per user."""

import json
import shutil
import tracemalloc

import pytest

from lampbench.core.dataset import Dataset, Query, Record, User
from lampbench.data import users_on_disk
from lampbench.engine.protocol import Completion
from lampbench.execution import make_answers
from lampbench.execution.runner import execute
from lampbench.record import columns, gzip_text, table_files, write
from lampbench.record.import_export import export_predictions
from lampbench.record.recorded_run import Run, read_run
from lampbench.registry import Registry
from lampbench.scoring import PredictionRow, ScoreTable, score_in_processes
from lampbench.util import disk_list
from tests.shared.recorded import record_rows

TASK = Registry().task("news_headline")
LENGTH = 3_000
"""Characters of ids, texts and answers: what must not be in memory for all users at once."""
MOST = 2_000
"""Bytes of memory per further user: less than one of their texts."""


def person(name):
    past = Record(f"{name}-p", {"text": f"{name} text"}, f"past of {name}")
    query = Query(f"{name}-q", {"text": f"query of {name}"}, f"news of {name}")
    return User(name, (past,), (query,))


def recorded(folder):
    found = {
        name: (folder / name).read_bytes() for name in ("predictions.json.gz", "scores.json.gz")
    }
    manifest = json.loads((folder / "manifest.json").read_text())
    costs = [{k: v for k, v in stage.items() if k != "seconds"} for stage in manifest["stages"]]
    return found, costs, manifest["prompt_head"], manifest["dataset"], manifest["scores"]


@pytest.fixture
def small_parts(monkeypatch):
    """Makes everything that is in parts when there is much of it be in parts for a few users."""

    def make_small(users):
        monkeypatch.setattr(users_on_disk, "IN_MEMORY", users)
        monkeypatch.setattr(make_answers, "AT_ONCE", users)
        monkeypatch.setattr(disk_list, "_TOGETHER", users)
        monkeypatch.setattr(disk_list, "FEW", users)
        monkeypatch.setattr(table_files, "PARSED_AT_ONCE", 1_000)
        monkeypatch.setattr(score_in_processes, "SCORES_IN_MEMORY", users)
        monkeypatch.setattr(columns, "_ROWS", users)
        monkeypatch.setattr(columns, "_IN_MEMORY", 16)
        monkeypatch.setattr(write, "_IN_MEMORY", 16)

    return make_small


@pytest.mark.parametrize("method", ["base", "rag", "cope", "oppu_mean"])
def test_users_on_disk_in_groups_record_the_same_bytes(planner, tmp_path, small_parts, method):
    people = [person(f"user{number}") for number in range(9)]
    train = (person("train"),)

    def record(users, cache):
        data = Dataset("news_headline", "a test", train, users)
        folder = execute(planner(method, data=data, cache=cache), "test", tmp_path / "results")
        found = recorded(folder)
        shutil.rmtree(tmp_path / "results")
        return found

    expected = record(tuple(people), "memory")
    small_parts(2)
    assert record(users_on_disk.held(people), "disk") == expected


def test_memory_does_not_grow_with_the_users(planner, tmp_path, monkeypatch, small_parts, engine):
    def answers(requests):
        for request in requests:
            yield Completion(request.id, 0, "x" * LENGTH, (1, 2, 3), 7, (0, 5), 0, False)

    monkeypatch.setattr(engine, "generate", answers)
    small_parts(20)
    # other processes are given some ahead
    monkeypatch.setattr(score_in_processes, "usable_cores", lambda: 1)
    monkeypatch.setattr(columns, "_CHUNK", 2**10)
    for module in (gzip_text, columns, write):
        monkeypatch.setattr(module, "BLOCK", 2**12)

    def peak(count):
        sizes = []
        for number in range(2):  # in one of them the interpreter's own table of names may grow
            tracemalloc.start()
            users = users_on_disk.held(person(f"{n:0{LENGTH}}") for n in range(count))
            data = Dataset("news_headline", "a test", (person("train"),), users)
            execute(planner("base", data=data, cache=f"{count}-{number}"), "", tmp_path / "results")
            sizes.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
            shutil.rmtree(tmp_path / "results")
        return min(sizes)

    # not fewer than two groups: one is let go when the next has been read
    few, many = peak(60), peak(180)
    assert (many - few) / 120 < MOST


def test_reading_takes_no_memory_per_user(tmp_path, monkeypatch, small_parts):
    small_parts(20)
    monkeypatch.setattr(gzip_text, "BLOCK", 2**12)

    def peaks(count):
        names = [f"{n:0{LENGTH}}" for n in range(count)]
        rows = [PredictionRow(name, f"{name}q", "x" * LENGTH, "y" * LENGTH) for name in names]
        scores = ScoreTable(names, [row.query for row in rows], {"reference_words": [1] * count})
        texts = {"text": "z" * LENGTH}
        folder = record_rows(tmp_path / str(count), rows, scores, fields=texts, history=texts).path
        del names, rows, scores
        found = {}
        for part in ("scores", "predictions", "asked", "past_records", "exported"):
            tracemalloc.start()
            run = read_run(folder)
            if part == "exported":
                export_predictions(run, TASK, tmp_path / f"{count}.json")
            else:
                assert sum(1 for _ in getattr(run, part)) == count
            found[part] = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return found

    few, many = peaks(60), peaks(180)
    assert {part: grown for part in few if (grown := (many[part] - few[part]) / 120) >= MOST} == {}


def test_a_run_again_reads_no_answer_unless_rewards_are_asked_for(planner, tmp_path, monkeypatch):
    plan = planner("base")
    folder = execute(plan, "", tmp_path / "results")
    read: list[Run] = []
    monkeypatch.setattr(Run, "predictions", property(read.append))
    monkeypatch.setattr(Run, "scores", property(read.append))
    assert execute(planner("base"), "", tmp_path / "results") == folder and read == []

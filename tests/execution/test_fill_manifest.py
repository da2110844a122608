"""What a manifest says beyond its numbers."""

import pytest

from lampbench.execution.runner import execute
from lampbench.record.recorded_run import read_run

SPREADS = ("train_in", "train_out", "profile", "profile_in", "profile_out")


def manifest(plan):
    return read_run(execute(plan, "lampbench run", plan.folder.parents[3])).manifest


def test_the_data_are_described_as_in_table_4(planner, dataset):
    found = manifest(planner("base")).dataset.statistics
    assert found.unit == "word"
    assert found.train == sum(len(user.queries) for user in dataset.train_users)
    lengths = [len(user.history) for user in dataset.test_users]
    assert found.profile.mean == pytest.approx(sum(lengths) / len(lengths))
    records = [record for user in dataset.test_users for record in user.history]
    words = [len(record.target.split()) for record in records]
    assert found.profile_out.mean == pytest.approx(sum(words) / len(words))
    assert all(getattr(found, name).count > 0 for name in SPREADS)


def test_method_parts_are_named(planner):
    found = manifest(planner("cope")).method_parts
    tam = {"part": "task_sft"}
    assert found["prompting"] == {"part": "plain"}
    assert found["decoding"] == {"part": "contrastive", "against": tam}
    assert found["adaptation"]["part"] == "user_dpo"
    assert found["adaptation"]["start"] == {"part": "user_sft", "start": tam}
    assert found["adaptation"]["negatives"]["part"] == "lowest_reward"
    assert manifest(planner("base")).method_parts["adaptation"] is None

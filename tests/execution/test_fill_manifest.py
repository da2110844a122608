"""What a manifest says beyond its numbers."""

import pytest

from lampbench.execution.runner import execute
from lampbench.record.recorded_run import read_run
from lampbench.report.draws import draws

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


PLUGIN = """
from dataclasses import dataclass, replace
from typing import ClassVar

from lampbench.plugin import (
    Greedy, Method, Prediction, RetrievalAugmented, Retriever, Sampling, register_method
)

@dataclass(frozen=True)
class MyRetriever(Retriever):
    name: ClassVar = "recent"

    def rank(self, context, user, item, history, k):
        return sorted(history, key=lambda one: hash((context.seed, one.id)))[:k]

@register_method("with_part")
class WithPart(Method):
    prompting = RetrievalAugmented(retriever=MyRetriever())

@register_method("steady")
class Steady(Method):
    decoding = Greedy()

@register_method("with_requests")
class WithRequests(Method):
    def requests(self, context, user):
        sampling = Sampling(1.0, 1.0)
        return [replace(one, spec=replace(one.spec, sampling=sampling))
                for one in super().requests(context, user)]

@register_method("with_predict")
class WithPredict(Method):
    def predict(self, context, users):
        for user in users:
            for query in user.queries:
                yield Prediction(user.id, query.id, str(context.seed))

@register_method("inherited")
class Inherited(WithPredict):
    pass
"""


@pytest.mark.parametrize(
    ("method", "drawn"),
    [
        ("steady", False),
        ("base", False),
        ("copy_recent", False),
        ("rag_recent", False),
        ("with_part", True),
        ("with_requests", True),
        ("with_predict", True),
        ("inherited", True),
    ],
)
def test_what_a_plugin_may_draw_is_not_taken_for_steady(method, drawn, planner, tmp_path):
    """Of a method that draws nothing, tables show one seed for all."""
    plugin = tmp_path / "my_plugin.py"
    plugin.write_text(PLUGIN)
    plan = planner(method, plugins=[plugin])
    assert draws(read_run(execute(plan, "lampbench run", plan.folder.parents[3]))) == drawn

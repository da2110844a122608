"""What a plugin can know of the run that executes it."""

import pytest

from lampbench.engine.models import resolve_model
from lampbench.execution.runner import execute
from lampbench.record.recorded_run import read_run

PLUGIN = """
from lampbench.plugin import Method, Prediction, register_method

@register_method("curious")
class Curious(Method):
    title = "Curious"
    def predict(self, context, users):
        seen = (context.dtype, context.device, context.chat_template, context.seed)
        for user in users:
            for query in user.queries:
                yield Prediction(user.id, query.id, f"{seen} {sorted(context.options.items())}")
"""


def test_a_method_reads_how_the_model_is_run(planner, tmp_path):
    plugin = tmp_path / "curious.py"
    plugin.write_text(PLUGIN)
    plan = planner("curious", plugins=[plugin], seed=7)
    execute(plan, "lampbench run", tmp_path / "results")
    said = read_run(plan.folder).predictions[0].prediction
    expected = {
        "batch_size": 3, "chat_template": None, "device": "cpu", "dtype": "float32",
        "engine": "batched", "fidelity": "paper",
        "location": resolve_model("bundled").location, "private": False, "revision": None,
        "rewards": False, "seed": 7,
    }  # fmt: skip
    assert said == f"{('float32', 'cpu', None, 7)} {list(expected.items())}"


def test_a_device_that_is_not_chosen_yet_is_the_one_that_will_be(planner, monkeypatch):
    from lampbench.engine import load_model

    executor = planner("base").executor
    monkeypatch.setattr(executor.engines, "device", lambda *_: "auto")
    monkeypatch.setattr(load_model, "choose_device", lambda asked: "cuda:1")
    assert executor.device == "cuda:1"


def test_options_cannot_be_changed(planner):
    with pytest.raises(TypeError):
        planner("base").executor.options["seed"] = 3

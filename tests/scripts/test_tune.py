"""The script that tunes presets: every part can be begun, and methods get values that they have."""

import pytest

from lampbench.execution.options import resolve_method
from lampbench.plugin.hyperparameter import parse_set, reject_unknown
from lampbench.registry import Registry
from scripts import tune


@pytest.mark.parametrize("name", tune.PARTS)
def test_each_step_sets_what_its_method_has_and_no_later_step_tunes(name):
    part = tune.PARTS[name]
    chosen = dict(part.start)
    for method, path, values in part.steps:
        given = dict(map(parse_set, tune.settled(part, chosen, method, path)))
        for task in part.tasks:
            made, where = Registry().method(method), Registry().task(task)
            _, known = resolve_method(made, where, part.preset, given)
            reject_unknown(given, set(known))
        assert path not in given and given.keys() <= chosen.keys()
        chosen[path] = values[0]


def test_a_first_value_that_no_step_tunes_is_given_to_the_methods_that_have_it():
    part = tune.PARTS["smollm2-135m-long"]
    chosen = {"user_sft.batch_size": 4, "decoding.repetition_penalty": 1.2}
    assert tune.settled(part, chosen, "tam", "decoding.repetition_penalty") == []
    assert tune.settled(part, chosen, "oppu_cd", "decoding.alpha") == [
        "user_sft.batch_size=4", "decoding.repetition_penalty=1.2"
    ]  # fmt: skip


def test_methods_do_not_get_what_is_tuned_on_a_later_one():
    part = tune.PARTS["lamp"]
    chosen = {"task_sft.learning_rate": 0.002, "user_sft.batch_size": 4, "decoding.alpha": 0.3}
    assert tune.settled(part, chosen, "tam", "decoding.repetition_penalty") == [
        "task_sft.learning_rate=0.002"
    ]
    assert tune.settled(part, chosen, "cope", "decoding.alpha") == [
        "task_sft.learning_rate=0.002", "user_sft.batch_size=4"
    ]  # fmt: skip

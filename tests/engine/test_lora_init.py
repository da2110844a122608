"""New adapters: the layers they sit on, and their initial values."""

import dataclasses

import pytest
import torch
from safetensors.torch import load_file

from tests.engine.engine_inputs import OPTIM, TASK_LORA, USER_LORA, job, no_hook
from tests.engine.trained import WEIGHTS


def test_a_new_adapter_is_initialised_as_in_peft(engine, adapters, tmp_path):
    """A is Kaiming-uniform and B zero, so that the model is not changed yet."""
    still = dataclasses.replace(OPTIM, learning_rate=0.0)
    asked, other = job(tmp_path, "u", optim=still), job(tmp_path, "v", optim=still, seed=4)
    list(engine().train([asked, other], no_hook))
    assert (asked.output / WEIGHTS).read_bytes() != (other.output / WEIGHTS).read_bytes()
    for name, tensor in load_file(asked.output / WEIGHTS).items():
        if "lora_B" in name:
            assert not tensor.any()
        else:  # uniform within 1 / sqrt(inputs), as kaiming with a = sqrt(5) has it
            bound = tensor.shape[1] ** -0.5
            assert 0.8 * bound < tensor.abs().max() <= bound
            assert tensor.std() == pytest.approx(bound / 3**0.5, rel=0.2)


def test_training_continues_the_adapter_it_starts_from(engine, adapters, tmp_path):
    """At rate zero the result is the start, value by value."""
    tam, user, _ = adapters()
    still = dataclasses.replace(OPTIM, learning_rate=0.0)
    asked = job(tmp_path, "u", frozen=(tam,), start=user, optim=still)
    list(engine().train([asked], no_hook))
    ours, theirs = load_file(asked.output / WEIGHTS), load_file(user / WEIGHTS)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_vision_layers_get_no_adapter(adapters, merged_model):
    tam, _, _ = adapters("gemma-vision")
    names = load_file(tam / WEIGHTS)
    assert names
    assert all("language_model" in name for name in names)
    vision = [n for n, _ in merged_model("gemma-vision").named_modules() if n.endswith("q_proj")]
    assert any("vision" in name for name in vision)  # the model has some


def test_task_lora_sits_on_all_four_projections(adapters):
    tam, user, _ = adapters()
    for path, lora in ((tam, TASK_LORA), (user, USER_LORA)):
        kinds = {name.split(".")[-3] for name in load_file(path / WEIGHTS)}
        assert kinds == set(lora.targets)

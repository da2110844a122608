"""A device without enough memory: smaller batches, the same results; simulated."""

import dataclasses

import pytest
import torch
from given import OPTIM, USER_LORA, job, no_hook, preferences, prompt
from safetensors.torch import load_file

from lampbench.engine import generation, training
from lampbench.engine.protocol import DPOSpec, GenerateRequest, GenerationSpec
from lampbench.errors import LampbenchError

STILL = dataclasses.replace(USER_LORA, dropout=0.0)


def ask(n, weights, spec):
    return GenerateRequest(f"q{n}", prompt(n), weights, spec)


def answers(engine, requests):
    return {c.id: c for c in engine.generate(requests)}


def tensors(asked):
    return load_file(asked.output / "adapter_model.safetensors")


def test_out_of_memory_halves_the_batch(engine, adapters, monkeypatch):
    tam, _, _ = adapters()
    requests = [ask(n, (tam,), GenerationSpec(8)) for n in range(7)]
    expected = answers(engine(), requests)
    sizes = []

    def small(user, base, spec, rows, stop, pad):
        sizes.append(len(rows))
        if len(rows) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return generation.decode(user, base, spec, rows, stop, pad)

    monkeypatch.setattr("lampbench.engine.hf.decode", small)
    assert answers(engine(), requests) == expected
    assert sizes == [7, 3, 1, 1, 1, 1, 1, 1, 1]


def test_out_of_memory_on_one_row_is_said(engine, monkeypatch):
    def never(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("lampbench.engine.hf.decode", never)
    with pytest.raises(LampbenchError, match=r"does not hold one sequence of \d+ tokens"):
        list(engine().generate([ask(n, (), GenerationSpec(8)) for n in range(3)]))


def test_other_errors_are_not_taken_for_memory(engine, monkeypatch):
    def broken(*_):
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr("lampbench.engine.hf.decode", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        list(engine().generate([ask(0, (), GenerationSpec(8))]))


@pytest.mark.parametrize("kind", ["sft", "dpo"])
def test_out_of_memory_halves_the_batch_to_the_same_result(
    engine, adapters, tmp_path, monkeypatch, kind
):
    """The first batch fits neither whole nor, once half of it is done, in halves."""
    tam, user, _ = adapters()
    optim = dataclasses.replace(OPTIM, batch_size=6)
    given = {"lora": STILL, "frozen": (tam,), "optim": optim}
    if kind == "dpo":
        given |= {"data": preferences(), "start": user, "dpo": DPOSpec(0.5, (tam,))}
    whole, parts = job(tmp_path, "whole", **given), job(tmp_path, "parts", **given)
    (expected,) = engine().train([whole], no_hook)
    measure, rows = training.response_logprobs, 2 if kind == "dpo" else 1
    sizes = []

    def small(model, prompts, *rest):
        sizes.append(len(prompts) // rows)
        if sizes[-1] > 3 or len(sizes) == 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return measure(model, prompts, *rest)

    monkeypatch.setattr(training, "response_logprobs", small)
    (result,) = engine().train([parts], no_hook)
    assert sizes == [6, 3, 3, *[1] * 12]
    assert result.losses == pytest.approx(expected.losses, abs=1e-4)
    assert result.margins == pytest.approx(expected.margins, abs=1e-4)
    ours, theirs = tensors(parts), tensors(whole)
    assert all(torch.allclose(ours[key], theirs[key], atol=2e-3) for key in ours)


def test_recomputed_activations_give_the_same_result(engine, tmp_path, monkeypatch):
    plain, again = job(tmp_path, "plain"), job(tmp_path, "again")
    calls = []
    layer = engine()._model.model.layers[0].mlp
    hook = layer.register_forward_pre_hook(lambda *_: calls.append(1))
    (expected,) = engine().train([plain], no_hook)
    assert len(calls) == 4
    monkeypatch.setattr(training, "_LARGE", 0)
    (result,) = engine().train([again], no_hook)
    hook.remove()
    assert len(calls) == 4 + 2 * 4
    assert result.losses == pytest.approx(expected.losses, abs=1e-5)
    ours, theirs = tensors(again), tensors(plain)
    assert all(torch.allclose(ours[key], theirs[key], atol=1e-4) for key in ours)
    assert not engine()._model.is_gradient_checkpointing

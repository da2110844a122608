"""Training: equal to transformers' Trainer, repeatable to the byte, nothing else changed."""

import dataclasses
import random
import re

import numpy as np
import pytest
import torch

from lampbench.core.prompt import Piece, Prompt
from lampbench.engine.batched.batch_size import BatchPlanner
from lampbench.engine.protocol import DPOSpec, SFTExample, TrainFailure
from lampbench.engine.training_schedule import batch_indices
from lampbench.util.errors import LampbenchError
from tests.engine.engine_inputs import (
    MODELS,
    OPTIM,
    STILL,
    TASK_LORA,
    USER_LORA,
    examples,
    job,
    no_hook,
    preferences,
    prompt,
)
from tests.engine.trained import apart, encoded, saved, tensors


def numpy_state():
    return np.random.get_state(legacy=False)["state"]["key"].tolist()


@pytest.mark.parametrize("name", MODELS)
def test_training_equals_transformers_trainer(engine, merged_model, adapters, tmp_path, name):
    """A user's LoRA on merged TAM: losses and weights, on the same batches, without dropout."""
    from datasets import Dataset
    from peft import PeftModel
    from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments

    tam, user, _ = adapters(name)
    made = engine(name)
    asked = job(tmp_path, "u", adapter=STILL, frozen=(tam,), start=user)
    (result,) = made.train([asked], no_hook)

    rows, pairs = [], encoded(made, asked)
    for step in range(4):
        for i in batch_indices(asked.optim, len(pairs), asked.seed, step):
            question, (response,) = pairs[i]
            ids = [*question, *response]
            labels = [-100] * len(question) + response
            rows.append({"input_ids": ids, "attention_mask": [1] * len(ids), "labels": labels})
    model = PeftModel.from_pretrained(merged_model(name, tam), str(user), is_trainable=True)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    arguments = TrainingArguments(
        output_dir=str(tmp_path / "hf"), per_device_train_batch_size=3, num_train_epochs=1,
        train_sampling_strategy="sequential", learning_rate=OPTIM.learning_rate,
        weight_decay=0.01, warmup_steps=1, max_grad_norm=0.3, lr_scheduler_type="linear",
        logging_steps=1, report_to=[], save_strategy="no", use_cpu=True, disable_tqdm=True,
    )  # fmt: skip
    tokens = made._encoder.tokenizer
    tokens.padding_side, tokens.pad_token = "right", tokens.pad_token or tokens.eos_token
    Trainer(model, arguments, DataCollatorForSeq2Seq(tokens), Dataset.from_list(rows)).train()
    model.save_pretrained(tmp_path / "theirs")
    ours = tensors(asked.output)
    moved = apart(ours, tensors(user))
    assert moved > 1e-2
    assert apart(ours, tensors(tmp_path / "theirs")) < 0.02 * moved
    assert len(result.losses) == 4


def test_the_loss_is_the_mean_over_the_response_tokens(engine, merged_model, tmp_path):
    asked = job(tmp_path, "u", data=examples(3), adapter=STILL)
    (result,) = engine().train([asked], no_hook)
    losses = []
    # B is zero at the start: the first loss is the base model's
    for question, (response,) in encoded(engine(), asked):
        ids = [*question, *response]
        with torch.no_grad():
            logs = merged_model("llama")(torch.tensor([ids])).logits[0].log_softmax(-1)
        losses += [-float(logs[p - 1, ids[p]]) for p in range(len(question), len(ids))]
    assert result.losses[0] == pytest.approx(sum(losses) / len(losses), abs=1e-4)


def test_training_learns(engine, tmp_path):
    optim = dataclasses.replace(OPTIM, epochs=8)
    (result,) = engine().train([job(tmp_path, "u", optim=optim)], no_hook)
    assert result.losses[-1] < result.losses[0] - 1
    assert result.steps == 16
    assert result.margins == ()


def test_the_same_seed_gives_the_same_bytes_whoever_trained_before(engine, adapters, tmp_path):
    tam, _, _ = adapters()
    first = job(tmp_path, "a", frozen=(tam,), seed=4)
    other = job(tmp_path, "b", frozen=(tam,), seed=5)
    again = job(tmp_path, "c", frozen=(tam,), seed=4)
    list(engine().train([first], no_hook))
    list(engine().train([other], no_hook))
    torch.rand(17)
    list(engine().train([again], no_hook))
    assert saved(first) == saved(again)
    assert saved(first) != saved(other)
    configs = [(j.output / "adapter_config.json").read_bytes() for j in (first, again)]
    assert configs[0] == configs[1]


def test_another_interpreter_gives_the_same_bytes(
    engine, engine_device, model_folder, tmp_path, python
):
    """Neither hash seeds nor what was loaded before matter."""
    asked = job(tmp_path, "a", adapter=TASK_LORA)
    list(engine().train([asked], no_hook))
    code = f"""
from pathlib import Path
import torch; torch.set_num_threads(1)
from tests.engine.engine_inputs import TASK_LORA, job, no_hook
from lampbench.engine.batched.engine import BatchedEngine
from lampbench.core.fidelity import PAPER
from lampbench.engine.models import resolve_model
engine = BatchedEngine(resolve_model({str(model_folder("llama"))!r}), device={engine_device!r},
                  dtype="float32", chat_template=None, fidelity=PAPER)
list(engine.train([job(Path({str(tmp_path)!r}), "b", adapter=TASK_LORA)], no_hook))
"""
    run = python("-c", code, PYTHONHASHSEED="77")
    assert run.returncode == 0, run.stderr
    assert (run.stdout, run.stderr) == ("", "")
    other = dataclasses.replace(asked, output=tmp_path / "b" / "adapter")
    assert saved(asked) == saved(other)
    configs = [(j.output / "adapter_config.json").read_bytes() for j in (asked, other)]
    assert configs[0] == configs[1]


def test_dropout_acts_in_training_and_only_on_the_trained_adapter(engine, adapters, tmp_path):
    tam, _, _ = adapters()
    wet, dry = (job(tmp_path, n, adapter=dataclasses.replace(USER_LORA, dropout=p), frozen=(tam,))
                for n, p in (("wet", 0.5), ("dry", 0.0)))  # fmt: skip
    both = [r.losses for r in engine().train([wet, dry], no_hook)]
    assert both[0][0] == both[1][0]  # B is zero: TAM's own dropout (0.1 on disk) must not show
    assert both[0][2] != both[1][2]


def test_nothing_but_the_trained_adapter_has_a_gradient(engine, adapters, tmp_path):
    """TAM sits on the same layers and is part of every forward pass, here as a product."""
    tam, user, _ = adapters()
    made = engine(dtype="bfloat16")
    left: set[str] = set()
    shared: list[torch.Tensor] = []

    def look(*_):  # the trained adapter's own gradients are gone by now
        every = dict(made._model.named_parameters())
        left.update(name for name, p in every.items() if p.requires_grad or p.grad is not None)
        shared.extend(h for pairs in made._stacked._shared.values() for pair in pairs for h in pair)

    asked = job(tmp_path, "u", frozen=(tam,), start=user)
    list(made.train([asked], look))
    before = tensors(user)
    assert all(
        not torch.equal(tensor, before[name]) for name, tensor in tensors(asked.output).items()
    )
    assert not left
    assert shared
    assert not any(half.requires_grad or half.grad is not None for half in shared)


def test_random_states_and_settings_are_left_alone(engine, tmp_path):
    torch.manual_seed(1), random.seed(1), np.random.seed(1)
    before = (torch.get_rng_state(), random.getstate(), numpy_state())
    list(engine().train([job(tmp_path, "u")], no_hook))
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1:] == (random.getstate(), numpy_state())
    model = engine()._model
    assert not model.training
    assert not any(p.requires_grad for p in model.parameters())
    assert not torch.are_deterministic_algorithms_enabled()


def test_steps_are_reported(engine, tmp_path):
    seen = []
    jobs = [job(tmp_path, "a"), job(tmp_path, "b")]
    results = [r.id for r in engine().train(jobs, lambda *step: seen.append(step))]
    assert results == ["a", "b"]
    assert seen == [(name, step, 4) for step in (1, 2, 3, 4) for name in "ab"]


def test_each_result_comes_as_soon_as_it_is_ready(engine, tmp_path):
    """The job with the fewest steps first, while the others are still running."""
    jobs = [job(tmp_path, name, data=examples(n)) for name, n in (("a", 7), ("b", 2), ("c", 9))]
    seen = []
    results = engine().train(jobs, lambda name, step, steps: seen.append((name, step)))
    for name, steps in (("b", 2), ("a", 6), ("c", 6)):
        assert next(results).id == name
        there = {one.id for one in jobs if one.output.exists()}
        assert there == {"b": {"b"}, "a": {"b", "a"}, "c": {"b", "a", "c"}}[name]
        assert max(step for _, step in seen) == steps
    assert list(results) == []


def test_tokens_and_shortened_examples_are_counted(engine, tmp_path):
    made = engine()
    data = (*examples(2), SFTExample(prompt(article="storm " * 400), "Storm"))
    asked = job(tmp_path, "u", data=data)
    (result,) = made.train([asked], no_hook)
    assert result.examples_shortened == 1
    assert result.tokens == 2 * sum(
        len(q) + len(response) for q, (response,) in encoded(made, asked)
    )


def test_tokens_of_dpo_count_a_prompt_once_and_the_reference(engine, adapters, tmp_path):
    tam, user, _ = adapters()
    made = engine()
    asked = job(
        tmp_path, "u", data=preferences(3), frozen=(tam,), start=user, dpo=DPOSpec(0.5, (tam,))
    )
    (result,) = made.train([asked], no_hook)
    once = sum(len(ids) for q, responses in encoded(made, asked) for ids in (q, *responses))
    assert result.tokens == 3 * once  # two epochs and the reference
    assert result.examples_shortened == 0


def test_a_job_whose_loss_is_nan_fails_and_no_other(engine, tmp_path, limit_passes):
    """With one row per pass, the others do not change by a bit."""
    limit_passes(1)
    wild = dataclasses.replace(OPTIM, learning_rate=1e30, max_grad_norm=0.0, epochs=4)
    alone = [job(tmp_path / "alone", name, seed=n) for n, name in enumerate("ab")]
    expected = list(engine().train(alone, no_hook))
    first, second = (job(tmp_path / "beside", name, seed=n) for n, name in enumerate("ab"))
    jobs = [first, job(tmp_path, "wild", optim=wild), second]
    results = {result.id: result for result in engine().train(jobs, no_hook)}
    failure = results.pop("wild")
    assert isinstance(failure, TrainFailure)
    assert re.match(r"the loss is (nan|inf).* at step [2-9]; lower the learning", failure.reason)
    assert not (tmp_path / "wild" / "adapter").exists()
    assert list(results.values()) == expected
    assert [saved(one) for one in (first, second)] == [saved(one) for one in alone]
    list(engine().train([job(tmp_path, "tame")], no_hook))  # and the engine is as before


def test_the_slot_of_a_failed_job_is_clean(engine, tmp_path, monkeypatch):
    wild = dataclasses.replace(OPTIM, learning_rate=1e30, max_grad_norm=0.0, epochs=4)
    monkeypatch.setattr(BatchPlanner, "training_slots", lambda *_: 1)
    alone, after = job(tmp_path, "alone"), job(tmp_path, "after")
    list(engine().train([alone], no_hook))
    found = list(engine().train([job(tmp_path, "wild", optim=wild), after], no_hook))
    assert [type(result).__name__ for result in found] == ["TrainFailure", "TrainResult"]
    assert saved(after) == saved(alone)


def test_an_unknown_target_is_an_error(engine, tmp_path):
    odd = dataclasses.replace(USER_LORA, targets=("q_proj", "query"))
    with pytest.raises(LampbenchError, match=r"no linear layers called query; it has .*v_proj"):
        list(engine().train([job(tmp_path, "u", adapter=odd)], no_hook))


def test_an_example_that_does_not_fit_is_named(engine, tmp_path):
    long = SFTExample(Prompt("", (Piece("storm " * 300),)), "x")
    with pytest.raises(LampbenchError, match="ann, example 3: the prompt takes"):
        list(engine().train([job(tmp_path, "ann", data=(*examples(2), long))], no_hook))


def test_half_precision_trains_adapters_in_float32(engine, tmp_path):
    asked = job(tmp_path, "u")
    (result,) = engine(dtype="bfloat16").train([asked], no_hook)
    assert {t.dtype for t in tensors(asked.output).values()} == {torch.float32}
    assert result.losses[-1] < result.losses[0]


def test_nothing_is_printed(engine, adapters, tmp_path, capfd, recwarn):
    tam, user, _ = adapters()
    jobs = [job(tmp_path, "a", frozen=(tam,)),
            job(tmp_path, "b", data=preferences(), frozen=(tam,), start=user,
                dpo=DPOSpec(0.5, (tam,)))]  # fmt: skip
    list(engine("llama", batch_size=7).train(jobs, no_hook))
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")
    assert [str(w.message) for w in recwarn] == []

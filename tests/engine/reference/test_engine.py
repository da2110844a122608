"""The reference engine: equal to PEFT and transformers, however its calls are interleaved."""

import json
import re
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from lampbench.engine.adapter_files import write_adapter
from lampbench.engine.lora_init import initial_matrices, peft_config
from lampbench.engine.protocol import (
    Contrast,
    DPOSpec,
    GenerateRequest,
    GenerationSpec,
    Sampling,
    ScoreRequest,
    SFTExample,
    TrainFailure,
)
from lampbench.util.errors import LampbenchError
from tests.engine.engine_inputs import (
    OPTIM,
    RESPONSES,
    STILL,
    USER_LORA,
    examples,
    job,
    no_hook,
    preferences,
    prompt,
)
from tests.engine.plain_peft import plain_answers, plain_training
from tests.engine.trained import WEIGHTS, apart, encoded, tensors


def every_kind(tam, users):
    """Requests of all users and all settings."""
    specs = [
        GenerationSpec(8, 1.2),
        GenerationSpec(8, 1.2, "logits", Sampling(0.9, 0.9)),
        GenerationSpec(8, 1.2, contrast=Contrast((tam,), 0.3, 0.1)),
    ]
    return [
        GenerateRequest(f"{n}/{i}", prompt(n), weights, spec, 1 + (i == 1), seed=n)
        for n, weights in enumerate([(tam, users[0]), (tam, users[1]), (tam,), (users[2],)])
        for i, spec in enumerate(specs)
    ]


def found(answers):
    return {(c.id, c.sample): c.token_ids for c in answers}


def test_answers_equal_pefts(reference, adapters, random_adapters, plain_peft):
    tam, _, _ = adapters()
    requests = every_kind(tam, random_adapters())
    assert found(reference.generate(requests)) == plain_answers(reference, plain_peft(), requests)


def test_both_engines_force_a_text_alike(reference, engine, adapters, random_adapters, monkeypatch):
    tam, _, _ = adapters()
    requests = [
        replace(request, teacher_text=text)
        for request, text in zip(every_kind(tam, random_adapters()), RESPONSES * 3, strict=False)
    ]
    batched = engine(batch_size=6)
    monkeypatch.setattr(reference, "_stop", frozenset(range(0, 400, 2)))
    answers = [sorted(made.generate(requests), key=lambda c: (c.id, c.sample))
               for made in (reference, batched)]  # fmt: skip
    for one, other in zip(*answers, strict=True):
        assert one.token_ids == other.token_ids
        assert one.teacher_ids == other.teacher_ids
        assert len(one.token_ids) == len(one.teacher_ids) > 0


@pytest.mark.parametrize("kind", ["reference", "batched"])
@pytest.mark.parametrize("penalty", [1.0, 1.4])
def test_rewards_are_equation_2_of_the_chosen_tokens(
    reference, engine, adapters, random_adapters, plain_peft, kind, penalty
):
    """The user's log-probability of a token less alpha times the base's, without a penalty."""
    made = reference if kind == "reference" else engine(batch_size=6)
    tam, _, _ = adapters()
    spec = GenerationSpec(8, penalty, contrast=Contrast((tam,), 0.3, 0.1), rewards=True)
    requests = [GenerateRequest(str(n), prompt(n), (tam, user), spec)
                for n, user in enumerate(random_adapters())]  # fmt: skip
    for answer in made.generate(requests):
        weights = requests[int(answer.id)].weights
        room = made._encoder.context - 8
        ids = made._encoder.encode_prompt("q", prompt(int(answer.id)), room).ids
        user, base = (
            plain_peft().logprobs(stack, ids, answer.token_ids) for stack in (weights, (tam,))
        )
        expected = [u - 0.3 * b for u, b in zip(user, base, strict=True)]
        assert answer.rewards == pytest.approx(expected, abs=1e-4)
        assert len(answer.token_texts) == len(answer.token_ids) == len(answer.rewards)
        tokens = [made._encoder.tokenizer.decode([token]) for token in answer.token_ids]
        assert list(answer.token_texts) == tokens
    assert not any(a.rewards for a in made.generate([replace(requests[0], spec=GenerationSpec(2))]))


def test_scores_equal_pefts_and_leave_gradients_on(
    reference, adapters, random_adapters, plain_peft
):
    tam, _, _ = adapters()
    for user in random_adapters()[:2]:
        for response in RESPONSES:
            pair = reference._encoder.encode_responses("s", prompt(), [response])
            asked = ScoreRequest("s", prompt(), response, (tam, user))
            scores = reference.score([asked])
            score = next(scores)
            assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
            expected = plain_peft().logprobs((tam, user), pair.prompt, pair.responses[0])
            assert score.logprobs == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("dpo", [False, True], ids=["sft", "dpo"])
def test_training_equals_a_plain_loop(reference, engine, adapters, merged_model, tmp_path, dpo):
    tam, _, _ = adapters()
    start = tmp_path / "start"
    matrices = initial_matrices(engine()._model, STILL, 3)
    write_adapter(start, peft_config(engine()._model, STILL, ""), matrices)
    options = {"data": preferences(), "start": start, "dpo": DPOSpec(0.3, (tam,))} if dpo else {}
    asked = job(tmp_path, "u", frozen=(tam,), adapter=STILL, seed=3, **options)
    (result,) = reference.train([asked], no_hook)
    losses, weights = plain_training(
        merged_model("llama", tam), start, asked, encoded(reference, asked)
    )
    assert result.losses == pytest.approx(losses, abs=1e-5)
    assert apart(tensors(asked.output), weights) < 1e-5


@pytest.mark.parametrize("kind", ["reference", "batched"])
def test_requests_between_two_answers_change_neither(
    reference, engine, adapters, random_adapters, plain_peft, tmp_path, kind
):
    if kind == "batched":
        reference = engine(batch_size=3)
    tam, user, _ = adapters()
    requests = every_kind(tam, random_adapters())
    answers = {}
    for n, answer in enumerate(reference.generate(requests)):
        answers[answer.id, answer.sample] = answer.token_ids
        if n % 3 == 0:
            list(reference.generate([GenerateRequest("x", prompt(), (user,), GenerationSpec(1))]))
        elif n % 3 == 1:
            list(reference.score([ScoreRequest("x", prompt(), "fox", (tam, user))]))
        else:
            list(reference.train([job(tmp_path, "x", frozen=(tam,))], no_hook))
    assert answers == plain_answers(reference, plain_peft(), requests)


def test_another_adapter_at_the_same_path_is_noticed(
    reference, adapters, random_adapters, plain_peft, tmp_path
):
    tam, _, _ = adapters()
    place = tmp_path / "moved"
    for below in (True, False):
        for path in (tam, random_adapters()[4]):
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(path, place)
            stack, truth = (
                ((place, random_adapters()[0]), (path, random_adapters()[0]))
                if below
                else [(place,), (path,)]
            )
            asked = GenerateRequest("q", prompt(), stack, GenerationSpec(8))
            same = GenerateRequest("q", prompt(), truth, GenerationSpec(8))
            assert found(reference.generate([asked])) == plain_answers(
                reference, plain_peft(), [same]
            )


@pytest.mark.parametrize("kind", ["sft", "dpo"])
def test_both_engines_train_alike_with_dropout(reference, engine, adapters, tmp_path, kind):
    tam, user, _ = adapters()
    options = {"frozen": (tam,), "adapter": replace(USER_LORA, dropout=0.4)}
    if kind == "dpo":
        options |= {"start": user, "data": preferences(), "dpo": DPOSpec(0.3, (tam,))}
    results = []
    for made, name in ((reference, "one"), (engine(), "other")):
        asked = job(tmp_path / name, "u", **options)
        (result,) = made.train([asked], no_hook)
        results.append((result, load_file(asked.output / WEIGHTS)))
    (one, first), (other, second) = results
    assert one.losses == pytest.approx(other.losses, abs=1e-5)
    assert one.margins == pytest.approx(other.margins, abs=1e-5)
    for name, matrix in first.items():
        assert torch.allclose(matrix, second[name], atol=1e-5), name
    dry = job(tmp_path / "dry", "u", **options | {"adapter": replace(USER_LORA, dropout=0.0)})
    (result,) = engine().train([dry], no_hook)
    assert result.losses[-1] != pytest.approx(one.losses[-1], abs=1e-3)


def test_dropout_does_not_depend_on_what_was_loaded_before(reference, adapters, tmp_path):
    """The second job finds the reference model of its DPO loaded, the first does not."""
    tam, user, other = adapters()
    options = {"frozen": (tam,), "start": user, "data": preferences(), "dpo": DPOSpec(0.3, (tam,))}
    first, second = (job(tmp_path, name, **options) for name in ("first", "second"))
    list(reference.score([ScoreRequest("s", prompt(), "x", (tam, other))]))
    torch.manual_seed(1)
    before = torch.get_rng_state()
    losses = [result.losses for result in reference.train([first, second], no_hook)]
    assert losses[0] == losses[1]
    assert torch.equal(torch.get_rng_state(), before)


def test_shortened_examples_are_counted(reference, tmp_path):
    data = (*examples(2), SFTExample(prompt(article="storm " * 400), "Storm"))
    (result,) = reference.train([job(tmp_path, "u", data=data)], no_hook)
    assert result.examples_shortened == 1


def test_a_job_whose_loss_is_nan_fails_alone(reference, adapters, tmp_path):
    tam, _, _ = adapters()
    wild = replace(OPTIM, learning_rate=1e30, max_grad_norm=0.0, epochs=4)
    jobs = [job(tmp_path, "wild", frozen=(tam,), optim=wild), job(tmp_path, "good", frozen=(tam,))]
    first, second = reference.train(jobs, no_hook)
    assert isinstance(first, TrainFailure)
    assert re.search(r"loss is (nan|inf).* at step [2-9]; lower the learning", first.reason)
    assert not jobs[0].output.exists()
    assert second.id == "good"
    assert jobs[1].output.exists()


def test_adapters_that_do_not_fit_are_refused(reference, adapters, tmp_path):
    tam, user, _ = adapters()
    part = shutil.copytree(user, tmp_path / "part")
    tensors = load_file(part / WEIGHTS)
    save_file({n: t for n, t in tensors.items() if "layers.0" in n}, part / WEIGHTS)
    with pytest.raises(LampbenchError, match=r"has no weights for model\.layers\.1"):
        list(reference.train([job(tmp_path, "u", frozen=(tam,), start=part)], no_hook))
    head = shutil.copytree(user, tmp_path / "head")
    config = json.loads((head / "adapter_config.json").read_text()) | {
        "target_modules": ["lm_head"]
    }
    (head / "adapter_config.json").write_text(json.dumps(config))
    size = reference._pristine.get_output_embeddings()
    save_file({"base_model.model.lm_head.lora_A.weight": torch.zeros(4, size.in_features),
               "base_model.model.lm_head.lora_B.weight": torch.zeros(size.out_features, 4)},
              head / WEIGHTS)  # fmt: skip
    with pytest.raises(LampbenchError, match="the output layer, which is not supported"):
        list(reference.generate([GenerateRequest("q", prompt(), (head,), GenerationSpec(2))]))

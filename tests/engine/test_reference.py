"""The reference backend: what peft and transformers give, however its calls are interleaved."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from alone import by_peft, trained
from given import RESPONSES, USER_LORA, job, no_hook, preferences, prompt
from safetensors.torch import load_file, save_file

from lampbench.core.fidelity import PAPER
from lampbench.engine import adapter_files
from lampbench.engine.lora_init import initial_pairs, lora_config
from lampbench.engine.models import resolve_model
from lampbench.engine.protocol import (
    Contrast,
    DPOSpec,
    GenerateRequest,
    GenerationSpec,
    Sampling,
    ScoreRequest,
    TrainFailure,
)
from lampbench.engine.reference import ReferenceEngine
from lampbench.util.errors import LampbenchError

WEIGHTS = "adapter_model.safetensors"


@pytest.fixture(scope="module")
def reference(folder):
    return ReferenceEngine(
        resolve_model(str(folder("llama"))),
        device="cpu",
        dtype="float32",
        chat_template=None,
        fidelity=PAPER,
    )


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


def test_answers_are_pefts(reference, adapters, crowd, alone):
    tam, _, _ = adapters()
    requests = every_kind(tam, crowd())
    assert found(reference.generate(requests)) == by_peft(reference, alone(), requests)


def test_both_backends_follow_a_text_alike(reference, engine, adapters, crowd, monkeypatch):
    tam, _, _ = adapters()
    requests = [
        replace(request, teacher_text=text)
        for request, text in zip(every_kind(tam, crowd()), RESPONSES * 3, strict=False)
    ]
    many = engine(batch_size=6)
    monkeypatch.setattr(reference, "_stop", frozenset(range(0, 400, 2)))
    answers = [sorted(made.generate(requests), key=lambda c: (c.id, c.sample))
               for made in (reference, many)]  # fmt: skip
    for one, other in zip(*answers, strict=True):
        assert one.token_ids == other.token_ids
        assert one.teacher_ids == other.teacher_ids
        assert len(one.token_ids) == len(one.teacher_ids) > 0


@pytest.mark.parametrize("backend", ["reference", "many"])
@pytest.mark.parametrize("penalty", [1.0, 1.4])
def test_rewards_are_equation_2_of_the_chosen_tokens(
    reference, engine, adapters, crowd, alone, backend, penalty
):
    """Of every token the user's log-probability less alpha times the base's, without a penalty."""
    made = reference if backend == "reference" else engine(batch_size=6)
    tam, _, _ = adapters()
    spec = GenerationSpec(8, penalty, contrast=Contrast((tam,), 0.3, 0.1), rewards=True)
    requests = [GenerateRequest(str(n), prompt(n), (tam, user), spec)
                for n, user in enumerate(crowd())]  # fmt: skip
    for answer in made.generate(requests):
        weights = requests[int(answer.id)].weights
        room = made._encoder.context - 8
        ids = made._encoder.prompt("q", prompt(int(answer.id)), room).ids
        user, base = (alone().logprobs(stack, ids, answer.token_ids) for stack in (weights, (tam,)))
        expected = [u - 0.3 * b for u, b in zip(user, base, strict=True)]
        assert answer.rewards == pytest.approx(expected, abs=1e-4)
        assert len(answer.token_texts) == len(answer.token_ids) == len(answer.rewards)
        tokens = [made._encoder.tokenizer.decode([token]) for token in answer.token_ids]
        assert list(answer.token_texts) == tokens
    assert not any(a.rewards for a in made.generate([replace(requests[0], spec=GenerationSpec(2))]))


def test_scores_are_pefts_and_leave_gradients_on(reference, adapters, crowd, alone):
    tam, _, _ = adapters()
    for user in crowd()[:2]:
        for response in RESPONSES:
            pair = reference._encoder.answered("s", prompt(), [response])
            asked = ScoreRequest("s", prompt(), response, (tam, user))
            scores = reference.score([asked])
            score = next(scores)
            assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
            expected = alone().logprobs((tam, user), pair.prompt, pair.responses[0])
            assert score.logprobs == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("dpo", [False, True], ids=["sft", "dpo"])
def test_training_is_a_plain_loops(reference, engine, adapters, naive, tmp_path, dpo):
    tam, _, _ = adapters()
    lora, start = replace(USER_LORA, dropout=0.0), tmp_path / "start"
    pairs = initial_pairs(engine()._model, lora, 3)
    adapter_files.write(start, lora_config(engine()._model, lora, ""), pairs)
    options = {"data": preferences(), "start": start, "dpo": DPOSpec(0.3, (tam,))} if dpo else {}
    asked = job(tmp_path, "u", frozen=(tam,), lora=lora, seed=3, **options)
    (result,) = reference.train([asked], no_hook)
    encoded = [reference._encoded(asked, item) for item in asked.data]
    losses, weights = trained(naive("llama", tam), start, asked, encoded)
    assert result.losses == pytest.approx(losses, abs=1e-5)
    ours = load_file(asked.output / WEIGHTS)
    assert ours.keys() == weights.keys()
    assert max(float((ours[name] - weights[name]).abs().max()) for name in ours) < 1e-5


@pytest.mark.parametrize("backend", ["reference", "many"])
def test_whatever_is_asked_between_two_answers_changes_none(
    reference, engine, adapters, crowd, alone, tmp_path, backend
):
    if backend == "many":
        reference = engine(batch_size=3)
    tam, user, _ = adapters()
    requests = every_kind(tam, crowd())
    answers = {}
    for n, answer in enumerate(reference.generate(requests)):
        answers[answer.id, answer.sample] = answer.token_ids
        if n % 3 == 0:
            list(reference.generate([GenerateRequest("x", prompt(), (user,), GenerationSpec(1))]))
        elif n % 3 == 1:
            list(reference.score([ScoreRequest("x", prompt(), "fox", (tam, user))]))
        else:
            list(reference.train([job(tmp_path, "x", frozen=(tam,))], no_hook))
    assert answers == by_peft(reference, alone(), requests)


def test_another_adapter_at_the_same_path_is_noticed(reference, adapters, crowd, alone, tmp_path):
    tam, _, _ = adapters()
    place = tmp_path / "moved"
    for below in (True, False):
        for path in (tam, crowd()[4]):
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(path, place)
            stack, truth = (
                ((place, crowd()[0]), (path, crowd()[0])) if below else [(place,), (path,)]
            )
            asked = GenerateRequest("q", prompt(), stack, GenerationSpec(8))
            same = GenerateRequest("q", prompt(), truth, GenerationSpec(8))
            assert found(reference.generate([asked])) == by_peft(reference, alone(), [same])


def test_a_loss_that_is_no_number_sets_its_job_aside(reference, adapters, tmp_path):
    tam, user, _ = adapters()
    bad = shutil.copytree(user, tmp_path / "bad")
    tensors = {name: t * float("nan") for name, t in load_file(bad / WEIGHTS).items()}
    save_file(tensors, bad / WEIGHTS)
    jobs = [job(tmp_path, "bad", frozen=(tam,), start=bad), job(tmp_path, "good", frozen=(tam,))]
    first, second = reference.train(jobs, no_hook)
    assert isinstance(first, TrainFailure) and "at step 1" in first.reason
    assert not jobs[0].output.exists() and jobs[1].output.exists() and second.id == "good"


def test_adapters_that_do_not_fit_are_refused_as_by_the_engine(reference, adapters, tmp_path):
    tam, user, _ = adapters()
    part = shutil.copytree(user, tmp_path / "part")
    tensors = load_file(part / WEIGHTS)
    save_file({n: t for n, t in tensors.items() if "layers.0" in n}, part / WEIGHTS)
    with pytest.raises(LampbenchError, match=r"lacks model\.layers\.1"):
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

"""Many users in one batch: each answer is what PEFT and transformers give for the user alone, and
does not depend on the other users.
"""

import random

import pytest

from lampbench.engine.batched import engine as batched_engine
from lampbench.engine.protocol import (
    Contrast,
    GenerateRequest,
    GenerationSpec,
    Sampling,
)
from tests.engine.engine_inputs import MODELS, contrasts, prompt
from tests.engine.plain_peft import plain_answers


def ask(n, weights, spec, **options):
    return GenerateRequest(f"q{n}", prompt(n), weights, spec, **{"seed": n} | options)


def answers(engine, requests):
    found = list(engine.generate(requests))
    named = {(c.id, c.sample): c for c in found}
    assert len(named) == len(found) == sum(request.samples for request in requests)
    return named


@pytest.fixture
def stop_often(monkeypatch):
    """Lets a sixth of the tokens end an answer, so that slots become free all the time."""

    def make(*engines):
        for each in engines:
            ends = frozenset(range(2, len(each._encoder.tokenizer), 6))
            monkeypatch.setattr(each, "_stop", ends)

    return make


@pytest.mark.parametrize("name", MODELS)
def test_a_mixed_call_equals_peft_one_user_at_a_time(
    engine, adapters, random_adapters, plain_peft, stop_often, name
):
    """Greedy, sampled and contrastive, with all combinations of adapters, in one call."""
    tam, _, _ = adapters(name)
    made = engine(name)
    stop_often(made)
    requests = []
    every = 1 if name == "llama" else 2
    for n, (weights, against) in list(enumerate(contrasts(tam, random_adapters(name))))[::every]:
        spec = GenerationSpec(10, 1.2, contrast=Contrast(against, 0.3, 0.1))
        requests.append(ask(n, weights, spec))
        requests.append(ask(n + 100, weights, GenerationSpec(10, (1.0, 1.3)[n % 2])))
        sampled = GenerationSpec(10, 1.1, "logits", Sampling(0.8, (1.0, 0.9)[n % 2]))
        requests.append(ask(n + 200, weights, sampled, samples=1 + n % 2))
    found = {key: c.token_ids for key, c in answers(made, requests).items()}
    assert found == plain_answers(made, plain_peft(name), requests)
    assert len({len(ids) for ids in found.values()}) > 3
    assert len(set(found.values())) > len(found) / 3


def kind_of(kind, tam, users):
    return {
        "greedy": GenerationSpec(12, 1.2),
        "sampled": GenerationSpec(12, 1.2, sampling=Sampling(1.0, 0.9)),
        "contrastive": GenerationSpec(12, 1.2, contrast=Contrast((tam,), 0.3, 0.1)),
        "against another": GenerationSpec(12, 1.2, contrast=Contrast((users[5],), 0.3, 0.1)),
    }[kind]


@pytest.mark.parametrize("name", ["llama", "gemma"])
@pytest.mark.parametrize("kind", ["greedy", "sampled", "contrastive", "against another"])
def test_an_answer_is_the_same_alone_with_one_and_with_63_others(
    engine, adapters, random_adapters, stop_often, name, kind
):
    """Six users with queries of many lengths; sixty-four in any order, pairs, and each alone."""
    tam, _, _ = adapters(name)
    made = engine(name)
    stop_often(made)
    users = random_adapters(name)
    spec = kind_of(kind, tam, users)
    requests = [ask(n, (tam, users[n % 6]), spec, seed=n % 7) for n in range(64)]
    together = answers(made, requests)
    assert len({len(c.token_ids) for c in together.values()}) > 5
    shuffled = random.Random(0).sample(requests, 64)
    assert answers(made, shuffled) == together
    for n in range(0, 64, 9):
        pair = answers(made, shuffled[n : n + 2])
        assert pair == {key: together[key] for key in pair}
    for request in requests[::6]:
        ((key, single),) = answers(made, [request]).items()
        assert together[key] == single


@pytest.mark.parametrize("kind", ["greedy", "sampled", "contrastive", "against another"])
def test_free_slots_are_filled_again(
    engine, adapters, random_adapters, plain_peft, stop_often, kind
):
    """Thirty requests through four rows: every answer as if it had been the only one."""
    tam, _, _ = adapters()
    made, users = engine(batch_size=4), random_adapters()
    stop_often(made)
    spec = kind_of(kind, tam, users)
    requests = [ask(n, (tam, users[n % 6]), spec) for n in range(30)]
    passes = []
    hook = made._model.register_forward_pre_hook(
        lambda _, arguments, named: passes.append(named["input_ids"].shape), with_kwargs=True
    )
    found = {key: c.token_ids for key, c in answers(made, requests).items()}
    hook.remove()
    assert found == plain_answers(made, plain_peft(), requests)
    reads = [rows for rows, tokens in passes if tokens > 1]
    assert sum(reads) == 30 * (2 if spec.contrast else 1)
    slots = 2 if spec.contrast else 4
    assert len(reads) > -(-30 // slots)  # not one full batch after the other
    assert max(rows for rows, _ in passes) == 4


@pytest.mark.parametrize("slots", [None, 3])
def test_samples_that_share_a_prompts_reading_equal_requests_of_their_own(
    engine, adapters, stop_often, monkeypatch, slots
):
    tam, user, other = adapters()
    made = engine(batch_size=slots)
    stop_often(made)
    monkeypatch.setattr(batched_engine, "seed_from", lambda seed, sample: 1000 * seed + sample)
    spec = GenerationSpec(12, 1.2, sampling=Sampling(1.0, 1.0))
    weights = [(tam, user), (tam, other), (tam, user)]
    shared = [ask(n, each, spec, samples=5) for n, each in enumerate(weights)]
    reads = []
    hook = made._model.register_forward_pre_hook(
        lambda _, arguments, named: reads.append(named["input_ids"]), with_kwargs=True
    )
    together = answers(made, shared)
    hook.remove()
    if slots is None:  # all at once: every prompt is read once for its five samples
        assert sum(len(tokens) for tokens in reads if tokens.shape[1] > 1) == 3
    for n, each in enumerate(weights):
        for sample in range(5):
            single = ask(n, each, spec, seed=1000 * n + sample)
            monkeypatch.setattr(batched_engine, "seed_from", lambda seed, _: seed)
            (found,) = made.generate([single])
            assert found.token_ids == together[f"q{n}", sample].token_ids
    assert len({c.token_ids for c in together.values()}) > 9


def test_the_same_prompt_from_two_users_is_read_for_each(engine, adapters, plain_peft):
    tam, user, other = adapters()
    spec = GenerationSpec(10, contrast=Contrast((tam,), 0.3, 0.1))
    requests = [
        GenerateRequest(f"q{n}", prompt(1), (tam, who), spec)
        for n, who in enumerate([user, other, user])
    ]
    found = {key: c.token_ids for key, c in answers(engine(), requests).items()}
    assert found == plain_answers(engine(), plain_peft(), requests)
    assert found["q0", 0] != found["q1", 0]

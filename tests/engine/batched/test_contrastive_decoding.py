"""Contrastive answers, compared with two copies of the model."""

import dataclasses

import pytest
import torch

from lampbench.engine.protocol import Contrast, GenerationSpec
from tests.engine.batched.asking import answers, ask, last, looped
from tests.engine.engine_inputs import MODELS


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("penalty", "on"), [(1.0, "scores"), (7.0, "scores")])
def test_contrastive_equals_two_copies_without_cache(
    engine, merged_model, adapters, name, penalty, on
):
    """Equations 1 to 3 written out in probabilities, on two models of PEFT's making."""
    tam, user, _ = adapters(name)
    made, expert, amateur = engine(name), merged_model(name, tam, user), merged_model(name, tam)
    alpha, tau = 0.3, 0.1

    def step(ids):
        p_user, p_base = last(expert, ids).softmax(-1)[0], last(amateur, ids).softmax(-1)[0]
        best, best_token = -float("inf"), -1
        for token in (p_user >= tau * p_user.max()).nonzero()[:, 0].tolist():
            score = float((p_user[token] / p_base[token] ** alpha).log())
            if token in ids[0]:
                score = score * penalty if score < 0 else score / penalty
            if score > best:
                best, best_token = score, token
        return best_token

    spec = GenerationSpec(20, penalty, on, contrast=Contrast((tam,), alpha, tau))
    found = answers(made, [ask(n, (tam, user), spec) for n in range(4)])
    for n in range(4):
        assert found[f"q{n}", 0].token_ids == looped(made, n, 20, step)


def test_contrast_with_the_untouched_model(engine, merged_model, adapters):
    tam, user, _ = adapters()
    made, expert, amateur = engine(), merged_model("llama", tam, user), merged_model("llama")

    def step(ids):
        user, base = last(expert, ids).log_softmax(-1), last(amateur, ids).log_softmax(-1)
        head = user >= user.max() + torch.tensor(0.1).log()
        return (user - base).masked_fill(~head, -float("inf")).argmax().item()

    spec = GenerationSpec(20, contrast=Contrast((), 1.0, 0.1))
    found = answers(made, [ask(n, (tam, user), spec) for n in range(4)])
    for n in range(4):
        assert found[f"q{n}", 0].token_ids == looped(made, n, 20, step)


def test_reference_formula_with_eps(engine, merged_model, adapters):
    """The formula of the reference code, on two models of PEFT's making."""
    tam, user, _ = adapters()
    made, expert, amateur = engine(), merged_model("llama", tam, user), merged_model("llama", tam)

    def step(ids):
        p_user, p_base = last(expert, ids).softmax(-1), last(amateur, ids).softmax(-1)
        kept = p_user * (p_user >= 0.1 * p_user.max())
        kept = kept / (kept.sum() + 1e-8)
        return ((kept + 1e-8).log() - 0.1 * (p_base + 1e-8).log()).argmax().item()

    spec = GenerationSpec(20, contrast=Contrast((tam,), 0.1, 0.1, 1e-8))
    found = answers(made, [ask(n, (tam, user), spec) for n in range(4)])
    for n in range(4):
        assert found[f"q{n}", 0].token_ids == looped(made, n, 20, step)


def test_no_contrast_is_greedy(engine, adapters):
    """alpha = 0 and tau = 0 leave the user's own argmax."""
    tam, user, other = adapters()
    plain = GenerationSpec(20)
    none = GenerationSpec(20, contrast=Contrast((tam, other), 0.0, 0.0))
    found = [
        answers(engine(), [ask(n, (tam, user), spec) for n in range(4)]) for spec in (plain, none)
    ]
    assert found[0] == found[1]


def test_contrast_changes_answers(engine, adapters):
    """Otherwise the test before this one would show nothing."""
    tam, user, _ = adapters()
    spec = GenerationSpec(20, contrast=Contrast((tam,), 1.0, 0.05))
    requests = [ask(n, (tam, user), GenerationSpec(20)) for n in range(4)]
    other = [dataclasses.replace(request, spec=spec) for request in requests]
    assert answers(engine(), requests) != answers(engine(), other)

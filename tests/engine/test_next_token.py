"""Equations 1 to 3, repetition penalty, sampling: by hand, and compared with transformers."""

import math

import pytest
import torch

from lampbench.engine.next_token import (
    contrastive_scores,
    next_scores,
    next_tokens,
    nucleus,
    penalise,
    plausible_tokens,
    sample_tokens,
    token_rewards,
)
from lampbench.engine.protocol import Contrast, GenerationSpec, Sampling

# Four tokens. p_user = 1/2, 1/4, 1/5, 1/20; p_base = 8/10, 1/10, 1/20, 1/20.
USER = torch.tensor([[0.5, 0.25, 0.2, 0.05]])
BASE = torch.tensor([[0.8, 0.1, 0.05, 0.05]])
UNSEEN = torch.zeros(1, 4, dtype=torch.bool)


def contrast(alpha=1.0, tau=0.1, log_eps=None):
    return Contrast((), alpha, tau, log_eps)


@pytest.mark.parametrize(
    ("tau", "head"),
    [
        (0.0, [True, True, True, True]),
        (0.1, [True, True, True, True]),  # 1/20 is just the threshold of 1/10 x 1/2
        (0.11, [True, True, True, False]),
        (0.45, [True, True, False, False]),
        (1.0, [True, False, False, False]),
    ],
)
def test_equation_1_keeps_what_reaches_tau_times_the_maximum(tau, head):
    log_user = torch.tensor([[0.5, 0.25, 0.2, 0.05]], dtype=torch.float64).log()
    log_user[0, 3] += 1e-12  # the threshold itself belongs to the set; not its rounding
    assert plausible_tokens(log_user, tau).tolist() == [head]


def test_equation_1_has_a_threshold_for_each_row():
    rows = torch.tensor([[0.9, 0.1], [0.5, 0.5]]).log()
    assert plausible_tokens(rows, 0.5).tolist() == [[True, False], [True, True]]


def test_equation_2_by_hand():
    # log(1/2) - 0.3 log(8/10) = -0.6931 + 0.0669; log(1/4) - 0.3 log(1/10) = -1.3863 + 0.6908
    found = token_rewards(USER.log(), BASE.log(), 0.3)
    expected = [-0.626204, -0.695519, -0.710718, -2.097013]
    assert found.tolist() == [pytest.approx(expected, abs=1e-5)]


def test_equation_2_at_alpha_1_is_the_log_ratio():
    expected = [math.log(0.5 / 0.8), math.log(2.5), math.log(4.0), 0.0]
    assert token_rewards(USER.log(), BASE.log(), 1.0).tolist() == [
        pytest.approx(expected, abs=1e-6)
    ]


def test_equation_3_takes_the_highest_reward_among_the_plausible():
    # at alpha = 1 the third token has the highest ratio (4); tau = 0.45 leaves the first two
    assert contrastive_scores(USER.log(), [BASE.log()], contrast(tau=0.1)).argmax().item() == 2
    assert contrastive_scores(USER.log(), [BASE.log()], contrast(tau=0.45)).argmax().item() == 1
    assert contrastive_scores(USER.log(), [BASE.log()], contrast(alpha=0.0)).argmax().item() == 0


def test_outside_the_head_nothing_can_be_chosen():
    scores = contrastive_scores(USER.log(), [BASE.log()], contrast(tau=0.45))
    assert scores[0, 2:].tolist() == [-math.inf, -math.inf]
    assert penalise(scores, ~UNSEEN, 7.0)[0, 2:].tolist() == [-math.inf, -math.inf]


def test_log_eps_is_the_reference_codes_formula():
    scores = contrastive_scores(USER.log(), [BASE.log()], contrast(0.5, 0.45, 1e-8))
    # the head is 1/2, 1/4: renormalised 2/3, 1/3; outside, log 1e-8
    expected = [
        math.log(2 / 3) - 0.5 * math.log(0.8),
        math.log(1 / 3) - 0.5 * math.log(0.1),
        math.log(1e-8) - 0.5 * math.log(0.05),
        math.log(1e-8) - 0.5 * math.log(0.05),
    ]
    assert scores.tolist() == [pytest.approx(expected, abs=1e-5)]


def test_log_eps_lets_a_hard_penalty_drive_the_choice_out_of_the_head():
    """Why the exact form is the default: with eps, implausible tokens win under a penalty."""
    spec = GenerationSpec(1, 100.0, contrast=contrast(0.0, 0.45, 1e-8))
    exact = GenerationSpec(1, 100.0, contrast=contrast(0.0, 0.45))
    seen = torch.tensor([[True, True, False, False]])
    assert next_scores(spec, USER.log(), [BASE.log()], seen).argmax().item() == 2
    assert next_scores(exact, USER.log(), [BASE.log()], seen).argmax().item() == 0


def test_penalty_by_hand():
    scores = torch.tensor([[2.0, -2.0, 3.0, -3.0]])
    seen = torch.tensor([[True, True, False, False]])
    assert penalise(scores, seen, 4.0).tolist() == [[0.5, -8.0, 3.0, -3.0]]


def test_penalty_equals_transformers():
    from transformers import RepetitionPenaltyLogitsProcessor

    torch.manual_seed(0)
    scores, ids = torch.randn(3, 50), torch.randint(0, 50, (3, 9))
    seen = torch.zeros(3, 50, dtype=torch.bool).scatter(1, ids, True)
    for penalty in (1.0, 1.3, 7.0, 0.5):
        expected = RepetitionPenaltyLogitsProcessor(penalty)(ids, scores)
        assert torch.equal(penalise(scores, seen, penalty), expected)


def test_penalty_acts_on_the_scores_after_the_combination():
    seen = torch.tensor([[False, False, True, False]])
    spec = GenerationSpec(1, 7.0, contrast=contrast(1.0))
    scores = next_scores(spec, USER.log(), [BASE.log()], seen)
    # rewards: log 0.625, log 2.5, log 4, 0; the third is positive and seen: divided by seven
    expected = [math.log(0.625), math.log(2.5), math.log(4.0) / 7, 0.0]
    assert scores.tolist() == [pytest.approx(expected, abs=1e-6)]


def test_penalty_on_logits_acts_before_and_on_the_user_alone():
    seen = torch.tensor([[True, False, False, False]])
    user, base = torch.tensor([[2.0, 1.5, 0.0, 0.0]]), torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    spec = GenerationSpec(1, 2.0, "logits", contrast=contrast(1.0, 0.0))
    penalised = torch.tensor([[1.0, 1.5, 0.0, 0.0]])
    expected = penalised.log_softmax(-1) - base.log_softmax(-1)
    assert torch.allclose(next_scores(spec, user, [base], seen), expected)


def test_greedy_scores_are_log_probabilities():
    scores = next_scores(GenerationSpec(1), USER.log() + 5, [], UNSEEN)
    assert torch.allclose(scores.exp(), USER)


@pytest.mark.parametrize("top_p", [0.05, 0.3, 0.5, 0.75, 0.9, 0.999])
def test_nucleus_equals_transformers(top_p):
    from transformers import TopPLogitsWarper

    torch.manual_seed(1)
    scores = torch.randn(20, 40) * 2
    kept = TopPLogitsWarper(top_p)(torch.zeros(20, 1), scores).isfinite()
    assert torch.equal(nucleus(scores.softmax(-1), top_p), kept)


def test_nucleus_by_hand():
    assert nucleus(USER, 0.5).tolist() == [[True, False, False, False]]
    assert nucleus(USER, 0.51).tolist() == [[True, True, False, False]]


@pytest.mark.parametrize(
    ("uniform", "token"),
    [
        # clocks -log(1 - u) / p: 1.39, 2.77, 3.47, 13.9
        ((0.5, 0.5, 0.5, 0.5), 0),
        # 9.21, 5.55, 6.93, 27.7
        ((0.99, 0.75, 0.75, 0.75), 1),
        # 9.21, 5.55, 0.53, 27.7
        ((0.99, 0.75, 0.1, 0.75), 2),
        # 1.39, 2.77, 3.47, 0.2
        ((0.5, 0.5, 0.5, 0.01), 3),
    ],
)
def test_the_first_of_exponential_clocks_is_drawn(uniform, token):
    assert sample_tokens(USER.log(), Sampling(1.0, 1.0), torch.tensor([uniform])).item() == token


@pytest.mark.parametrize("number", [2**-32, 2**-24, 0.5, 1.0 - 2**-24])
def test_tokens_without_probability_are_never_drawn(number):
    scores = torch.tensor([[-math.inf, 0.0, -math.inf, 0.0, -math.inf]])
    for others in (2**-32, 0.5, 1.0 - 2**-24):
        uniform = torch.tensor([[others, number, others, number, others]])
        assert sample_tokens(scores, Sampling(1.0, 1.0), uniform).item() in (1, 3)


def test_each_row_and_step_draws_its_own_numbers():
    spec, scores = GenerationSpec(9, sampling=Sampling(1.0, 1.0)), torch.zeros(3, 10_000)
    seeds, steps = torch.tensor([3, 5, 8]), torch.tensor([0, 4, 1])
    found = next_tokens(spec, scores, seeds, steps).tolist()
    alone = [next_tokens(spec, scores[:1], s, n).item()
             for s, n in zip(seeds.split(1), steps.split(1), strict=True)]  # fmt: skip
    assert found == alone
    others = {next_tokens(spec, scores[:1], seeds[:1], torch.tensor(n)).item() for n in range(5)}
    assert len({*found, *others}) == 7


def test_a_rare_token_is_drawn_as_often_as_its_probability_says():
    scores = torch.tensor([0.999, 0.001]).log().expand(300_000, 2)
    spec = GenerationSpec(1, sampling=Sampling(1.0, 1.0))
    drawn = next_tokens(spec, scores, torch.arange(len(scores)), torch.tensor(0))
    assert drawn.sum().item() == pytest.approx(300, abs=70)  # four standard deviations


def test_draws_follow_temperature_and_nucleus():
    uniform = torch.rand(20_000, 4, generator=torch.Generator().manual_seed(0))
    scores = USER.log().expand(20_000, 4)
    counts = sample_tokens(scores, Sampling(0.5, 0.85), uniform).bincount(minlength=4) / 20_000
    # squared: 1/4, 1/16, ...; of their sum 0.355 the first two have 0.88, the first alone 0.70
    assert counts.tolist() == [pytest.approx(0.8, abs=0.01), pytest.approx(0.2, abs=0.01), 0, 0]

"""Log-probabilities of responses: the ingredients of equation 5."""

import math
from types import SimpleNamespace

import pytest
import torch
from given import MODELS, prompt

from lampbench.engine.batched.shared_prompts import (
    Budget,
    Tree,
    branch_logprobs,
    branch_sums,
    packs,
)
from lampbench.engine.protocol import ScoreRequest

RESPONSES = ["Storm closes harbour", "The quick brown fox jumps over the old bridge", "x", ""]


def requests(weights, text="chat"):
    return [ScoreRequest(f"s{i}", prompt(i), r, weights, text) for i, r in enumerate(RESPONSES)]


def scored(engine, asked):
    return {score.id: score.logprobs for score in engine.score(asked)}


def alone(model, ids, begin):
    """Log-probabilities of ids[begin:], from one row, unpadded, without a cache."""
    with torch.no_grad():
        logs = model(torch.tensor([ids]), use_cache=False).logits[0].double().log_softmax(-1)
    return [float(logs[place - 1, ids[place]]) for place in range(begin, len(ids))]


@pytest.mark.parametrize("name", MODELS)
def test_a_padded_batch_equals_each_alone_under_merged_weights(engine, naive, adapters, name):
    """Left padding, and for Gemma a sliding window shorter than the prompts."""
    tam, user, _ = adapters(name)
    made, model = engine(name), naive(name, tam, user)
    found = scored(made, requests((tam, user)))
    for i, response in enumerate(RESPONSES):
        pair = made._encoder.answered("s", prompt(i), [response])
        ids = [*pair.prompt, *pair.responses[0]]
        assert found[f"s{i}"] == pytest.approx(alone(model, ids, len(pair.prompt)), abs=2e-4)
        # the response's own tokens and one end of turn
        text = made._encoder.tokenizer(response, add_special_tokens=False)["input_ids"]
        assert len(found[f"s{i}"]) == len(text) + 1


class Counting:
    """Stands for a forward pass: sure of the number after each token. Keeps what it was given."""

    model = SimpleNamespace(device=torch.device("cpu"))

    def masks(self, allowed, query, key):
        assert torch.equal(query, key)
        return allowed

    def logits(self, tokens, positions, *, mask, at):
        self.tokens, self.positions, self.mask = tokens, positions, mask
        return torch.nn.functional.one_hot((tokens[at] + 1) % 10, 10) * 50.0


def test_branches_count_on_from_the_prompt_and_do_not_see_each_other():
    forward = Counting()
    trees = [Tree((7, 8, 9), ((1, 2), (3,))), Tree((5,), ((6,), (4, 5)))]
    branch_logprobs(forward, trees, pad=0)
    assert forward.tokens.tolist() == [[7, 8, 9, 1, 2, 3], [5, 6, 4, 5, 0, 0]]
    assert forward.positions.tolist()[0] == [0, 1, 2, 3, 4, 3]
    assert forward.positions.tolist()[1][:4] == [0, 1, 1, 2]
    seen = [[1, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0],
            [1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 0], [1, 1, 1, 0, 0, 1]]  # fmt: skip
    assert forward.mask[0].int().tolist() == seen
    seen = [[1, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0], [1, 0, 1, 0, 0, 0], [1, 0, 1, 1, 0, 0]]
    assert forward.mask[1, :4].int().tolist() == seen
    assert forward.mask.any(-1).all()  # attention to nothing is no number


def test_rows_without_branches_are_padded_on_the_right_under_a_causal_mask():
    forward = Counting()
    branch_logprobs(forward, [Tree((7, 8), ((9,),)), Tree((5,), ((6,),))], pad=0)
    assert forward.tokens.tolist() == [[7, 8, 9], [5, 6, 0]]
    assert forward.positions.tolist() == [[0, 1, 2]]
    assert forward.mask is None


def test_the_reward_of_equation_5_by_hand(engine, naive, adapters):
    """Sum over the response's tokens of log p_user - log p_base, user = TAM + OPPU, base = TAM."""
    tam, user, _ = adapters()
    made = engine()
    pair = made._encoder.answered("s", prompt(0), [RESPONSES[0]])
    ids = [*pair.prompt, *pair.responses[0]]
    ratio = 1.0
    with torch.no_grad():
        p_user = naive("llama", tam, user)(torch.tensor([ids])).logits[0].softmax(-1)
        p_base = naive("llama", tam)(torch.tensor([ids])).logits[0].softmax(-1)
    for place in range(len(pair.prompt), len(ids)):
        ratio *= float(p_user[place - 1, ids[place]] / p_base[place - 1, ids[place]])
    users, bases = (scored(made, requests(w))["s0"] for w in ((tam, user), (tam,)))
    assert math.fsum(users) - math.fsum(bases) == pytest.approx(math.log(ratio), abs=1e-3)
    assert abs(math.log(ratio)) > 0.05


def test_raw_text_scores_prompt_and_response(engine, naive):
    made = engine()
    found = scored(made, requests((), "raw"))
    tokens = made._encoder.tokenizer
    ids = [*tokens(prompt(1).text)["input_ids"], *tokens(RESPONSES[1])["input_ids"]]
    assert found["s1"] == pytest.approx(alone(naive("llama"), ids, 1), abs=2e-4)


@pytest.mark.parametrize("tokens", [1, 300, 10_000])
@pytest.mark.parametrize("labels", [1, 10_000])
def test_no_score_depends_on_its_batch(engine, adapters, budget, tokens, labels):
    tam, user, other = adapters()
    asked = requests((tam, user)) + [
        ScoreRequest(f"o{r.id}", r.prompt, r.response, (tam, other)) for r in requests(())
    ]
    expected = scored(engine(), asked)
    budget(tokens, labels)
    found = scored(engine(), asked[::-1])
    assert found.keys() == expected.keys()
    for name, logs in expected.items():
        assert found[name] == pytest.approx(logs, abs=1e-4)


def test_what_is_scored_is_the_response_alone():
    """Certain where the token after is right, hopeless where not."""
    trees = [Tree((1, 2, 3), ((4, 5), (), (4, 6), (5,))), Tree((7,), ((8, 1, 2), (8,)))]
    logs, sizes = branch_logprobs(Counting(), trees, pad=0)
    assert sizes == [2, 0, 2, 1, 3, 1]
    expected = [0, 0, 0, -50, -50, 0, -50, 0, 0]
    assert logs.tolist() == pytest.approx(expected, abs=1e-6)
    assert branch_sums(logs, sizes).tolist() == pytest.approx([0, 0, -50, -50, -50, 0], abs=1e-6)


@pytest.mark.parametrize("tokens", [1, 7, 16, 40, 1000])
@pytest.mark.parametrize("labels", [1, 5, 1000])
def test_packs_keep_within_the_budget_and_lose_nobody(tokens, labels):
    sizes = [3, 9, 1, 4, 4, 12, 2, 7]
    trees = [Tree((0,) * n, ((1,) * (n % 3 + 1),)) for n in sizes]
    made = list(packs(trees, lambda tree: tree, Budget(tokens, labels)))
    assert sorted(tree.tokens for pack in made for tree in pack) == sorted(t.tokens for t in trees)
    for pack in made:
        assert len(pack) == 1 or len(pack) * max(tree.tokens for tree in pack) <= tokens
        assert len(pack) == 1 or sum(tree.labels for tree in pack) <= labels
    if min(tokens, labels) == 1000:
        assert len(made) == 1


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_lower_precision_is_near_and_reported_in_float32(engine, adapters, dtype):
    tam, user, _ = adapters()
    exact = scored(engine(), requests((tam, user)))
    found = scored(engine(dtype=dtype), requests((tam, user)))
    for name, logs in exact.items():
        assert found[name] == pytest.approx(logs, abs=0.5)
        assert found[name] != logs

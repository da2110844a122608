"""Responses that share a prompt: token positions, masks, and log-probabilities."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from lampbench.engine.batched.prompt_tree import PromptTree, branch_logprobs, branch_sums


class Counting:
    """In place of a forward pass: certain of the next number. Keeps what it was given."""

    model = SimpleNamespace(device=torch.device("cpu"))

    def length(self, tokens):
        return tokens

    def masks(self, allowed, query, key):
        assert torch.equal(query, key)
        return allowed

    def logits(self, tokens, positions, *, mask, at):
        self.tokens, self.positions, self.mask = tokens, positions, mask
        return torch.nn.functional.one_hot((tokens[at] + 1) % 10, 10) * 50.0


def test_branches_count_on_from_the_prompt_and_do_not_see_each_other():
    forward: Any = Counting()
    trees = [PromptTree((7, 8, 9), ((1, 2), (3,))), PromptTree((5,), ((6,), (4, 5)))]
    branch_logprobs(forward, trees, pad=0)
    assert forward.tokens.tolist() == [[7, 8, 9, 1, 2, 3], [5, 6, 4, 5, 0, 0]]
    assert forward.positions.tolist()[0] == [0, 1, 2, 3, 4, 3]
    assert forward.positions.tolist()[1][:4] == [0, 1, 1, 2]
    seen = [[1, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0],
            [1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 0], [1, 1, 1, 0, 0, 1]]  # fmt: skip
    assert forward.mask[0].int().tolist() == seen
    seen = [[1, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0], [1, 0, 1, 0, 0, 0], [1, 0, 1, 1, 0, 0]]
    assert forward.mask[1, :4].int().tolist() == seen
    assert forward.mask.any(-1).all()  # the softmax over nothing is NaN


def test_rows_without_branches_are_padded_on_the_right_under_a_causal_mask():
    forward: Any = Counting()
    branch_logprobs(forward, [PromptTree((7, 8), ((9,),)), PromptTree((5,), ((6,),))], pad=0)
    assert forward.tokens.tolist() == [[7, 8, 9], [5, 6, 0]]
    assert forward.positions.tolist() == [[0, 1, 2]]
    assert forward.mask is None


def test_only_responses_are_scored():
    """Log-probability 0 if the next token is the expected one, -50 if not."""
    forward: Any = Counting()
    trees = [PromptTree((1, 2, 3), ((4, 5), (), (4, 6), (5,))), PromptTree((7,), ((8, 1, 2), (8,)))]
    logs, sizes = branch_logprobs(forward, trees, pad=0)
    assert sizes == [2, 0, 2, 1, 3, 1]
    expected = [0, 0, 0, -50, -50, 0, -50, 0, 0]
    assert logs.tolist() == pytest.approx(expected, abs=1e-6)
    assert branch_sums(logs, sizes).tolist() == pytest.approx([0, 0, -50, -50, -50, 0], abs=1e-6)

"""Sequences in passes of bounded size."""

import pytest

from lampbench.engine.batched.packing import PassLimits, pack
from lampbench.engine.batched.prompt_tree import PromptTree


@pytest.mark.parametrize("tokens", [1, 7, 16, 40, 1000])
@pytest.mark.parametrize("labels", [1, 5, 1000])
def test_batches_keep_within_the_limits_and_hold_every_item(tokens, labels):
    sizes = [3, 9, 1, 4, 4, 12, 2, 7]
    trees = [PromptTree((0,) * n, ((1,) * (n % 3 + 1),)) for n in sizes]
    made = list(pack(trees, lambda tree: tree, PassLimits(tokens, labels)))
    assert sorted(tree.tokens for batch in made for tree in batch) == sorted(
        tree.tokens for tree in trees
    )
    for batch in made:
        assert len(batch) == 1 or len(batch) * max(tree.tokens for tree in batch) <= tokens
        assert len(batch) == 1 or sum(tree.labels for tree in batch) <= labels
    if min(tokens, labels) == 1000:
        assert len(made) == 1

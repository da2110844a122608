"""Dropout of the stacked LoRA."""

import torch

from lampbench.engine.batched.stacked_lora import RowDropout


def test_dropout_is_drawn_for_a_rows_own_tokens_alone():
    """So the length of the longest row in the batch plays no part on any device."""
    ones = torch.ones(2, 9, 4)
    found = RowDropout(0.5, [3, 4], [9, 5])(ones, 7)
    assert not found[1, 5:].any()
    assert torch.equal(found[1, :5], RowDropout(0.5, [4], [5])(ones[:1, :5], 7)[0])

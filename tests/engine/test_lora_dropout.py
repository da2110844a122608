"""Dropout on a LoRA's input."""

import pytest
import torch

from lampbench.engine.lora_dropout import LoraDropout


def masks(seeds: list[int], positions: list[int], rate: float = 0.5) -> LoraDropout:
    return LoraDropout(rate, torch.tensor(seeds), torch.tensor(positions))


def test_a_tokens_mask_depends_on_its_seed_position_and_layer_alone():
    found = masks([3, 4, 5], [0, 1, 2, 3, 4])(torch.ones(3, 5, 40), "q_proj")
    assert torch.equal(masks([4], [3])(torch.ones(1, 1, 40), "q_proj"), found[1:2, 3:4])
    other = masks([3, 4, 5], [0, 1, 2, 3, 4])(torch.ones(3, 5, 40), "v_proj")
    everything = torch.cat([found, other]).view(30, 40)
    assert len({tuple(row.tolist()) for row in everything}) == 30


def test_scaled_up_the_mean_stays():
    dropout = masks([7], list(range(400)), 0.2)
    found = dropout(torch.ones(1, 400, 300), "q_proj") * dropout.scale
    assert set(found.unique().tolist()) == {0.0, 1.25}
    assert found.mean().item() == pytest.approx(1.0, abs=0.01)

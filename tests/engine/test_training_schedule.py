"""Learning rates and order of examples of a training."""

import dataclasses

import pytest
import torch

from lampbench.engine.protocol import OptimSpec
from lampbench.engine.training_schedule import batch_indices, learning_rate, total_steps
from tests.engine.engine_inputs import OPTIM


@pytest.mark.parametrize(("ratio", "steps"), [(0.1, 4), (0.1, 25), (0.2, 10), (0.0, 5), (1.0, 3)])
def test_rate_equals_transformers_schedule(ratio, steps):
    from transformers import get_linear_schedule_with_warmup

    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.AdamW([weight], lr=0.5)
    warmup = -(-int(ratio * steps * 1000) // 1000)  # rounded up, as TrainingArguments does
    schedule = get_linear_schedule_with_warmup(optimizer, warmup, steps)
    spec = dataclasses.replace(OPTIM, learning_rate=0.5, warmup_ratio=ratio)
    for step in range(steps):
        assert learning_rate(spec, step, steps) == pytest.approx(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()


def test_an_epoch_shows_every_example_once_in_an_order_of_its_own():
    spec = OptimSpec(1e-3, epochs=3, batch_size=4, weight_decay=0, warmup_ratio=0, max_grad_norm=1)
    steps = total_steps(spec, 10)
    batches = [batch_indices(spec, 10, 7, step) for step in range(steps)]
    assert [len(batch) for batch in batches] == [4, 4, 2] * 3
    epochs = [[i for batch in batches[e : e + 3] for i in batch] for e in (0, 3, 6)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    assert batches != [batch_indices(spec, 10, 8, step) for step in range(steps)]

"""The least length of an answer: equal in both engines, and to a naive loop that bars the end."""

from typing import Any

import pytest
import torch

from lampbench.engine.next_token import held_open
from lampbench.engine.protocol import Contrast, GenerateRequest, GenerationSpec, Sampling
from tests.engine.engine_inputs import prompt


def test_only_early_rows_are_held_open():
    logits = torch.arange(12.0).view(3, 4)
    ends, steps = torch.tensor([False, True, False, True]), torch.tensor([0, 1, 2])
    found = held_open(GenerationSpec(9, min_new_tokens=2), logits, ends, steps)
    assert torch.isinf(found).tolist() == [[False, True] * 2, [False, True] * 2, [False] * 4]
    assert held_open(GenerationSpec(9), logits, ends, steps) is logits


@pytest.fixture
def ends_at_once(engine, reference, monkeypatch):
    """What the model says most is the end of the answer, so that the bar is felt."""
    requests = [GenerateRequest(str(n), prompt(n), (), GenerationSpec(6)) for n in range(4)]
    stop = frozenset(token for one in reference.generate(requests) for token in one.token_ids)
    monkeypatch.setattr(engine(), "_stop", stop)
    monkeypatch.setattr(reference, "_stop", stop)
    return stop


@pytest.mark.parametrize("kind", ["greedy", "sampled", "contrastive"])
def test_engines_agree_and_no_answer_is_shorter(kind, engine, reference, adapters, ends_at_once):
    tam, user, _ = adapters()
    kinds: dict[str, dict[str, Any]] = {
        "greedy": {},
        "sampled": {"sampling": Sampling(0.9, 0.9)},
        "contrastive": {"contrast": Contrast((tam,), 0.3, 0.1)},
    }
    more = kinds[kind]
    free = GenerationSpec(6, **more)
    held = GenerationSpec(6, min_new_tokens=4, **more)
    asked = [
        GenerateRequest(f"{n} {spec.min_new_tokens}", prompt(n), (tam, user), spec, seed=n)
        for n in range(4)
        for spec in (free, held)
    ]
    found = {one.id: one.token_ids for one in engine().generate(asked)}
    assert found == {one.id: one.token_ids for one in reference.generate(asked)}
    lengths = {spec: [len(found[f"{n} {spec}"]) for n in range(4)] for spec in (0, 4)}
    assert min(lengths[4]) >= 4 > min(lengths[0])
    for n in range(4):
        assert not set(found[f"{n} 4"][:4]) & ends_at_once

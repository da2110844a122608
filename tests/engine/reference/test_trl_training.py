"""What trl is given: the encoder's tokens, the job's order, TAM as the reference."""

import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from lampbench.engine.protocol import DPOSpec
from lampbench.engine.reference import trl_training
from lampbench.engine.training_schedule import batch_indices, total_steps
from tests.engine.engine_inputs import OPTIM, STILL, examples, job, no_hook, preferences
from tests.engine.trained import encoded


@pytest.fixture
def seen(monkeypatch):
    """The batches that trl's trainers get, as lists of token ids without padding."""
    batches = []
    collated = trl_training._numbered

    def spied(collator):
        collate = collated(collator)

        def note(rows):
            batch = collate(rows)
            kept = zip(batch["input_ids"], batch["attention_mask"], strict=True)
            batches.append([ids[mask > 0].tolist() for ids, mask in kept])
            return batch

        return note

    monkeypatch.setattr(trl_training, "_numbered", spied)
    return batches


def test_batches_are_the_encoders_tokens_in_the_jobs_order(reference, tmp_path, seen):
    """No second end of turn, nothing cut, and another order in every epoch."""
    asked = job(tmp_path, "u", data=examples(7), adapter=STILL)
    list(reference.train([asked], no_hook))
    tokens = [[*question, *response] for question, (response,) in encoded(reference, asked)]
    assert all(row.count(reference._training_encoder.end_of_turn) >= 1 for row in tokens)
    steps = range(total_steps(asked.optim, 7))
    expected = [[tokens[i] for i in batch_indices(asked.optim, 7, asked.seed, s)] for s in steps]
    assert seen == expected
    assert seen[:3] != seen[3:]


def test_both_responses_of_a_pair_are_given_as_they_are(reference, adapters, tmp_path, seen):
    tam, user, _ = adapters()
    asked = job(tmp_path, "u", data=preferences(3), adapter=STILL, frozen=(tam,), start=user,
                dpo=DPOSpec(0.7, (tam,)), optim=replace(OPTIM, epochs=1))  # fmt: skip
    list(reference.train([asked], no_hook))
    pairs = encoded(reference, asked)
    order = batch_indices(asked.optim, 3, asked.seed, 0)
    (batch,) = seen
    assert batch == [[*pairs[i][0], *pairs[i][1][side]] for side in (0, 1) for i in order]


def test_the_first_margin_is_measured_against_tam(reference, adapters, tmp_path):
    """Against a copy of the start adapter, trl's default, it would be zero."""
    tam, user, _ = adapters()
    options = {"data": preferences(3), "adapter": STILL, "frozen": (tam,), "start": user}
    against_tam = job(tmp_path, "tam", **options, dpo=DPOSpec(0.7, (tam,)))
    against_itself = job(tmp_path, "self", **options, dpo=DPOSpec(0.7, (tam, user)))
    first, second = reference.train([against_tam, against_itself], no_hook)
    assert abs(first.margins[0]) > 0.01
    assert second.margins[0] == pytest.approx(0.0, abs=1e-5)


def test_training_leaves_models_and_random_numbers_as_they_were(reference, adapters, tmp_path):
    tam, user, _ = adapters()
    random.seed(7)
    np.random.seed(7)
    torch.manual_seed(7)
    before = (
        random.getstate(),
        np.random.get_state(legacy=False)["state"]["key"].tolist(),
        torch.get_rng_state().tolist(),
    )
    asked = job(tmp_path, "u", data=preferences(3), frozen=(tam,), start=user,
                dpo=DPOSpec(0.7, (tam,)))  # fmt: skip
    steps = []
    list(reference.train([asked], lambda *step: steps.append(step)))
    after = (
        random.getstate(),
        np.random.get_state(legacy=False)["state"]["key"].tolist(),
        torch.get_rng_state().tolist(),
    )
    assert after == before
    assert steps == [("u", 1, 2), ("u", 2, 2)]
    for model in (reference._user._plain, reference._other(0)._plain):
        assert "forward" not in vars(model)

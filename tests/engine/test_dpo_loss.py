"""Equation 6: by hand, and compared with trl's DPOTrainer, all losses and weights."""

import dataclasses
import math

import pytest
import torch

from lampbench.engine.dpo_loss import dpo_loss
from lampbench.engine.protocol import DPOSpec
from lampbench.engine.training_schedule import batch_indices
from tests.engine.engine_inputs import OPTIM, STILL, job, no_hook, preferences
from tests.engine.trained import apart, encoded, tensors


def test_equation_6_by_hand():
    # r(chosen) = -4 + 5 = 1, r(rejected) = -6 + 4 = -2: margin 0.5 x 3 = 1.5
    # second pair: r = 0 and 2: margin -1
    policy = torch.tensor([[-4.0, -6.0], [-3.0, -1.0]])
    reference = torch.tensor([[-5.0, -4.0], [-3.0, -3.0]])
    losses, margins = dpo_loss(policy, reference, 0.5)
    assert margins.tolist() == [1.5, -1.0]
    expected = [math.log1p(math.exp(-1.5)), math.log1p(math.exp(1.0))]
    assert losses.tolist() == pytest.approx(expected, abs=1e-6)


def test_the_loss_is_log_2_if_policy_and_reference_are_equal():
    sums = torch.randn(5, 2)
    losses, margins = dpo_loss(sums, sums, 3.0)
    assert losses.tolist() == pytest.approx([math.log(2)] * 5)
    assert margins.tolist() == [0.0] * 5


def test_gradient_by_hand():
    """d loss / d log p(chosen) = -beta sigmoid(-margin), and the negative of it for rejected."""
    policy = torch.tensor([[-4.0, -6.0]], requires_grad=True)
    losses, _ = dpo_loss(policy, torch.tensor([[-5.0, -4.0]]), 0.5)
    losses.sum().backward()
    slope = 0.5 / (1 + math.exp(1.5))
    assert policy.grad is not None
    assert policy.grad.tolist() == [pytest.approx([-slope, slope], abs=1e-6)]


@pytest.fixture
def trl_training(engine, merged_model, adapters, tmp_path):
    """trl's DPOTrainer, trained on the batches of a job; with `reference` None it makes its own."""

    def train(name, asked, reference):
        from datasets import Dataset
        from peft import PeftModel
        from trl.trainer.dpo_config import DPOConfig
        from trl.trainer.dpo_trainer import DPOTrainer

        class AsGiven(DPOTrainer):
            def _prepare_dataset(self, dataset, *arguments):
                return dataset

        tam, user, _ = adapters(name)
        pairs = encoded(engine(name), asked)
        order = [
            i for step in range(4) for i in batch_indices(asked.optim, len(pairs), asked.seed, step)
        ]
        rows = [
            {"prompt_ids": prompt, "chosen_ids": chosen, "rejected_ids": rejected}
            for prompt, (chosen, rejected) in (pairs[i] for i in order)
        ]
        arguments = DPOConfig(
            output_dir=str(tmp_path / "trl"), beta=asked.dpo.beta, per_device_train_batch_size=3,
            num_train_epochs=1, train_sampling_strategy="sequential", learning_rate=1e-3,
            weight_decay=0.01, warmup_steps=1, max_grad_norm=0.3, lr_scheduler_type="linear",
            logging_steps=1, report_to=[], save_strategy="no", use_cpu=True, bf16=False,
            disable_tqdm=True, gradient_checkpointing=False, max_length=None,
        )  # fmt: skip
        policy = PeftModel.from_pretrained(merged_model(name, tam), str(user), is_trainable=True)
        trainer = AsGiven(
            policy, reference, arguments, train_dataset=Dataset.from_list(rows),
            processing_class=engine(name)._training_encoder.tokenizer,
        )  # fmt: skip
        trainer.train()
        policy.save_pretrained(tmp_path / "theirs")
        logs = [entry for entry in trainer.state.log_history if "rewards/margins" in entry]
        return [e["loss"] for e in logs], [e["rewards/margins"] for e in logs]

    return train


def continued(adapters, tmp_path, name):
    """A user's adapter continued on TAM, with TAM as reference."""
    tam, user, _ = adapters(name)
    return job(
        tmp_path, "u", data=preferences(6), adapter=STILL, frozen=(tam,), start=user,
        dpo=DPOSpec(0.7, (tam,)), optim=dataclasses.replace(OPTIM, learning_rate=1e-3),
    )  # fmt: skip


@pytest.mark.parametrize("name", ["llama", "gemma"])
def test_training_equals_trls_trainer(engine, merged_model, adapters, trl_training, tmp_path, name):
    """All losses, all margins and the trained weights, on the same batches."""
    tam, user, _ = adapters(name)
    asked = continued(adapters, tmp_path, name)
    (result,) = engine(name).train([asked], no_hook)
    losses, margins = trl_training(name, asked, merged_model(name, tam))
    assert losses == pytest.approx(list(result.losses), abs=2e-4)
    assert margins == pytest.approx(list(result.margins), abs=2e-4)
    ours = tensors(asked.output)
    moved = apart(ours, tensors(user))
    assert moved > 1e-3
    assert apart(ours, tensors(tmp_path / "theirs")) < 0.02 * moved


def test_trl_without_a_reference_computes_another_loss(engine, adapters, trl_training, tmp_path):
    """Why the reference is always given: without one trl copies the adapter it starts from."""
    asked = continued(adapters, tmp_path, "llama")
    tam, user, _ = adapters()
    losses, margins = trl_training("llama", asked, None)
    (against_tam,) = engine().train([asked], no_hook)
    itself = dataclasses.replace(asked, dpo=DPOSpec(0.7, (tam, user)))
    (against_itself,) = engine().train([itself], no_hook)
    assert losses[0] == pytest.approx(math.log(2), abs=1e-4)
    assert losses == pytest.approx(list(against_itself.losses), abs=2e-4)
    assert margins == pytest.approx(list(against_itself.margins), abs=2e-4)
    assert abs(losses[0] - against_tam.losses[0]) > 0.05


def test_the_first_margin_is_measured_against_tam(engine, adapters, tmp_path):
    """The start adapter already differs from TAM: against itself the margin would be zero."""
    tam, user, _ = adapters()
    asked = job(tmp_path, "u", data=preferences(3), adapter=STILL, frozen=(tam,), start=user,
                dpo=DPOSpec(0.7, (tam,)))  # fmt: skip
    (against_tam,) = engine().train([asked], no_hook)
    itself = dataclasses.replace(asked, dpo=DPOSpec(0.7, (tam, user)))
    (against_itself,) = engine().train([itself], no_hook)
    assert abs(against_tam.margins[0]) > 0.01
    assert against_itself.margins[0] == pytest.approx(0.0, abs=1e-4)


def test_dpo_raises_the_margin(engine, adapters, tmp_path):
    tam, user, _ = adapters()
    optim = dataclasses.replace(OPTIM, epochs=6)
    asked = job(tmp_path, "u", data=preferences(6), frozen=(tam,), start=user, optim=optim,
                dpo=DPOSpec(0.7, (tam,)))  # fmt: skip
    (result,) = engine().train([asked], no_hook)
    assert result.margins[-1] > result.margins[0] + 1
    assert result.losses[-1] < result.losses[0]
    assert len(result.margins) == len(result.losses) == result.steps == 12

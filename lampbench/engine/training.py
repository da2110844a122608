"""Training one adapter: transformers' Trainer around two losses, supervised and equation 6."""

import contextlib
import math
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.functional import logsigmoid
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from lampbench.engine.loading import quiet
from lampbench.engine.protocol import TrainJob
from lampbench.engine.scoring import response_logprobs
from lampbench.errors import LampbenchError

_ADAPTER = "trained.safetensors"
_CHECKPOINT_STEPS = 100


@dataclass(frozen=True, slots=True)
class Sided:
    """An encoded example: prompt and response, and for DPO the rejected response with the
    reference's sums of log-probabilities (chosen, rejected).
    """

    prompt: list[int]
    response: list[int]
    rejected: list[int] | None = None
    reference: tuple[float, float] | None = None


def dpo_loss(policy: Tensor, reference: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    """Equation 6 for pairs: -log sigmoid(beta (r(chosen) - r(rejected))).

    `policy` and `reference` are [pairs, 2], sums of the response's log-probabilities for chosen
    and rejected; r is their difference.

    Returns:
        Losses [pairs] and beta-scaled margins [pairs].
    """
    rewards = policy - reference
    margins = beta * (rewards[:, 0] - rewards[:, 1])
    return -logsigmoid(margins), margins


def run(
    job: TrainJob,
    model: Any,
    parameters: dict[str, Any],
    data: list[Sided],
    pad: int,
    on_step: Callable[[int, int], None],
) -> tuple[list[float], list[float]]:
    """Train the parameters on the data; returns the loss and (for DPO) the margin of each step.

    AdamW, linear warm-up over ceil(ratio x steps) steps, linear decay to zero, clipped gradients.
    Everything random depends on the job's seed alone; a killed run goes on from the last
    checkpoint in `job.scratch` and ends with the same weights.

    Raises:
        LampbenchError: the loss is no longer a number.
    """
    spec = job.optim
    steps = math.ceil(len(data) / spec.batch_size) * spec.epochs
    arguments = TrainingArguments(
        output_dir=str(job.scratch),
        num_train_epochs=spec.epochs,
        per_device_train_batch_size=spec.batch_size,
        learning_rate=spec.learning_rate,
        weight_decay=spec.weight_decay,
        warmup_steps=math.ceil(spec.warmup_ratio * steps),
        max_grad_norm=spec.max_grad_norm,
        lr_scheduler_type="linear",
        optim="adamw_torch",
        seed=job.seed,
        data_seed=job.seed,
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="steps" if steps > _CHECKPOINT_STEPS else "no",
        save_steps=_CHECKPOINT_STEPS,
        save_total_limit=1,
        remove_unused_columns=False,
        label_names=[],
        report_to=[],
        disable_tqdm=True,
        use_cpu=model.device.type == "cpu",
        dataloader_pin_memory=False,
        gradient_checkpointing=_wants_checkpointing(model),
        gradient_checkpointing_kwargs={"use_reentrant": False},
    )
    with quiet(), _own_randomness():
        trainer = _AdapterTrainer(
            model=model,
            args=arguments,
            train_dataset=data,
            data_collator=list,
            callbacks=[_Watch(job, on_step)],
        )
        trainer.remove_callback(_printer())
        trainer.adapter, trainer.job, trainer.pad = parameters, job, pad
        trainer.train(resume_from_checkpoint=get_last_checkpoint(str(job.scratch))
                      if job.scratch.is_dir() else None)  # fmt: skip
    model.eval()
    shutil.rmtree(job.scratch, ignore_errors=True)
    history = [entry for entry in trainer.state.log_history if "loss" in entry]
    return [entry["loss"] for entry in history], [e["margin"] for e in history if "margin" in e]


class _AdapterTrainer(Trainer):  # type: ignore[misc]
    """A Trainer whose batches are lists of `Sided` and whose checkpoints hold the adapter only."""

    adapter: dict[str, Any]
    job: TrainJob
    pad: int
    _margin: float | None = None

    def _prepare_inputs(self, inputs: Any) -> Any:
        return inputs

    def get_batch_samples(self, iterator: Any, count: int, device: Any) -> tuple[list[Any], None]:
        batches = [batch for _, batch in zip(range(count), iterator, strict=False)]
        return batches, None

    def num_tokens(self, loader: Any, max_steps: int | None = None) -> int:
        return 0

    def floating_point_ops(self, inputs: Any) -> int:
        return 0

    def compute_loss(self, model: Any, inputs: list[Sided], *_: Any, **__: Any) -> Tensor:
        prompts = [item.prompt for item in inputs]
        chosen = [item.response for item in inputs]
        if self.job.dpo is None:
            return -torch.cat(response_logprobs(model, prompts, chosen, self.pad)).mean()
        rejected = [item.rejected or [] for item in inputs]
        logs = response_logprobs(model, prompts * 2, chosen + rejected, self.pad)
        policy = torch.stack([log.sum() for log in logs]).view(2, -1).T
        reference = torch.tensor([item.reference for item in inputs], device=policy.device)
        losses, margins = dpo_loss(policy, reference, self.job.dpo.beta)
        self._margin = float(margins.detach().mean())
        return losses.mean()

    def log(self, logs: dict[str, float], *arguments: Any, **named: Any) -> None:
        if self._margin is not None and "loss" in logs:
            logs["margin"] = self._margin
        super().log(logs, *arguments, **named)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        folder = Path(output_dir or self.args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: p.detach().cpu().contiguous() for name, p in self.adapter.items()}
        save_file(tensors, folder / _ADAPTER)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        for name, value in load_file(Path(resume_from_checkpoint) / _ADAPTER).items():
            self.adapter[name].data.copy_(value)


class _Watch(TrainerCallback):  # type: ignore[misc]
    """Reports steps, keeps frozen adapters free of dropout, and stops at a loss that is none."""

    def __init__(self, job: TrainJob, on_step: Callable[[int, int], None]) -> None:
        self._job = job
        self._on_step = on_step

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._on_step(state.global_step, state.max_steps)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss):
            raise LampbenchError(
                f"training {self._job.id}: the loss is {loss} at step {state.global_step}; "
                "lower the learning rate or use --dtype float32"
            )


def _printer() -> type:
    from transformers.trainer_callback import PrinterCallback

    return PrinterCallback


def _wants_checkpointing(model: Any) -> bool:
    """Recompute activations where the model is large enough for them to be the bottleneck."""
    return sum(p.numel() for p in model.parameters()) > 1_000_000_000


@contextlib.contextmanager
def _own_randomness() -> Iterator[None]:
    """Leave the global random states as they were found."""
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        yield
    random.setstate(python)
    np.random.set_state(numpy)

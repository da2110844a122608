"""Training by trl: its SFTTrainer and DPOTrainer, on the tokens and in the order they are given.

What is trl's and transformers': the loss, the forward and backward passes, padding, AdamW, clipping
and the learning-rate schedule. What this project needs and trl cannot do, or does otherwise by
default, is taken over here:

- tokens: trl would tokenise again, put a second EOS after each response, and truncate at 1,024
  tokens; it gets token ids and does none of this.
- the reference of DPO: for an adapter that is continued, trl takes a copy of that adapter; it is
  given the model of `DPOSpec.reference` instead.
- the order of examples: each epoch has one of its own, drawn from the job's seed alone.
- dropout: trl draws masks from the process's generator, in the order of its calls; a LoRA has the
  masks of `LoraDropout`, which depend on example, step and position. The base model has none.
- a loss that is NaN: trl goes on; a job is given up.
- one device: with several GPUs trl refuses to train in one process; it is shown the first.
"""

import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from transformers import PrinterCallback, TrainerCallback
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer
from trl.trainer.dpo_trainer import DataCollatorForPreference
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from lampbench.engine.divergence import divergence
from lampbench.engine.prompt_encoder import EncodedResponses
from lampbench.engine.protocol import LoraSpec, StepHook, TrainJob
from lampbench.engine.quiet_libraries import quiet_libraries
from lampbench.engine.reference.dropout import lora_dropout
from lampbench.engine.reference.random_state import seeded
from lampbench.engine.training_schedule import batch_indices, dropout_seed, total_steps
from lampbench.util.errors import LampbenchError

_NUMBER = "example_number"
_IGNORED = -100  # transformers' label of tokens that are not trained on


@dataclass
class Course:
    """A job's training: what trl is given, and what came of it so far.

    `failure` says why the training was given up, None where it was not.
    """

    job: TrainJob
    encoded: Sequence[EncodedResponses]
    on_step: StepHook
    losses: list[float] = field(default_factory=list)
    margins: list[float] = field(default_factory=list)
    failure: str | None = None

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole training."""
        return total_steps(self.job.optim, len(self.encoded))

    def order(self, epoch: int) -> Iterator[int]:
        """The numbers of the examples in the order of an epoch, counted from 0."""
        per_epoch = self.steps // self.job.optim.epochs
        for step in range(epoch * per_epoch, (epoch + 1) * per_epoch):
            yield from batch_indices(self.job.optim, len(self.encoded), self.job.seed, step)

    def dropout(
        self, model: Any, numbers: Sequence[int], positions: Tensor
    ) -> AbstractContextManager[None]:
        """The dropout of this step's batch, whose rows are at `positions` [rows, tokens].

        `numbers` are those of the rows' examples.
        """
        spec = self.job.adapter
        rate = spec.dropout if isinstance(spec, LoraSpec) else 0.0
        if not rate:
            return nullcontext()
        step = len(self.losses)
        seeds = [dropout_seed(self.job.seed, step, number) for number in numbers]
        return lora_dropout(model, rate, seeds, positions)


def train_by_trl(
    model: Any, reference: Any, tokenizer: Any, course: Course, device: torch.device
) -> None:
    """Train what requires a gradient in `model`, a PeftModel, as `course.job` says.

    `reference` is the plain model that DPO is measured against, None for fine-tuning.

    Raises:
        LampbenchError: the device is not the first of its kind.
    """
    if device.type == "cuda" and device.index:
        raise LampbenchError(
            f"the reference engine trains on the first GPU alone, not on {device}; set "
            f"CUDA_VISIBLE_DEVICES={device.index}"
        )
    plain = model.get_base_model()
    with (
        quiet_libraries(),
        seeded(course.job.seed, device),
        tempfile.TemporaryDirectory(prefix="lampbench-trl-") as folder,
        _forward_kept(plain, reference),
    ):
        trainer = _trainer(model, reference, tokenizer, course, device, folder)
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(_Report(course))
        trainer.train()
    model.eval()


def _trainer(
    model: Any, reference: Any, tokenizer: Any, course: Course, device: torch.device, folder: str
) -> Any:
    """The trainer of a job, whose examples are its dataset."""
    optim = course.job.optim
    common: dict[str, Any] = {
        "output_dir": folder, "save_strategy": "no", "report_to": [], "disable_tqdm": True,
        "logging_steps": 1, "logging_nan_inf_filter": False, "remove_unused_columns": False,
        "dataloader_pin_memory": False, "use_cpu": device.type == "cpu",
        "bf16": False, "gradient_checkpointing": False, "max_length": None,
        "per_device_train_batch_size": optim.batch_size, "num_train_epochs": optim.epochs,
        "optim": "adamw_torch", "learning_rate": optim.learning_rate,
        "weight_decay": optim.weight_decay, "max_grad_norm": optim.max_grad_norm,
        "lr_scheduler_type": "linear",
        "warmup_steps": math.ceil(optim.warmup_ratio * course.steps),
    }  # fmt: skip
    pad = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    given: dict[str, Any] = {"processing_class": tokenizer, "course": course}
    arguments: Any
    if course.job.dpo is None:
        arguments = SFTConfig(**common, dataset_kwargs={"skip_prepare_dataset": True})
        given |= {"train_dataset": Dataset.from_list(_sft_rows(course.encoded)),
                  "data_collator": _numbered(DataCollatorForLanguageModeling(pad))}  # fmt: skip
        kind: type[Any] = _GivenSFT
    else:
        arguments = DPOConfig(**common, beta=course.job.dpo.beta)
        given |= {"train_dataset": Dataset.from_list(_dpo_rows(course.encoded)),
                  "data_collator": _numbered(DataCollatorForPreference(pad)),
                  "ref_model": reference}  # fmt: skip
        kind = _GivenDPO
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return kind(model=model, args=arguments, **given)


def _sft_rows(encoded: Sequence[EncodedResponses]) -> list[dict[str, Any]]:
    return [
        {
            "input_ids": [*each.prompt, *each.responses[0]],
            "labels": [_IGNORED] * len(each.prompt) + list(each.responses[0]),
            _NUMBER: number,
        }
        for number, each in enumerate(encoded)
    ]


def _dpo_rows(encoded: Sequence[EncodedResponses]) -> list[dict[str, Any]]:
    return [
        {
            "prompt_ids": list(each.prompt),
            "chosen_ids": list(each.responses[0]),
            "rejected_ids": list(each.responses[1]),
            _NUMBER: number,
        }
        for number, each in enumerate(encoded)
    ]


def _numbered(collator: Callable[[list[dict[str, Any]]], dict[str, Any]]) -> Callable[..., Any]:
    """Trl's collator, with the numbers of the examples beside the batch."""

    def collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
        batch = dict(collator(rows))
        batch[_NUMBER] = torch.tensor([row[_NUMBER] for row in rows])
        return batch

    return collate


class _InOrder(torch.utils.data.Sampler[int]):
    """The examples of each epoch in the course's order."""

    def __init__(self, course: Course) -> None:
        self._course, self._epoch = course, 0

    def __iter__(self) -> Iterator[int]:
        self._epoch += 1
        return self._course.order(self._epoch - 1)

    def __len__(self) -> int:
        return len(self._course.encoded)


class _Given:
    """What both trainers take from the course instead of making it themselves."""

    def __init__(self, *, course: Course, **options: Any) -> None:
        self._course = course
        super().__init__(**options)

    def _prepare_dataset(self, dataset: Any, *rest: Any) -> Any:
        return dataset

    def _get_train_sampler(self, *rest: Any) -> Any:
        return _InOrder(self._course)

    def compute_loss(self, model: Any, inputs: dict[str, Any], *rest: Any, **options: Any) -> Any:
        numbers = inputs.pop(_NUMBER).tolist()
        model.eval()  # the base model's own dropout stays off; the adapter's does not ask
        positions, rows = self._rows(inputs, numbers)
        with self._course.dropout(model, rows, positions):
            loss = super().compute_loss(model, inputs, *rest, **options)  # type: ignore[misc]
        self._course.losses.append(float(loss.detach()))
        return loss

    def _rows(self, inputs: dict[str, Any], numbers: list[int]) -> tuple[Tensor, list[int]]:
        """Positions [rows, tokens] of a batch's tokens, and the numbers of its rows' examples."""
        ids = inputs["input_ids"]
        return torch.arange(ids.shape[1], device=ids.device).expand(ids.shape), numbers


class _GivenSFT(_Given, SFTTrainer):
    pass


class _GivenDPO(_Given, DPOTrainer):
    def _rows(self, inputs: dict[str, Any], numbers: list[int]) -> tuple[Tensor, list[int]]:
        """The chosen responses are in the first half, the rejected ones in the second.

        A rejected response is after the chosen one: the two have masks of their own.
        """
        positions, _ = super()._rows(inputs, numbers)
        mask = inputs["completion_mask"]
        chosen = mask[: len(numbers)].sum(dim=1, keepdim=True)
        after = torch.cat([torch.zeros_like(chosen), chosen])
        answered = mask.cumsum(dim=1) > 0
        return positions + after * answered, [*numbers, *numbers]


class _Report(TrainerCallback):
    """Tells of every step, and ends a training whose loss or gradient is no number."""

    def __init__(self, course: Course) -> None:
        self._course = course

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **rest: Any) -> None:
        """Called by transformers after each step."""
        if "grad_norm" not in logs:  # the summary at the end
            return
        margin = logs.get("rewards/margins", logs.get("eval_rewards/margins"))
        if margin is not None:
            self._course.margins.append(float(margin))
        norm = float(logs["grad_norm"])
        step = state.global_step
        self._course.failure = divergence(self._course.losses[-1], norm, step)
        if self._course.failure:
            control.should_training_stop = True
        else:
            self._course.on_step(self._course.job.id, step, self._course.steps)


@contextmanager
def _forward_kept(*models: Any) -> Iterator[None]:
    """Takes trl's forward pass off the models again, which it puts on their instances."""
    kept = [(model, vars(model).get("forward")) for model in models if model is not None]
    try:
        yield
    finally:
        for model, forward in kept:
            vars(model).pop("forward", None)
            if forward is not None:
                model.forward = forward

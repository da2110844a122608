"""The batched engine on a device that does not exist: shapes, types and devices, without numbers.

Tensors are torch's fake ones, which know their device and refuse to be mixed with others, as a
GPU's do; to ask one for its values is an error. A process of its own runs this, since torch cannot
forget a device.
"""

import dataclasses
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch._subclasses import fake_tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.backend_registration import rename_privateuse1_backend

from lampbench.core.fidelity import PAPER
from lampbench.engine import adapter_files
from lampbench.engine.adapter_files import write_adapter
from lampbench.engine.batched import batch_size, step_attention
from lampbench.engine.batched import engine as batched_engine
from lampbench.engine.batched.decoding_step import DecodingStep
from lampbench.engine.batched.engine import BatchedEngine
from lampbench.engine.load_model import load_model
from lampbench.engine.lora_init import initial_matrices, peft_config
from lampbench.engine.models import resolve_model
from lampbench.engine.protocol import (
    Contrast,
    DPOSpec,
    GenerateRequest,
    GenerationSpec,
    Sampling,
    ScoreRequest,
)
from tests.engine import tiny_models
from tests.engine.engine_inputs import (
    LORA_SHAPES,
    RESPONSES,
    job,
    no_hook,
    preferences,
    prompt,
)

NAME = "imagined"
REQUESTS, NEW = 3, 4  # fake tensors are slow


class WithinAStep(TorchDispatchMode):
    """Counts operations, and fails at one that takes or gives a tensor of the CPU.

    A copy to the device would make a GPU's queue wait, and a CUDA graph cannot record it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        found = function(*args, **(kwargs or {}))
        self.count += 1
        for each in tree_leaves((args, kwargs, found)):
            if isinstance(each, torch.Tensor) and each.device.type != NAME:
                raise AssertionError(f"{function} within a step has a tensor on {each.device}")
        return found


def register() -> None:
    """Let torch know the device, so far as fake tensors need it."""
    kinds = torch._C._acc

    class Guard(kinds.DeviceGuard):
        def type_(self):
            return torch._C._autograd.DeviceType.PrivateUse1

    class Hooks(kinds.PrivateUse1Hooks):
        def is_available(self):
            return True

        def is_built(self):
            return True

        def has_primary_context(self, device):
            return True

    rename_privateuse1_backend(NAME)
    kinds.register_python_privateuseone_device_guard(Guard())
    kinds.register_python_privateuseone_hook(Hooks())
    module: Any = SimpleNamespace(
        device_count=lambda: 1, current_device=lambda: 0, is_available=lambda: True,
        is_initialized=lambda: True, _is_in_bad_fork=lambda: False,
        manual_seed_all=lambda seed: None,
    )  # fmt: skip
    torch._register_device_module(NAME, module)
    torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor() copies them to the device afterwards


def imagined(model: Any, dtype: torch.dtype) -> None:
    """Replace a model's tensors by such as are on the device; call it under a fake mode."""
    for module in model.modules():
        for kept, frozen in ((module._parameters, True), (module._buffers, False)):
            for name, values in kept.items():
                if values is not None:
                    of = dtype if values.is_floating_point() else values.dtype
                    made = torch.empty(values.shape, dtype=of, device=NAME)
                    kept[name] = torch.nn.Parameter(made, requires_grad=False) if frozen else made


def zeros(tensor: torch.Tensor) -> Any:
    """In place of the values that a fake tensor does not have."""
    kind = float if tensor.dtype.is_floating_point else int
    return np.zeros(tuple(tensor.shape), dtype=kind).tolist()


def shapes_of(read):
    """A function that reads adapters, outside the fake mode; their numbers are not kept."""

    def outside(*given):
        with fake_tensor.unset_fake_temporarily():
            found = read(*given)
        matrices = {
            name: tuple(torch.empty(matrix.shape, dtype=matrix.dtype) for matrix in pair)
            for name, pair in found.matrices.items()
        }
        return dataclasses.replace(found, matrices=matrices)

    return outside


def asked(tam: Path, users: Sequence[Path]) -> dict[str, list[GenerateRequest]]:
    """Requests of every way of decoding, of several users with two sets of shapes."""
    against = Contrast((tam,), 0.3, 0.1)
    more = Contrast((), 0.3, 0.0, log_eps=1e-3, own=2.0, more=(((users[1],), 0.5),))
    specs = {
        "greedy": GenerationSpec(NEW),
        "sampled": GenerationSpec(NEW, 1.2, "logits", sampling=Sampling(0.7, 0.9)),
        "contrastive": GenerationSpec(NEW, 1.2, contrast=against, rewards=True),
        "penalty on logits": GenerationSpec(NEW, 1.2, "logits", contrast=against),
        "several sides": GenerationSpec(NEW, 1.2, contrast=more, min_new_tokens=3),
        "prompts of their own": GenerationSpec(NEW, contrast=against),
        "forced": GenerationSpec(NEW),
    }
    options: dict[str, dict[str, Any]] = {
        "sampled": {"samples": 2},
        "prompts of their own": {"other_prompts": (prompt(9),)},
        "forced": {"teacher_text": "Storm closes"},
    }
    return {
        name: [
            GenerateRequest(
                str(n), prompt(n), (tam, users[n % 2]), spec, seed=n, **options.get(name, {})
            )
            for n in range(REQUESTS)
        ]
        for name, spec in specs.items()
    }


def main(home: Path, name: str, dtype: str) -> None:
    """Decode, score and train with a tiny model of an architecture in a precision."""
    spec = resolve_model(str(tiny_models.save(name, home / "model")))
    loaded = load_model(spec, "cpu", "float32")
    paths = [home / str(n) for n in range(3)]
    for seed, (path, lora) in enumerate(zip(paths, LORA_SHAPES, strict=False)):
        config = peft_config(loaded.model, lora, spec.location)
        write_adapter(path, config, initial_matrices(loaded.model, lora, seed))
    tam, *users = paths
    advance, watch = DecodingStep.advance, WithinAStep()

    def watched(self, shape):
        with watch:
            return advance(self, shape)

    register()
    loaded = dataclasses.replace(loaded, device=torch.device(NAME))
    with (
        fake_tensor.FakeTensorMode(allow_non_fake_inputs=True),
        mock.patch.object(fake_tensor, "CONSTANT_NUMEL_LIMIT", -1),
        mock.patch.object(fake_tensor.FakeTensor, "tolist", zeros),
        mock.patch.object(adapter_files, "read_adapter", shapes_of(adapter_files.read_adapter)),
        mock.patch.object(batched_engine, "write_adapter", lambda *_: None),
        mock.patch.object(batched_engine, "load_model", lambda *_: loaded),
        mock.patch.object(batch_size, "free_memory", lambda _: 1 << 33),
        mock.patch.object(step_attention, "DEVICES", (NAME,)),
        mock.patch.object(DecodingStep, "advance", watched),
    ):
        imagined(loaded.model, getattr(torch, dtype))
        made = BatchedEngine(
            spec, device=NAME, dtype=dtype, chat_template=None, fidelity=PAPER, batch_size=4
        )
        assert step_attention.uses_step_attention(made._model)
        ways = {"exact": frozenset({0}), "static": frozenset[int]()}  # 0 is every chosen token
        for made._step, made._stop in ways.items():
            for title, requests in asked(tam, users).items():
                count = len(list(made.generate(requests)))
                assert count == sum(r.samples for r in requests), title
        assert watch.count > 1000
        pairs = [
            ScoreRequest(f"{n}", prompt(n // 4), text, (tam, users[n % 2]), form)
            for n, text in enumerate(RESPONSES)
            for form in ("chat", "raw")
        ]
        assert len(list(made.score(pairs))) == len(pairs)
        dpo = {"data": preferences(), "dpo": DPOSpec(0.1, (tam,))}
        for kind, options in {"sft": {}, "dpo": dpo}.items():
            jobs = [job(home, f"{kind}{n}", frozen=(tam,), **options) for n in range(2)]
            assert len(list(made.train(jobs, no_hook))) == len(jobs), kind


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(Path(folder), *sys.argv[1:])
    print("every operation was on the device")

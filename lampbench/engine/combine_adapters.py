"""Weighted sums of LoRA adapters: of the changes that they make to the model's weights."""

import copy
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lampbench.engine.adapter_files import AdapterFile, read_adapter, write_adapter
from lampbench.engine.protocol import CombineJob
from lampbench.util.errors import LampbenchError


def combine_adapters(job: CombineJob, model: Any, base: str) -> None:
    """Write the adapter whose change of each layer is the weighted sum of the others' changes.

    The sum is exact up to rounding: computed in float64, its rank is the sum of the ranks, or the
    smaller side of the layer where that is lower.

    Raises:
        LampbenchError: an adapter is missing, damaged or made for another model, or there is none.
    """
    if not job.terms:
        raise LampbenchError(f"{job.output}: no adapters to add up")
    files = [read_adapter(path, model, base) for path, _ in job.terms]
    factors = [factor for _, factor in job.terms]
    layers = sorted({name for file in files for name in file.matrices})
    write_sum(job.output, files, dict.fromkeys(layers, factors), base)


def write_sum(
    output: Path,
    files: Sequence[AdapterFile],
    factors: Mapping[str, Sequence[float]],
    base: str,
) -> None:
    """Write the sum of adapters; `factors` has one factor per file for each layer, by its name.

    A factor of zero leaves the file's layer out. The rank is exact, as in `combine_adapters`.
    """
    sums = {name: _sum(name, files, factors[name]) for name in sorted(factors)}
    rank = max(len(first) for first, _ in sums.values())
    config = copy.deepcopy(files[0].config)
    config.r = config.lora_alpha = rank
    config.rank_pattern, config.alpha_pattern, config.use_rslora = {}, {}, False
    config.target_modules = sorted({name.rpartition(".")[2] for name in sums})
    config.base_model_name_or_path, config.inference_mode = base, True
    matrices = {name: _padded(pair, rank) for name, pair in sums.items()}
    write_adapter(output, config, matrices)


def _sum(
    name: str, files: Sequence[AdapterFile], factors: Sequence[float]
) -> tuple[Tensor, Tensor]:
    """A [rank, inputs] and B [outputs, rank] of one layer's sum, in float64."""
    present = [
        (file, factor) for file, factor in zip(files, factors, strict=True) if name in file.matrices
    ]
    own = [(file, factor) for file, factor in present if factor] or present[:1]
    first = torch.cat([file.matrices[name][0].double() for file, _ in own])
    second = torch.cat(
        [factor * adapter_scale(file, name) * file.matrices[name][1].double()
         for file, factor in own],
        dim=1,
    )  # fmt: skip
    if len(first) <= min(first.shape[1], second.shape[0]):
        return first, second
    left, left_rest = torch.linalg.qr(second)
    right, right_rest = torch.linalg.qr(first.T)
    u, sizes, v = torch.linalg.svd(left_rest @ right_rest.T, full_matrices=False)
    root = sizes.sqrt()
    return root[:, None] * (v @ right.T), (left @ u) * root


def adapter_scale(file: AdapterFile, name: str) -> float:
    """What multiplies B A: alpha / rank, or alpha / sqrt(rank) with rsLoRA."""
    from peft.utils.other import get_pattern_key

    config = file.config
    rank = len(file.matrices[name][0])
    alpha = config.alpha_pattern.get(
        get_pattern_key(list(config.alpha_pattern), name), config.lora_alpha
    )
    return float(alpha) / (math.sqrt(rank) if config.use_rslora else rank)


def _padded(pair: tuple[Tensor, Tensor], rank: int) -> tuple[Tensor, Tensor]:
    """The same change with rank `rank`, in float32."""
    first, second = pair
    more = rank - len(first)
    return (
        torch.nn.functional.pad(first, (0, 0, 0, more)).float(),
        torch.nn.functional.pad(second, (0, more)).float(),
    )

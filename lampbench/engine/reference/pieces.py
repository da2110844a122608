"""A LoRA assembled from layers of others, chosen by their gates (Per-Pcs, Tan et al., 2024)."""

import functools
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from lampbench.engine.adapter_files import read_adapter
from lampbench.engine.combine_adapters import adapter_scale, write_sum
from lampbench.engine.prompt_encoder import EncodedResponses
from lampbench.engine.protocol import PiecesSpec, TrainJob
from lampbench.engine.reference.gates import read_gates

Pieces = list[tuple[Tensor, Tensor]]
"""A [rank, inputs] and B [outputs, rank] of a layer, with the scale in B, by piece."""


class _Layer:
    """The pieces for one layer, and how much each was used."""

    def __init__(self, spec: PiecesSpec, gates: Tensor, pieces: Pieces) -> None:
        self._spec, self._gates, self._pieces = spec, gates, pieces
        self.used = [0.0] * len(pieces)

    def add_chosen(self, predicts: Tensor, module: Any, inputs: tuple[Tensor], out: Tensor) -> Any:
        """The layer's output with the pieces that its input [examples, tokens, width] chooses.

        `predicts` [examples, tokens] marks the tokens that predict a response.
        """
        x = inputs[0]
        means = _scores(x, self._gates, predicts).tolist()
        best = sorted(range(len(means)), key=lambda i: (-means[i], i))[: self._spec.k]
        sizes = [math.exp((means[i] - means[best[0]]) / self._spec.temperature) for i in best]
        for i, size in zip(best, sizes, strict=True):
            weight = size / math.fsum(sizes)
            self.used[i] += weight
            first, second = self._pieces[i]
            out = out + weight * ((x.to(first.dtype) @ first.T) @ second.T).to(out.dtype)
        return out


def _scores(x: Tensor, gates: Tensor, predicts: Tensor) -> Tensor:
    """The score [pieces] of gates [pieces, width]."""
    width = x.shape[-1]
    read = torch.nn.functional.layer_norm(x.float(), (width,))
    scores = read @ torch.nn.functional.layer_norm(gates, (width,)).T / math.sqrt(width)
    marked = predicts.unsqueeze(-1)
    return ((scores * marked).sum(dim=1) / marked.sum(dim=1)).mean(dim=0)


def assemble(model: Any, job: TrainJob, encoded: Sequence[EncodedResponses], base: str) -> int:
    """Write the LoRA that `job` asks for; `model` is plain, with `job.frozen` merged.

    Returns:
        Tokens that went through the model.

    Raises:
        LampbenchError: a LoRA or its gates are missing, damaged or made for another model.
    """
    spec = job.adapter
    assert isinstance(spec, PiecesSpec)
    files = [read_adapter(lora, model, base) for lora, _ in spec.pieces]
    names = list(files[0].matrices)
    widths = {name: model.get_submodule(name).in_features for name in names}
    gates = [read_gates(path, widths) for _, path in spec.pieces]
    device = model.device
    layers = {
        name: _Layer(
            spec,
            torch.stack([each[name] for each in gates]).to(device),
            [
                (file.matrices[name][0].float().to(device),
                 adapter_scale(file, name) * file.matrices[name][1].float().to(device))
                for file in files
            ],
        )
        for name in names
    }  # fmt: skip
    size = job.optim.batch_size
    batches = [encoded[begin : begin + size] for begin in range(0, len(encoded), size)]
    for batch in batches:
        tokens, predicts = _padded(batch, device)
        with _pieces_added(model, layers, predicts), torch.inference_mode():
            model.get_decoder()(input_ids=tokens, use_cache=False)
    shares = {name: [used / len(batches) for used in layers[name].used] for name in names}
    write_sum(job.output, files, shares, base)
    return sum(len(each.prompt) + len(each.responses[0]) for each in encoded)


@contextmanager
def _pieces_added(model: Any, layers: dict[str, _Layer], predicts: Tensor) -> Iterator[None]:
    hooks = [
        model.get_submodule(name).register_forward_hook(
            functools.partial(layer.add_chosen, predicts)
        )
        for name, layer in layers.items()
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _padded(batch: Sequence[EncodedResponses], device: Any) -> tuple[Tensor, Tensor]:
    """Token ids [examples, tokens], padded on the right, where no real token looks; and which of
    them predict a token of the response.
    """
    rows = [[*each.prompt, *each.responses[0]] for each in batch]
    longest = max(map(len, rows))
    tokens = torch.tensor([row + [0] * (longest - len(row)) for row in rows], device=device)
    predicts = torch.zeros(tokens.shape, dtype=torch.bool, device=device)
    for number, (each, row) in enumerate(zip(batch, rows, strict=True)):
        predicts[number, len(each.prompt) - 1 : len(row) - 1] = True
    return tokens, predicts

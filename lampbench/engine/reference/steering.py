"""Steering vectors: read off a layer's outputs, and added to them (Zhang et al., 2025)."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lampbench.engine.adapter_files import write_tensors
from lampbench.engine.prompt_encoder import EncodedResponses
from lampbench.engine.protocol import SteeringSpec
from lampbench.util.errors import LampbenchError

_TENSOR = "steering_vector"


class SteeredModel(torch.nn.Module):
    """A model with a vector added to the output of one decoder layer: of the prompt's last token,
    and of the answer's tokens.
    """

    def __init__(self, plain: Any, layer: int, vector: Tensor) -> None:
        super().__init__()
        self.plain = plain
        self.config = plain.config
        self._vector = vector.to(plain.device, plain.dtype)
        self._from = -1
        self._hook = decoder_layers(plain)[layer].register_forward_hook(self._steer)

    def forward(
        self,
        input_ids: Tensor,
        past_key_values: Any = None,
        use_cache: bool = True,
        answer_from: int | None = None,
    ) -> Any:
        """As a model of transformers. `answer_from` is the position of the prompt's last token
        among `input_ids`; by default these are a prompt, or the answer's last token.
        """
        self._from = -1 if answer_from is None else answer_from
        try:
            return self.plain(
                input_ids=input_ids, past_key_values=past_key_values, use_cache=use_cache
            )
        finally:
            self._from = -1

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        found: torch.device = self.plain.device
        return found

    def generate(self, **options: Any) -> Any:
        """As a model of transformers: it reads the prompt in one pass, then token by token."""
        return self.plain.generate(**options)

    def unload(self) -> Any:
        """The model without the vector."""
        self._hook.remove()
        return self.plain

    def _steer(self, layer: Any, inputs: Any, output: Any) -> Any:
        hidden = output[0] if isinstance(output, tuple) else output
        steered = hidden.clone()
        steered[:, self._from :] += self._vector
        return (steered, *output[1:]) if isinstance(output, tuple) else steered


def decoder_layers(model: Any) -> Any:
    """The decoder's layers, from the first."""
    return model.get_decoder().layers


def layer_at(model: Any, depth: float) -> int:
    """The number of the layer at a depth in [0, 1]."""
    return round(depth * (len(decoder_layers(model)) - 1))


def fit_steering(
    model: Any, spec: SteeringSpec, pairs: Sequence[EncodedResponses], output: Path
) -> int:
    """Write the vector of `spec`, from pairs of encoded responses (chosen, rejected).

    Returns:
        Tokens that went through the model.
    """
    layer = layer_at(model, spec.depth)
    differences = []
    for pair in pairs:
        chosen, rejected = (
            _last_output(model, layer, [*pair.prompt, *_without_end(response)])
            for response in pair.responses
        )
        differences.append(chosen - rejected)
    vector = torch.stack(differences).mean(dim=0) * spec.strength
    config = {"peft_type": "STEERING", "layer": layer, "layers": len(decoder_layers(model))}
    write_tensors(output, config, {_TENSOR: vector.cpu()})
    return sum(len(pair.prompt) + len(r) for pair in pairs for r in pair.responses)


def steered(plain: Any, path: Path) -> SteeredModel:
    """The model with a saved vector.

    Raises:
        LampbenchError: the vector is damaged or was made for another model.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        config = json.loads((path / "adapter_config.json").read_text(encoding="utf-8"))
        layer, layers = int(config["layer"]), int(config["layers"])
        vector = load_file(path / "adapter_model.safetensors")[_TENSOR]
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise LampbenchError(
            f"{path}: the steering vector is damaged ({error}); make it again"
        ) from error
    width = plain.config.get_text_config().hidden_size
    if layers != len(decoder_layers(plain)) or vector.shape != (width,):
        raise LampbenchError(
            f"{path}: the steering vector was made for a model with {layers} layers of width "
            f"{len(vector)}; make it again for this one"
        )
    return SteeredModel(plain, layer, vector)


def _without_end(response: Sequence[int]) -> Sequence[int]:
    """The text's tokens without the end of turn, which is the same whoever wrote it."""
    return response[:-1] or response


def _last_output(model: Any, layer: int, tokens: Sequence[int]) -> Tensor:
    found: list[Tensor] = []

    def keep(module: Any, inputs: Any, output: Any) -> None:
        hidden = output[0] if isinstance(output, tuple) else output
        found.append(hidden[0, -1].float())

    hook = decoder_layers(model)[layer].register_forward_hook(keep)
    try:
        with torch.no_grad():
            model(input_ids=torch.tensor([list(tokens)], device=model.device), use_cache=False)
    finally:
        hook.remove()
    return found[0]

"""A decoder in float64 without a cache, a batch or transformers: the whole text at every token.

Written from the architectures' papers and configurations: RMSNorm, rotary positions, grouped heads,
windows, biases, tied embeddings, and what Gemma 3 adds (norms of queries and keys and behind each
block, scaled embeddings, another base of rotation within windows).
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

Weights = Mapping[str, Tensor]


class Float64Decoder:
    """Next-token logits of a model's folder with adapters added to its matrices."""

    def __init__(self, folder: Path, adapters: Sequence[Path] = ()) -> None:
        self.config: dict[str, Any] = json.loads((folder / "config.json").read_text())
        stored = load_file(folder / "model.safetensors")
        self.weights = {name: tensor.double() for name, tensor in stored.items()}
        for adapter in adapters:
            self._add(adapter)
        self.gemma = self.config["model_type"].startswith("gemma3")

    def _add(self, folder: Path) -> None:
        settings = json.loads((folder / "adapter_config.json").read_text())
        matrices = load_file(folder / "adapter_model.safetensors")
        scale = settings["lora_alpha"] / settings["r"]
        for name, first in matrices.items():
            if ".lora_A." in name:
                second = matrices[name.replace(".lora_A.", ".lora_B.")].double()
                place = name.removeprefix("base_model.model.").replace(".lora_A.", ".")
                self.weights[place] = self.weights[place] + scale * second @ first.double()

    def logits(self, tokens: Sequence[int]) -> Tensor:
        """Logits [vocabulary] of the token behind some tokens."""
        config, embedded = self.config, self.weights["model.embed_tokens.weight"]
        hidden = embedded[list(tokens)]
        if self.gemma:
            hidden = hidden * math.sqrt(config["hidden_size"])
        for layer in range(config["num_hidden_layers"]):
            hidden = self._block(hidden, f"model.layers.{layer}.", self._window(layer))
        last = self._norm(hidden[-1:], "model.norm")[0]
        head = embedded if config["tie_word_embeddings"] else self.weights["lm_head.weight"]
        return head @ last

    def _window(self, layer: int) -> int | None:
        """How many tokens a layer sees, its own among them; None: all before it."""
        config = self.config
        kinds = config.get("layer_types") or ["sliding_attention"] * config["num_hidden_layers"]
        sliding = kinds[layer] == "sliding_attention"
        return config.get("sliding_window") if sliding else None

    def _block(self, hidden: Tensor, layer: str, window: int | None) -> Tensor:
        seen = self._attention(self._norm(hidden, f"{layer}input_layernorm"), layer, window)
        if not self.gemma:
            hidden = hidden + seen
            read = self._norm(hidden, f"{layer}post_attention_layernorm")
            return hidden + self._feed_forward(read, layer)
        hidden = hidden + self._norm(seen, f"{layer}post_attention_layernorm")
        read = self._norm(hidden, f"{layer}pre_feedforward_layernorm")
        made = self._feed_forward(read, layer)
        return hidden + self._norm(made, f"{layer}post_feedforward_layernorm")

    def _attention(self, hidden: Tensor, layer: str, window: int | None) -> Tensor:
        config, length = self.config, len(hidden)
        heads, groups = config["num_attention_heads"], config["num_key_value_heads"]
        width = config.get("head_dim") or config["hidden_size"] // heads
        places = torch.arange(length)
        found = {}
        for kind, count in (("q", heads), ("k", groups), ("v", groups)):
            states = self._linear(hidden, f"{layer}self_attn.{kind}_proj")
            states = states.view(length, count, width).transpose(0, 1)
            if self.gemma and kind != "v":
                states = self._norm(states, f"{layer}self_attn.{kind}_norm")
            found[kind] = states if kind == "v" else self._rotated(states, places, window)
        keys, values = (found[kind].repeat_interleave(heads // groups, dim=0) for kind in "kv")
        scale = config.get("query_pre_attn_scalar", width) if self.gemma else width
        scores = found["q"] @ keys.transpose(1, 2) / math.sqrt(scale)
        distance = places[:, None] - places[None, :]
        hidden_from = (distance < 0) | (distance >= (window or length))
        shares = scores.masked_fill(hidden_from, -math.inf).softmax(dim=-1)
        joined = (shares @ values).transpose(0, 1).reshape(length, heads * width)
        return self._linear(joined, f"{layer}self_attn.o_proj")

    def _rotated(self, states: Tensor, places: Tensor, window: int | None) -> Tensor:
        rope = self.config["rope_parameters"]
        if "rope_theta" not in rope:  # one for each kind of layer
            rope = rope["sliding_attention" if window else "full_attention"]
        assert rope["rope_type"] == "default"
        half = states.shape[-1] // 2
        speeds = float(rope["rope_theta"]) ** (-torch.arange(half, dtype=torch.float64) / half)
        angles = places[:, None] * speeds
        left, right = states[..., :half], states[..., half:]
        cos, sin = angles.cos(), angles.sin()
        return torch.cat([left * cos - right * sin, right * cos + left * sin], dim=-1)

    def _feed_forward(self, hidden: Tensor, layer: str) -> Tensor:
        gate = self._linear(hidden, f"{layer}mlp.gate_proj")
        if self.gemma:
            inner = math.sqrt(2 / math.pi) * (gate + 0.044715 * gate**3)
            gate = 0.5 * gate * (1 + inner.tanh())
        else:
            gate = gate / (1 + (-gate).exp())
        wide = gate * self._linear(hidden, f"{layer}mlp.up_proj")
        return self._linear(wide, f"{layer}mlp.down_proj")

    def _linear(self, hidden: Tensor, name: str) -> Tensor:
        made = hidden @ self.weights[f"{name}.weight"].T
        bias = self.weights.get(f"{name}.bias")
        return made if bias is None else made + bias

    def _norm(self, hidden: Tensor, name: str) -> Tensor:
        least = float(self.config["rms_norm_eps"])
        size = (hidden.square().mean(dim=-1, keepdim=True) + least).sqrt()
        weight = self.weights[f"{name}.weight"]
        factor = 1 + weight if self.gemma else weight
        return hidden / size * factor


def best_next(
    tokens: Sequence[int],
    new: Sequence[int],
    user: Float64Decoder,
    base: Float64Decoder | None,
    *,
    penalty: float,
    alpha: float,
    tau: float,
) -> tuple[int, float]:
    """The best token behind `tokens` and `new`, and by how much it is ahead of the second.

    CoPe's equations 1 to 3 (log p_user - alpha log p_base among the tokens with at least tau of the
    largest p_user), then the repetition penalty on these scores; without `base` log p_user.
    """
    text = [*tokens, *new]
    log_user = user.logits(text).log_softmax(dim=-1)
    scores = log_user
    if base is not None:
        scores = log_user - alpha * base.logits(text).log_softmax(dim=-1)
        scores = scores.masked_fill(log_user.exp() < tau * log_user.exp().max(), -math.inf)
    for token in set(text):
        scores[token] = scores[token] * penalty if scores[token] < 0 else scores[token] / penalty
    first, second = scores.topk(2).values.tolist()
    return int(scores.argmax()), first - second

"""One request with two KV caches: the served model with the request's adapter, and without it.

Both decoders read the same tokens in the same forward pass, so that they cannot get out of step:
whatever the scheduler does (chunked prefill, preemption, prefix caching) happens to both.
"""

from typing import Any

import torch
from torch import Tensor

from lampbench_vllm.refusals import require_supported
from lampbench_vllm.scores import contrastive_scores
from lampbench_vllm.told_settings import contrast_of_all
from lampbench_vllm.twin import twin_of


class TwinLogits:
    """The base side's logits of the last step, for the logits processor in the same process."""

    last: Tensor | None = None


class Contrastive:
    """Mixed into a vLLM model for causal language modelling.

    `contrast_alpha` and `contrast_tau` in the model's configuration (`--hf-overrides`) apply to all
    requests. Without them every request says its own (`lampbench_vllm.per_request`), and requests
    that say none are decoded from the user's side alone.
    """

    def __init__(self, *, vllm_config: Any, prefix: str = "") -> None:
        require_supported(vllm_config)
        super().__init__(vllm_config=vllm_config, prefix=prefix)  # type: ignore[call-arg]
        self._of_all = contrast_of_all(vllm_config)
        # in a tuple, where vLLM's LoRA manager does not look for layers to wrap
        self._twin = (twin_of(self.model, vllm_config),)  # type: ignore[attr-defined]

    def forward(
        self,
        input_ids: Any,
        positions: Any,
        intermediate_tensors: Any = None,
        inputs_embeds: Any = None,
    ) -> Tensor:
        """Hidden states [tokens, 2 width]: the user's side, then the base side."""
        arguments = (input_ids, positions, intermediate_tensors, inputs_embeds)
        user = self.model(*arguments)  # type: ignore[attr-defined]
        return torch.cat([user, self._twin[0](*arguments)], dim=-1)

    def compute_logits(self, hidden_states: Tensor) -> Tensor | None:
        """The user's logits, or contrastive scores where the server has one alpha and tau."""
        user, base = (
            super(Contrastive, self).compute_logits(half.contiguous())  # type: ignore[misc]
            for half in hidden_states.chunk(2, dim=-1)
        )
        if user is None or base is None:
            return None
        if self._of_all is None:
            TwinLogits.last = base
            return user
        alpha, tau = (torch.tensor(value, device=user.device) for value in self._of_all)
        return contrastive_scores(user.float(), base.float(), alpha, tau)

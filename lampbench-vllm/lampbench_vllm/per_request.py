"""Contrast with alpha and tau of each request: a logits processor of vLLM's Model Runner V1.

It is given to the server as `--logits-processors lampbench_vllm.per_request:ContrastPerRequest` and
not by an entry point: Model Runner V2 has another interface and refuses to start with this one.

vLLM applies it after minimum lengths and before penalties, temperature and nucleus, so that a
repetition penalty acts on contrastive scores.
"""

from typing import Any

import torch
from torch import Tensor
from vllm.v1.sample.logits_processor import LogitsProcessor
from vllm.v1.sample.logits_processor.builtin import process_dict_updates

from lampbench_vllm.contrastive_model import TwinLogits
from lampbench_vllm.request_settings import RequestSettings, request_settings
from lampbench_vllm.scores import contrastive_scores
from lampbench_vllm.told_settings import contrast_of_all


class ContrastPerRequest(LogitsProcessor):
    """Combines the logits of the two sides in the rows whose requests ask for it."""

    @classmethod
    def validate_params(cls, sampling_params: Any) -> None:
        """Refuse a request with settings that are not valid.

        Raises:
            ValueError: as in `request_settings`.
        """
        request_settings(sampling_params.extra_args)

    def __init__(self, vllm_config: Any, device: torch.device, is_pin_memory: bool) -> None:
        architectures = vllm_config.model_config.hf_config.architectures or [""]
        # with one alpha for all requests the model keeps no logits of the base side
        per_request = contrast_of_all(vllm_config) is None
        self._has_twin = per_request and architectures[0].startswith("Contrastive")
        self._rows: dict[int, RequestSettings] = {}

    def is_argmax_invariant(self) -> bool:
        """Whether the best token stays the best: no."""
        return False

    def update_state(self, batch_update: Any) -> None:
        """Follow requests as they enter, leave and move between rows of the batch."""
        process_dict_updates(
            self._rows, batch_update, lambda params, *_: request_settings(params.extra_args)
        )

    def apply(self, logits: Tensor) -> Tensor:
        """Scores [rows, vocabulary] in place of the user's logits.

        Raises:
            RuntimeError: a request asks for a contrast and the base side's logits of this step are
                not there.
        """
        for row, asked in self._rows.items():
            if asked.probe is not None:
                logits[row] = -torch.inf
                logits[row, asked.probe + (not self._has_twin)] = 0.0
            elif asked.log_probabilities and asked.alpha is None:
                logits[row] = logits[row].log_softmax(-1)
        for log_eps in {asked.log_eps for asked in self._rows.values()}:
            self._contrast(logits, log_eps)
        return logits

    def _contrast(self, logits: Tensor, log_eps: float | None) -> None:
        asked = {
            row: one
            for row, one in self._rows.items()
            if one.alpha is not None and one.log_eps == log_eps
        }
        if not asked:
            return
        base = TwinLogits.last
        if not self._has_twin or base is None or base.shape != logits.shape:
            raise RuntimeError(
                "lampbench-vllm: a request asks for a contrast, and this server has no logits of "
                "the base side; start it with a contrastive architecture (--hf-overrides)"
            )
        rows = torch.tensor(list(asked), device=logits.device)
        alpha, tau = (
            torch.tensor(values, device=logits.device, dtype=torch.float32).unsqueeze(-1)
            for values in zip(*((one.alpha, one.tau) for one in asked.values()), strict=True)
        )
        scores = contrastive_scores(logits[rows], base[rows].float(), alpha, tau, log_eps)
        logits[rows] = scores

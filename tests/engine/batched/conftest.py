"""What the tests of the batched engine share."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from lampbench.engine.batched.stacked_lora import RowAdapters
from lampbench.engine.protocol import Weights


@pytest.fixture
def logits(engine: Callable[..., Any]) -> Callable[..., torch.Tensor]:
    """Logits of an engine's model under adapters, on one fixed text.

    The first `shared` of them act on all rows (all but the last one, as in a request), the others
    on the row alone.
    """

    def get(name: str, weights: Weights, shared: int | None = None, **options: Any) -> torch.Tensor:
        made = engine(name, **options)
        shared = max(0, len(weights) - 1) if shared is None else shared
        own = weights[shared:]
        made._shared.apply(weights[:shared])
        layout = made._cache.layout([own])
        vector = made._cache.flatten(layout, own).to(made.device, made._model.dtype)
        made._stacked.rows = RowAdapters()
        with torch.inference_mode(), made._stacked.using(layout.views(vector[None])):
            found: torch.Tensor = made._model(torch.arange(5, 25, device=made.device)[None]).logits
        return found.float().cpu()

    return get

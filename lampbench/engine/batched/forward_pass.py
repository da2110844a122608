"""One forward pass of a model, with logits only at the positions where they are needed."""

from typing import Any

from torch import Tensor
from torch.nn.functional import pad

from lampbench.engine.batched import onednn_linear, step_attention
from lampbench.engine.batched.attention_masks import AttentionMasks
from lampbench.engine.batched.row_shapes import KEYS, padded, require_row_products


class ForwardPass:
    """A causal language model that computes logits at chosen positions only.

    The positions differ from row to row, which transformers' `logits_to_keep` cannot express; a
    hook on the output layer picks them. Vocabularies are large, so this saves much of the work.
    With `batch_invariant`, passes have the shapes of `row_shapes`.

    Raises:
        LampbenchError: with `batch_invariant`, the model's products depend on their number of rows.
    """

    def __init__(self, model: Any, batch_invariant: bool = False) -> None:
        step_attention.install(model)
        onednn_linear.use_onednn(model)
        if batch_invariant:
            require_row_products(model, step_attention.uses_step_attention(model))
        self.model = model
        self.batch_invariant = batch_invariant
        self.masks = AttentionMasks(model)
        self._at: tuple[Tensor, Tensor] | None = None
        model.get_output_embeddings().register_forward_pre_hook(self._pick)

    def logits(
        self,
        tokens: Tensor,
        positions: Tensor,
        *,
        mask: Any = None,
        cache: Any = None,
        at: tuple[Tensor, Tensor] | None = None,
        groups: step_attention.RowGroups = (),
    ) -> Tensor:
        """Logits [picked, vocabulary] in float32 after the tokens at `at` (rows, columns).

        `at` None stands for the only token of each row. `tokens` and `positions` are [rows,
        tokens]. `mask` comes from `masks`; None is plain causal attention, under which padding on
        the right changes nothing before it. With one token per row, `groups` of rows may attend to
        fewer tokens than the longest row; () is one group.
        """
        picked = 0 if at is None else len(at[0])
        if at is not None and self.batch_invariant:
            more = padded(picked) - picked
            at = (pad(at[0], (0, more)), pad(at[1], (0, more)))
        self._at = at
        try:
            with step_attention.row_groups(groups, KEYS if self.batch_invariant else 0):
                output = self.model(
                    input_ids=tokens,
                    position_ids=positions,
                    attention_mask=mask,
                    past_key_values=cache,
                    use_cache=cache is not None,
                )
        finally:
            self._at = None
        logits: Tensor = output.logits
        return (logits.squeeze(1) if at is None else logits[0, :picked]).float()

    def length(self, tokens: int) -> int:
        """Columns of a pass whose longest row has these many tokens."""
        return padded(tokens) if self.batch_invariant else tokens

    def _pick(self, _: Any, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
        if self._at is None:
            return None
        rows, columns = self._at
        return (inputs[0][rows, columns].unsqueeze(0),)

"""Scoring responses of many users: responses to the same prompt share its reading."""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch

from lampbench.engine.batched.adapter_cache import AdapterCache
from lampbench.engine.batched.adapter_layout import AdapterLayout
from lampbench.engine.batched.batch_size import BatchPlanner
from lampbench.engine.batched.forward_pass import ForwardPass
from lampbench.engine.batched.packing import pack
from lampbench.engine.batched.prompt_tree import PromptTree, branch_logprobs
from lampbench.engine.batched.shared_adapters import SharedAdapters, split_shared
from lampbench.engine.batched.stacked_lora import RowAdapters, StackedLora
from lampbench.engine.device_memory import halved
from lampbench.engine.prompt_encoder import PromptEncoder, TokenIds
from lampbench.engine.protocol import ScoreRequest, ScoreResult, Weights


@dataclass(frozen=True, slots=True)
class ScoredTree:
    """A prompt and its responses, to be scored under the adapters `own`.

    `own` are the adapters on top of those that all rows share; `ids` are the request ids of the
    tree's branches.
    """

    ids: tuple[str, ...]
    own: Weights
    tree: PromptTree


class ResponseScorer:
    """Computes log-probabilities of responses with one model; `pad` is its padding token."""

    def __init__(
        self,
        forward: ForwardPass,
        stacked: StackedLora,
        cache: AdapterCache,
        shared: SharedAdapters,
        encoder: PromptEncoder,
        planner: BatchPlanner,
        pad: int,
    ) -> None:
        self._forward, self._stacked, self._pad = forward, stacked, pad
        self._cache, self._shared = cache, shared
        self._encoder, self._planner = encoder, planner

    def trees(self, requests: Iterable[ScoreRequest]) -> Iterator[ScoredTree]:
        """Requests as trees: responses to one prompt together, as far as the context allows.

        Raises:
            LampbenchError: a prompt does not fit into the context.
        """
        collected: dict[tuple[Weights, TokenIds], list[tuple[str, TokenIds]]] = {}
        for request in requests:
            _, (own,) = split_shared(request.weights)
            if request.format == "raw":
                ids = self._encoder.encode_raw(request.prompt.text, request.response)
                first = ids[:1] or (self._pad,)  # a pass needs a token, though none is scored
                yield ScoredTree((request.id,), own, PromptTree(first, (ids[1:],)))
                continue
            encoded = self._encoder.encode_responses(request.id, request.prompt, [request.response])
            (response,) = encoded.responses
            if self._forward.batch_invariant:  # a response's shape must not depend on the others'
                yield ScoredTree((request.id,), own, PromptTree(encoded.prompt, (response,)))
                continue
            branches = collected.setdefault((own, encoded.prompt), [])
            taken = len(encoded.prompt) + sum(len(ids) for _, ids in branches)
            if taken + len(response) > self._encoder.context:
                yield _tree(own, encoded.prompt, branches)
                branches.clear()
            branches.append((request.id, response))
        for (own, prompt), branches in collected.items():
            yield _tree(own, prompt, branches)

    def score(self, shared: Weights, trees: Sequence[ScoredTree]) -> Iterator[ScoreResult]:
        """Log-probabilities of all branches, in float32, with the adapters `shared` on every row.

        Raises:
            LampbenchError: an adapter cannot be used; a single tree does not fit into the memory.
        """
        queue = list(self._passes(trees))[::-1]
        while queue:
            layout, batch = queue.pop()
            self._shared.apply(shared)  # again: the caller may have asked for others meanwhile
            try:
                found = self._logprobs(layout, batch)
            except RuntimeError as error:
                half = halved(len(batch), error, f"one sequence of {batch[0].tree.tokens} tokens")
                queue += [(layout, batch[half:]), (layout, batch[:half])]
                continue
            names = [name for each in batch for name in each.ids]
            yield from (ScoreResult(*item) for item in zip(names, found, strict=True))

    def _passes(
        self, trees: Sequence[ScoredTree]
    ) -> Iterator[tuple[AdapterLayout, list[ScoredTree]]]:
        """What is scored in one pass, with a layout that fits its adapters."""
        invariant = self._forward.batch_invariant
        alike: dict[Hashable, list[ScoredTree]] = {}
        for each in trees:
            alike.setdefault(self._cache.shape(each.own) if invariant else None, []).append(each)
        for some in alike.values():
            layout = self._cache.layout({each.own for each in some})
            limits = self._planner.pass_limits
            for batch in pack(some, lambda each: each.tree, limits, invariant):
                yield layout, batch

    @torch.inference_mode()
    def _logprobs(
        self, layout: AdapterLayout, batch: Sequence[ScoredTree]
    ) -> list[tuple[float, ...]]:
        """Log-probabilities of the tokens of each branch."""
        model = self._forward.model
        own = list(dict.fromkeys(each.own for each in batch))
        stack = torch.stack([self._cache.flatten(layout, weights) for weights in own])
        indices = torch.tensor([own.index(each.own) for each in batch], device=model.device)
        self._stacked.rows = RowAdapters(indices=indices)
        with self._stacked.using(layout.views(stack.to(model.device, model.dtype))):
            trees = [each.tree for each in batch]
            logs, lengths = branch_logprobs(self._forward, trees, self._pad)
        return [tuple(part.tolist()) for part in torch.split(logs.cpu(), lengths)]


def _tree(own: Weights, prompt: TokenIds, branches: Sequence[tuple[str, TokenIds]]) -> ScoredTree:
    ids, responses = zip(*branches, strict=True)
    return ScoredTree(ids, own, PromptTree(prompt, responses))

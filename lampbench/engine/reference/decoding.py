"""Decoding by transformers' `generate`, with the other sides of a contrast as a LogitsProcessor.

transformers' own are the loop, the cache, the stopping, the repetition penalty, the least length,
temperature and nucleus. What `generate` cannot do is a LogitsProcessor here:

- a weighted sum of log-probabilities over several models and prompts (its guidance knows one model
  and two prompts, and no plausible tokens): `ContrastOverSides`.
- random tokens that depend on a request's own seed: `generate` draws from the process's generator,
  so that an answer would depend on those before it. `SeededDraw` takes the draw out of its hands;
  `generate` then has one token to choose from.
- a choice after forced tokens (teacher forcing): `ForcedTokens` notes the choice and goes on with
  the text's own token.
- rewards: they are worked out from the raw logits after the answer is complete.

`generate` also fills in what it is not told from the checkpoint's generation_config.json, such as
a repetition penalty. The engine gives it an empty one.
"""

import math
from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import (
    DynamicCache,
    GenerationConfig,
    LogitNormalization,
    LogitsProcessor,
    LogitsProcessorList,
    MinNewTokensLengthLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopPLogitsWarper,
)

from lampbench.engine.counter_random import child_keys, uniform_numbers
from lampbench.engine.decoded_answer import DecodedAnswer
from lampbench.engine.prompt_encoder import TokenIds
from lampbench.engine.protocol import Contrast, GenerationSpec


class OtherSide:
    """A further side of a contrast: a model that reads a prompt of its own, then the answer."""

    def __init__(self, model: Any, prompt: TokenIds) -> None:
        self._model, self._prompt = model, prompt
        self._cache: Any = None

    def logits(self, sequence: Tensor) -> Tensor:
        """Raw logits [1, vocabulary] of the next token in float32; `sequence` [1, tokens] ends with
        the answer so far, to which one token was added since the last call.
        """
        if self._cache is None:
            self._cache = DynamicCache(config=self._model.config)
            new = torch.tensor([self._prompt], device=sequence.device)
        else:
            new = sequence[:, -1:]
        found = self._model(input_ids=new, past_key_values=self._cache, use_cache=True)
        last: Tensor = found.logits[:, -1]
        return last.float()


class ContrastOverSides(LogitsProcessor):
    """Equations 1 to 3 of CoPe (Bu et al., 2025), with a factor for each side.

    `logits` of each call's other sides are kept, for the rewards.
    """

    def __init__(self, contrast: Contrast, others: Sequence[OtherSide]) -> None:
        self._contrast, self._others = contrast, others
        self.logits: list[list[Tensor]] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Scores [1, vocabulary] of the next token from the own side's raw logits `scores`."""
        self.logits.append([side.logits(input_ids) for side in self._others])
        contrast = self._contrast
        own = scores.log_softmax(dim=-1)
        others = [logits.log_softmax(dim=-1) for logits in self.logits[-1]]
        # equation 1: p >= tau max p; a token that the own side rules out is never plausible
        threshold = own.max() + math.log(contrast.tau) if contrast.tau else -math.inf
        plausible = (own >= threshold) & (own > -math.inf)
        if contrast.log_eps is None:
            return weighted_sum(own, others, contrast).masked_fill(~plausible, -math.inf)
        # the released code's form (OPPU_sft+dpo.py:158), in which no token is impossible
        eps = contrast.log_eps
        kept = own.exp() * plausible
        kept = kept / (kept.sum(dim=-1, keepdim=True) + eps)
        return weighted_sum(
            (kept + eps).log(), [(other.exp() + eps).log() for other in others], contrast
        )


class SeededDraw(LogitsProcessor):
    """Leaves one token, drawn at random; the draw depends on `seed` and the step alone.

    The Gumbel-max trick, with the numbers of `counter_random`.
    """

    def __init__(self, seed: int) -> None:
        self._seed, self._step = seed, 0

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """`scores` [1, vocabulary] with minus infinity for all tokens but the drawn one."""
        keys = torch.tensor([self._seed], device=scores.device)
        uniform = uniform_numbers(child_keys(keys, torch.tensor(self._step)), scores.shape[-1])
        self._step += 1
        return _only(scores, (scores.softmax(dim=-1) / -(-uniform).log1p()).argmax(dim=-1))


class ForcedTokens(LogitsProcessor):
    """Notes the choice in `chosen`, and leaves the forced token of the step."""

    def __init__(self, forced: TokenIds) -> None:
        self._forced = forced
        self.chosen: list[int] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """`scores` [1, vocabulary] with minus infinity for all tokens but the forced one."""
        forced = self._forced[min(len(self.chosen), len(self._forced) - 1)]
        self.chosen.append(int(scores.argmax()))
        return _only(scores, torch.tensor([forced], device=scores.device))


def decode(
    spec: GenerationSpec,
    models: Sequence[Any],
    prompts: Sequence[TokenIds],
    stop: Collection[int],
    seed: int,
    forced: TokenIds = (),
) -> DecodedAnswer:
    """One answer; with `forced` tokens, each choice comes after these.

    `models` and `prompts` are those of all sides, the request's own first. The penalty sees the
    first prompt alone.
    """
    own = models[0]
    sides = [OtherSide(*each) for each in zip(models[1:], prompts[1:], strict=True)]
    contrast = ContrastOverSides(spec.contrast, sides) if spec.contrast else None
    forcing = ForcedTokens(forced) if forced else None
    ids = torch.tensor([prompts[0]], device=own.device)
    ends = sorted(stop)
    found = own.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        generation_config=GenerationConfig(  # type: ignore[no-untyped-call]
            max_new_tokens=len(forced) or spec.max_new_tokens,
            eos_token_id=None if forced or not ends else ends,
            pad_token_id=ends[0] if ends else 0,
            do_sample=False,
            return_dict_in_generate=True,
            output_logits=spec.rewards,
        ),
        logits_processor=_processors(spec, ids.shape[1], ids.device, ends, seed, contrast, forcing),
    )
    new = found.sequences[0, ids.shape[1] :].tolist()
    chosen = forcing.chosen[: len(forced)] if forcing else new
    stopped = not forced and bool(chosen) and chosen[-1] in stop
    if stopped:
        chosen = chosen[:-1]
    rewards: tuple[float, ...] = ()
    if spec.rewards and contrast is not None:
        steps = zip(found.logits, contrast.logits, chosen, strict=False)  # a stop token has none
        rewards = tuple(_reward(spec.contrast, *step) for step in steps)
    return DecodedAnswer(tuple(chosen), not stopped, rewards)


def _processors(
    spec: GenerationSpec,
    prompt_tokens: int,
    device: torch.device,
    ends: Sequence[int],
    seed: int,
    contrast: ContrastOverSides | None,
    forcing: ForcedTokens | None,
) -> Any:
    """From raw logits to the scores whose best token is the choice."""
    penalty = RepetitionPenaltyLogitsProcessor(spec.repetition_penalty)
    made: list[Any] = []
    if spec.min_new_tokens and ends:
        made.append(
            MinNewTokensLengthLogitsProcessor(
                prompt_tokens, spec.min_new_tokens, list(ends), device=str(device)
            )
        )
    if spec.penalty_on == "logits":
        made.append(penalty)
    made.append(contrast or LogitNormalization())
    if spec.penalty_on == "scores":
        made.append(penalty)
    if spec.sampling:
        made.append(TemperatureLogitsWarper(float(spec.sampling.temperature)))
        if spec.sampling.top_p < 1.0:
            made.append(TopPLogitsWarper(spec.sampling.top_p))
        made.append(SeededDraw(seed))
    if forcing is not None:
        made.append(forcing)
    return LogitsProcessorList(made)


def weighted_sum(own: Tensor, others: Sequence[Tensor], contrast: Contrast) -> Tensor:
    """Equation 2 with a factor for each side, of log-probabilities of one shape.

    A side with the factor 0 does not count, whatever it rules out.
    """
    total = contrast.own * own
    for (_, factor), other in zip(contrast.others, others, strict=True):
        if factor:
            total = total + factor * other
    return total


def _reward(contrast: Contrast | None, own: Tensor, others: Sequence[Tensor], token: int) -> float:
    """The weighted sum for a chosen token, from the raw logits [1, vocabulary] of all sides."""
    assert contrast is not None
    log_own, *log_others = (each.float().log_softmax(dim=-1)[0, token] for each in (own, *others))
    return float(weighted_sum(log_own, log_others, contrast))


def _only(scores: Tensor, token: Tensor) -> Tensor:
    alone = torch.full_like(scores, -math.inf)
    return alone.scatter(-1, token.unsqueeze(-1), 0.0)

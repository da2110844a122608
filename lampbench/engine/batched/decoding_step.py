"""One decoding step on the device: a token for every answer, without waiting for the device.

Tokens, positions and random numbers never leave the device here, and the step of one shape is
always the same sequence of operations on the same memory, so that a GPU can replay it.
"""

from math import gcd

import torch
from torch import Tensor

from lampbench.engine.batched.decoding_settings import DecodingSettings
from lampbench.engine.batched.forward_pass import ForwardPass
from lampbench.engine.batched.kv_cache import KVCache
from lampbench.engine.batched.row_shapes import KEYS, ROWS, padded
from lampbench.engine.batched.stacked_lora import RowAdapters, StackedLora
from lampbench.engine.batched.step_shape import StepShape
from lampbench.engine.next_token import chosen_rewards, held_open, next_scores, next_tokens

FREE = -1  # no token is forced

Choice = tuple[Tensor, Tensor | None]
"""The tokens [slots] that were chosen, and their rewards [slots] where they are asked for."""


class DecodingStep:
    """The state of at most `slots` answers of at most `tokens` tokens, and the step to the next.

    Attributes:
        cache: keys and values; a slot has `settings.rows_per_slot` neighbouring rows.
        seen: tokens [slots, vocabulary] that the repetition penalty acts on.
        length: tokens [slots, rows of a slot] that each row has read.
        last: the token [slots] that is read next.
        seed: seeds [slots] of random numbers.
        count: tokens [slots] that each answer has.
        live: 1 for slots [slots] with an answer, else 0: a static step computes others too.
        forced: forced tokens [slots, budget], `FREE` where there is none; None if nobody has any.
        own: the adapters of the rows that have their own, one after the other.
        views: the same by layer.
    """

    def __init__(
        self,
        forward: ForwardPass,
        stacked: StackedLora,
        settings: DecodingSettings,
        slots: int,
        tokens: int,
    ) -> None:
        self._forward, self._stacked, self._settings = forward, stacked, settings
        self.batch_invariant = forward.batch_invariant
        self.width = settings.rows_per_slot
        self.slots = slots = self.computed(slots)
        self.tokens = tokens = padded(tokens, KEYS) if self.batch_invariant else tokens
        self.device = forward.model.device
        config = forward.model.config.get_text_config()
        vocabulary = config.vocab_size
        self.cache = KVCache(config.num_hidden_layers, slots * self.width, tokens, self.device)
        self.seen = torch.zeros(slots, vocabulary, dtype=torch.bool, device=self.device)
        self.length = self._zeros(slots, self.width)
        self.last, self.seed, self.count, self.live = (self._zeros(slots) for _ in range(4))
        self.forced: Tensor | None = None
        adapters = settings.own_rows * (1 if settings.same_adapters else slots)
        size = adapters, settings.layout.size
        self.own = torch.zeros(size, device=self.device, dtype=forward.model.dtype)
        self.views = settings.layout.views(self.own) if adapters else {}
        self._ends = torch.zeros(vocabulary, dtype=torch.bool, device=self.device)
        self._ends[[token for token in settings.stop if token < vocabulary]] = True

    def computed(self, answers: int) -> int:
        """How many slots a step for so many answers computes."""
        return padded(answers, ROWS // gcd(ROWS, self.width)) if self.batch_invariant else answers

    @property
    def states(self) -> list[Tensor]:
        """What a slot has, but for its keys, values and adapters; all begin with the slots."""
        forced = [] if self.forced is None else [self.forced]
        return [self.seen, self.length, self.last, self.seed, self.count, self.live, *forced]

    def advance(self, shape: StepShape) -> Choice:
        """Read the last token of every slot of the shape, and choose the next one."""
        active = slice(shape[-1].end)
        longest = max(group.tokens for group in shape)
        rows = self.length[active].flatten()
        self.cache.advance(rows, longest)
        self._stacked.rows = RowAdapters(self.width // max(1, self._settings.own_rows))
        keys = torch.arange(longest, device=self.device)
        position = rows.unsqueeze(-1)
        mask = self._forward.masks(
            (keys <= position).unsqueeze(1), position, keys.expand(len(rows), -1)
        )
        logits = self._forward.logits(
            self.last[active].repeat_interleave(self.width).unsqueeze(-1),
            position,
            mask=mask,
            cache=self.cache,
            groups=[(group.end * self.width, group.tokens) for group in shape],
        )
        self.length[active].add_(self.live[active].unsqueeze(-1))
        return self.choose(active, logits.view(-1, self.width, logits.shape[-1]))

    def choose(self, active: slice, logits: Tensor) -> Choice:
        """Choose the next token of some slots, from logits [slots, rows of a slot, vocabulary]."""
        spec, count = self._settings.spec, self.count[active]
        others = logits.unbind(1)[1:]
        user = held_open(spec, logits[:, 0], self._ends, count)
        scores = next_scores(spec, user, others, self.seen[active])
        chosen = next_tokens(spec, scores, self.seed[active], count)
        rewards = None
        if spec.rewards and others:
            rewards = chosen_rewards(spec, logits[:, 0], others, chosen)
        kept = chosen
        if self.forced is not None:
            forced = self.forced[active].gather(1, count.unsqueeze(-1)).squeeze(-1)
            kept = forced.where(forced != FREE, chosen)
        self.last[active] = kept
        self.count[active].add_(self.live[active])
        self.seen[active].scatter_(1, kept.unsqueeze(-1), True)
        return chosen, rewards

    def move(self, source: list[int], target: list[int], tokens: int) -> None:
        """Let slots take the places of others, with the first `tokens` keys and values."""
        if not source:
            return
        old, new = (torch.tensor(each, device=self.device) for each in (source, target))
        self.cache.move(self.rows(old, self.width), self.rows(new, self.width), tokens)
        for state in self.states:
            state[new] = state[old]
        own = self._settings.own_rows
        if own and not self._settings.same_adapters:
            self.own[self.rows(new, own)] = self.own[self.rows(old, own)]

    def empty(self, slots: slice) -> None:
        """Let no answer be in these slots: they stay at their first place if they are computed."""
        for state in (self.length, self.count, self.live):
            state[slots] = 0

    def rows(self, slots: Tensor, each: int) -> Tensor:
        """The rows of slots that have `each` rows."""
        return (slots.unsqueeze(-1) * each + torch.arange(each, device=self.device)).flatten()

    def _zeros(self, *size: int) -> Tensor:
        return torch.zeros(*size, dtype=torch.long, device=self.device)

"""The decoding loop: answers to many users' prompts together, greedy, sampled or contrastive.

An answer has a slot. In contrastive decoding a slot has neighbouring rows, one for each side, which
go through every forward pass together: each has a prompt, weights and positions of its own, and all
get the same new tokens. When an answer ends, a waiting one takes its slot.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lampbench.engine.batched.adapter_layout import AdapterLayout
from lampbench.engine.batched.answer_slot import AnswerSlot, EncodedRequest
from lampbench.engine.batched.forward_pass import ForwardPass
from lampbench.engine.batched.kv_cache import KVCache
from lampbench.engine.batched.packing import PassLimits, pack
from lampbench.engine.batched.prompt_tree import PromptTree
from lampbench.engine.batched.stacked_lora import RowAdapters, StackedLora
from lampbench.engine.decoded_answer import DecodedAnswer
from lampbench.engine.next_token import chosen_rewards, held_open, next_scores, next_tokens
from lampbench.engine.prompt_encoder import TokenIds
from lampbench.engine.protocol import GenerationSpec, Weights

_REFILL = 4  # prompts are read when a quarter of the slots is free: reading few is inefficient
# Tokens of each answer before the device is asked which ones have ended: a GPU waits for that.
_CPU_STEPS, _GPU_STEPS = 1, 4
_FREE = -1  # no token is forced


@dataclass(frozen=True, slots=True)
class DecodingSettings:
    """What all answers of a loop have in common.

    Attributes:
        spec: how tokens are chosen; the weights that `spec.contrast` names play no part.
        stop: tokens that end an answer.
        pad: the padding token.
        limits: limits of a pass that reads prompts.
        own_rows: how many of a slot's rows, from the first, have adapters of their own.
        layout: the layout of these adapters.
        flatten: reads adapters, as a vector in that layout.
        same_adapters: whether all answers have the same ones.
        one_prompt: whether all rows of a slot read the same prompt.
    """

    spec: GenerationSpec
    stop: frozenset[int]
    pad: int
    limits: PassLimits
    own_rows: int
    layout: AdapterLayout
    flatten: Callable[[Weights], Tensor]
    same_adapters: bool
    one_prompt: bool = True

    @property
    def rows_per_slot(self) -> int:
        """Rows of a slot: the user's, and one for each other side of a contrast."""
        return 1 + (len(self.spec.contrast.others) if self.spec.contrast else 0)

    @property
    def read_together(self) -> list[range]:
        """The rows of a slot whose prompts are read in one pass: all, or each in a pass of its own.

        Prompts of different sides differ in length, and padding would cost as much as a token.
        """
        rows = range(self.rows_per_slot)
        return [rows] if self.one_prompt else [range(row, row + 1) for row in rows]


class DecodingLoop:
    """A batch of at most `slots` answers; each takes at most `tokens` tokens, prompt included."""

    def __init__(
        self,
        forward: ForwardPass,
        stacked: StackedLora,
        settings: DecodingSettings,
        slots: int,
        tokens: int,
    ) -> None:
        self._forward, self._stacked, self._settings = forward, stacked, settings
        self._width = settings.rows_per_slot
        self._device = forward.model.device
        config = forward.model.config.get_text_config()
        rows = slots * self._width
        self._cache = KVCache(config.num_hidden_layers, rows, tokens, self._device)
        self._seen = torch.zeros(slots, config.vocab_size, dtype=torch.bool, device=self._device)
        self._length = torch.zeros(slots, self._width, dtype=torch.long, device=self._device)
        self._last = torch.zeros(slots, dtype=torch.long, device=self._device)
        self._seed = torch.zeros(slots, dtype=torch.long, device=self._device)
        self._count = torch.zeros(slots, dtype=torch.long, device=self._device)
        self._slots: list[AnswerSlot] = []
        self._capacity = slots
        adapters = settings.own_rows * (1 if settings.same_adapters else slots)
        precision = forward.model.dtype
        self._own = torch.zeros(
            adapters, settings.layout.size, device=self._device, dtype=precision
        )
        self._views = settings.layout.views(self._own) if adapters else {}
        self._waiting: deque[EncodedRequest] = deque()
        self._forced: Tensor | None = None
        # what the device has chosen since it was last asked: tokens and rewards by slot
        self._unread: list[Tensor] = []
        self._unread_rewards: list[Tensor] = []
        self._steps = _CPU_STEPS if self._device.type == "cpu" else _GPU_STEPS

    def run(
        self, requests: Sequence[EncodedRequest]
    ) -> Iterator[tuple[EncodedRequest, DecodedAnswer]]:
        """Answers, each as soon as it is complete. Pass the longest prompts first."""
        self._waiting.extend(requests)
        if any(each.forced for each in requests):
            size = self._capacity, self._settings.spec.max_new_tokens
            self._forced = torch.full(size, _FREE, device=self._device)
        while self._waiting or self._slots:
            free = self._capacity - len(self._slots)
            with torch.inference_mode(), self._stacked.using(self._views):
                if self._waiting and free >= min(
                    len(self._waiting), self._capacity // _REFILL or 1
                ):
                    count = min(free, len(self._waiting))
                    self._admit([self._waiting.popleft() for _ in range(count)])
                else:
                    for _ in range(min(self._steps, *(slot.left for slot in self._slots))):
                        self._advance()
                finished = self._finish()
            yield from finished

    def _admit(self, requests: list[EncodedRequest]) -> None:
        """Read prompts into free slots and choose their first tokens."""
        first = len(self._slots)
        budget = self._settings.spec.max_new_tokens
        self._slots += [AnswerSlot(each, len(each.forced) or budget) for each in requests]
        new = slice(first, len(self._slots))
        self._seed[new] = torch.tensor([each.seed for each in requests], device=self._device)
        self._count[new] = 0
        if self._forced is not None:
            forced = [(*each.forced, *[_FREE] * (budget - len(each.forced))) for each in requests]
            self._forced[new] = torch.tensor(forced, device=self._device)
        own = self._settings.own_rows
        for slot, encoded in enumerate(requests, start=first):
            begin = 0 if self._settings.same_adapters else slot * own
            for index, weights in enumerate(encoded.own, start=begin):
                self._own[index] = self._settings.flatten(weights)
        logits = torch.empty(len(requests), self._width, self._seen.shape[1], device=self._device)
        limits = self._settings.limits
        for rows in self._settings.read_together:
            # samples of one prompt share its reading
            shared: dict[tuple[TokenIds, tuple[Weights, ...]], list[int]] = {}
            for slot, encoded in enumerate(requests, start=first):
                whose = encoded.prompts[rows.start].ids, encoded.own[rows.start : rows.stop]
                shared.setdefault(whose, []).append(slot)
            of_rows = PassLimits(max(1, limits.tokens // len(rows)), limits.labels)
            items = [(PromptTree(ids, ()), slots) for (ids, _), slots in shared.items()]
            for batch in pack(items, lambda item: item[0], of_rows):
                prompts = [tree.prompt for tree, _ in batch]
                self._read(rows, prompts, [slots for _, slots in batch], logits, first)
        self._choose(new, logits)

    def _read(
        self,
        rows: range,
        prompts: list[TokenIds],
        slots: list[list[int]],
        after: Tensor,
        first: int,
    ) -> None:
        """One pass over prompts of some rows, each for one or several slots from `first` on.

        The logits go to `after` [slots from `first`, rows of a slot, vocabulary].
        """
        device, width = self._device, len(rows)
        these = slice(rows.start, rows.stop)
        longest = max(map(len, prompts))
        tokens = torch.tensor(
            [[*ids, *[self._settings.pad] * (longest - len(ids))] for ids in prompts]
        )
        lengths = torch.tensor([len(ids) for ids in prompts])
        of_prompt = torch.tensor([i for i, group in enumerate(slots) for _ in group])
        slot = torch.tensor([number for group in slots for number in group])
        real = torch.arange(longest) < lengths.unsqueeze(-1)
        offsets = torch.arange(width)
        source = (of_prompt.unsqueeze(-1) * width + offsets).flatten().to(device)
        target = (slot.unsqueeze(-1) * self._width + rows.start + offsets).flatten().to(device)
        self._cache.fill(source, target)
        own = self._settings.own_rows
        adapted = torch.tensor([row for row in rows if row < own], dtype=torch.long)
        leader = torch.tensor([group[0] for group in slots])
        indices = (leader.unsqueeze(-1) * own + adapted).flatten()
        self._stacked.rows = RowAdapters(width // max(1, len(adapted)), indices.to(device))
        with self._stacked.using(self._views if len(adapted) else {}):
            logits = self._forward.logits(
                tokens.repeat_interleave(width, 0).to(device),
                torch.arange(longest, device=device).unsqueeze(0),
                cache=self._cache,
                at=(
                    torch.arange(len(prompts) * width, device=device),
                    (lengths - 1).repeat_interleave(width).to(device),
                ),
            )
        slot, of_prompt = slot.to(device), of_prompt.to(device)
        if rows.start == 0:  # the penalty knows the request's own prompt alone
            seen = torch.zeros(len(prompts), self._seen.shape[1], device=device)
            seen.scatter_add_(1, tokens.to(device), real.to(device).float())
            self._seen[slot] = (seen > 0)[of_prompt]
        self._length[slot, these] = lengths.to(device)[of_prompt].unsqueeze(-1)
        after[slot - first, these] = logits.view(len(prompts), width, -1)[of_prompt]

    def _advance(self) -> None:
        """Choose one token for every answer; the device is not waited for."""
        active = slice(len(self._slots))
        longest = max(slot.length for slot in self._slots) + len(self._unread)
        rows = self._length[active].flatten()
        self._cache.advance(rows, longest)
        self._stacked.rows = RowAdapters(self._width // max(1, self._settings.own_rows))
        keys = torch.arange(longest, device=self._device)
        position = rows.unsqueeze(-1)
        mask = self._forward.masks(
            (keys <= position).unsqueeze(1), position, keys.expand(len(rows), -1)
        )
        logits = self._forward.logits(
            self._last[active].repeat_interleave(self._width).unsqueeze(-1),
            position,
            mask=mask,
            cache=self._cache,
        )
        self._length[active] += 1
        self._choose(active, logits.view(len(self._slots), self._width, -1))

    def _choose(self, active: slice, logits: Tensor) -> None:
        """Choose the next token of some slots, from logits [slots, rows of a slot, vocabulary]."""
        spec, count = self._settings.spec, self._count[active]
        others = logits.unbind(1)[1:]
        user = held_open(spec, logits[:, 0], self._settings.stop, count)
        scores = next_scores(spec, user, others, self._seen[active])
        chosen = next_tokens(spec, scores, self._seed[active], count)
        self._unread.append(chosen)
        if spec.rewards and others:
            self._unread_rewards.append(chosen_rewards(spec, logits[:, 0], others, chosen))
        if self._forced is not None:
            forced = self._forced[active].gather(1, count.unsqueeze(-1)).squeeze(-1)
            chosen = forced.where(forced != _FREE, chosen)
        self._last[active] = chosen
        self._count[active] += 1
        self._seen[active].scatter_(1, chosen.unsqueeze(-1), True)

    def _finish(self) -> list[tuple[EncodedRequest, DecodedAnswer]]:
        """Take out the answers that have ended."""
        self._read_choices()
        done = [index for index, slot in enumerate(self._slots) if not slot.left]
        finished = []
        for slot in (self._slots[index] for index in done):
            ids = tuple(slot.tokens)
            rewards = tuple(slot.rewards[: len(ids)])
            finished.append((slot.encoded, DecodedAnswer(ids, not slot.stopped, rewards)))
        if done:
            self._free(done)
        return finished

    def _read_choices(self) -> None:
        """Wait for the device and take over what it has chosen, for the last of the slots."""
        choices = torch.stack(self._unread, dim=1).tolist()
        slots = self._slots[-len(choices) :]
        for slot, tokens in zip(slots, choices, strict=True):
            for token in tokens:
                slot.add(token, self._settings.stop)
        if self._unread_rewards:
            rewards = torch.stack(self._unread_rewards, dim=1).tolist()
            for slot, values in zip(slots, rewards, strict=True):
                slot.rewards += values
        self._unread.clear()
        self._unread_rewards.clear()

    def _free(self, done: list[int]) -> None:
        """Empty some slots; the last ones move into the gaps."""
        left = len(self._slots) - len(done)
        gaps = [index for index in done if index < left]
        gone = set(done)
        movers = [index for index in range(left, len(self._slots)) if index not in gone]
        for gap, mover in zip(gaps, movers, strict=True):
            self._slots[gap] = self._slots[mover]
        del self._slots[left:]
        if not gaps:
            return
        source, target = (torch.tensor(each, device=self._device) for each in (movers, gaps))
        longest = max(self._slots[gap].length for gap in gaps)
        self._cache.move(self._rows(source, self._width), self._rows(target, self._width), longest)
        states = [self._seen, self._length, self._last, self._seed, self._count]
        for state in [*states, *([] if self._forced is None else [self._forced])]:
            state[target] = state[source]
        own = self._settings.own_rows
        if own and not self._settings.same_adapters:
            self._own[self._rows(target, own)] = self._own[self._rows(source, own)]

    def _rows(self, slots: Tensor, each: int) -> Tensor:
        """The rows of slots that have `each` rows."""
        return (slots.unsqueeze(-1) * each + torch.arange(each, device=self._device)).flatten()

"""The decoding loop: answers to many users' prompts together, greedy, sampled or contrastive.

An answer has a slot. In contrastive decoding a slot has neighbouring rows, one for each side, which
go through every forward pass together: each has a prompt, weights and positions of its own, and all
get the same new tokens. When an answer ends, a waiting one takes its slot.
"""

from collections import deque
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from lampbench.engine.batched.answer_slot import AnswerSlot, EncodedRequest
from lampbench.engine.batched.decoding_settings import DecodingSettings
from lampbench.engine.batched.decoding_step import FREE, Choice, DecodingStep
from lampbench.engine.batched.forward_pass import ForwardPass
from lampbench.engine.batched.packing import PassLimits, pack
from lampbench.engine.batched.prompt_tree import PromptTree
from lampbench.engine.batched.stacked_lora import RowAdapters, StackedLora
from lampbench.engine.batched.step_kinds import stepper
from lampbench.engine.decoded_answer import DecodedAnswer
from lampbench.engine.prompt_encoder import TokenIds
from lampbench.engine.protocol import Weights

_REFILL = 4  # prompts are read when a quarter of the slots is free: reading few is inefficient
# Tokens of each answer before the device is asked which ones have ended: a GPU waits for that.
_CPU_STEPS, _GPU_STEPS = 1, 4


class DecodingLoop:
    """A batch of at most `slots` answers; each takes at most `tokens` tokens, prompt included.

    `step` is one of `STEP_KINDS`.
    """

    def __init__(
        self,
        forward: ForwardPass,
        stacked: StackedLora,
        settings: DecodingSettings,
        slots: int,
        tokens: int,
        step: str = "exact",
    ) -> None:
        self._forward, self._stacked, self._settings = forward, stacked, settings
        self._width = settings.rows_per_slot
        self._device = forward.model.device
        self._step = DecodingStep(forward, stacked, settings, slots, tokens)
        self._advance = stepper(step, self._step, lambda: stacked.shared_changes)
        self._slots: list[AnswerSlot] = []
        self._capacity = slots
        self._waiting: deque[EncodedRequest] = deque()
        # what the device has chosen since it was last asked
        self._unread: list[Choice] = []
        self._steps = _CPU_STEPS if self._device.type == "cpu" else _GPU_STEPS

    def run(
        self, requests: Sequence[EncodedRequest]
    ) -> Iterator[tuple[EncodedRequest, DecodedAnswer]]:
        """Answers, each as soon as it is complete. Pass the longest prompts first."""
        self._waiting.extend(requests)
        if any(each.forced for each in requests):
            size = self._step.slots, self._settings.spec.max_new_tokens
            self._step.forced = torch.full(size, FREE, device=self._device)
        while self._waiting or self._slots:
            free = self._capacity - len(self._slots)
            with torch.inference_mode(), self._stacked.using(self._step.views):
                if self._waiting and free >= min(
                    len(self._waiting), self._capacity // _REFILL or 1
                ):
                    count = min(free, len(self._waiting))
                    self._admit([self._waiting.popleft() for _ in range(count)])
                else:
                    for _ in range(min(self._steps, *(slot.left for slot in self._slots))):
                        self._unread.append(self._next())
                finished = self._finish()
            yield from finished

    def _admit(self, requests: list[EncodedRequest]) -> None:
        """Read prompts into free slots and choose their first tokens."""
        first = len(self._slots)
        budget = self._settings.spec.max_new_tokens
        self._slots += [AnswerSlot(each, len(each.forced) or budget) for each in requests]
        new = slice(first, len(self._slots))
        step = self._step
        step.seed[new] = torch.tensor([each.seed for each in requests], device=self._device)
        step.count[new], step.live[new] = 0, 1
        if step.forced is not None:
            forced = [(*each.forced, *[FREE] * (budget - len(each.forced))) for each in requests]
            step.forced[new] = torch.tensor(forced, device=self._device)
        own = self._settings.own_rows
        for slot, encoded in enumerate(requests, start=first):
            begin = 0 if self._settings.same_adapters else slot * own
            for index, weights in enumerate(encoded.own, start=begin):
                step.own[index] = self._settings.flatten(weights)
        logits = torch.empty(len(requests), self._width, step.seen.shape[1], device=self._device)
        limits = self._settings.limits
        for rows in self._settings.read_together:
            # samples of one prompt share its reading
            shared: dict[tuple[TokenIds, tuple[Weights, ...]], list[int]] = {}
            for slot, encoded in enumerate(requests, start=first):
                whose = encoded.prompts[rows.start].ids, encoded.own[rows.start : rows.stop]
                shared.setdefault(whose, []).append(slot)
            of_rows = PassLimits(max(1, limits.tokens // len(rows)), limits.labels)
            items = [(PromptTree(ids, ()), slots) for (ids, _), slots in shared.items()]
            for batch in pack(items, lambda item: item[0], of_rows, self._forward.batch_invariant):
                prompts = [tree.prompt for tree, _ in batch]
                self._read(rows, prompts, [slots for _, slots in batch], logits, first)
        self._unread.append(step.choose(new, logits))

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
        longest = self._forward.length(max(map(len, prompts)))
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
        self._step.cache.fill(source, target)
        own = self._settings.own_rows
        adapted = torch.tensor([row for row in rows if row < own], dtype=torch.long)
        leader = torch.tensor([group[0] for group in slots])
        indices = (leader.unsqueeze(-1) * own + adapted).flatten()
        self._stacked.rows = RowAdapters(width // max(1, len(adapted)), indices.to(device))
        with self._stacked.using(self._step.views if len(adapted) else {}):
            logits = self._forward.logits(
                tokens.repeat_interleave(width, 0).to(device),
                torch.arange(longest, device=device).unsqueeze(0),
                cache=self._step.cache,
                at=(
                    torch.arange(len(prompts) * width, device=device),
                    (lengths - 1).repeat_interleave(width).to(device),
                ),
            )
        slot, of_prompt = slot.to(device), of_prompt.to(device)
        if rows.start == 0:  # the penalty knows the request's own prompt alone
            seen = torch.zeros(len(prompts), self._step.seen.shape[1], device=device)
            seen.scatter_add_(1, tokens.to(device), real.to(device).float())
            self._step.seen[slot] = (seen > 0)[of_prompt]
        self._step.length[slot, these] = lengths.to(device)[of_prompt].unsqueeze(-1)
        after[slot - first, these] = logits.view(len(prompts), width, -1)[of_prompt]

    def _next(self) -> Choice:
        """Choose one token for every answer; the device is not waited for."""
        ahead = len(self._unread)
        chosen, rewards = self._advance([slot.length + ahead for slot in self._slots])
        answers = slice(len(self._slots))
        return chosen[answers], None if rewards is None else rewards[answers]

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
        choices = torch.stack([chosen for chosen, _ in self._unread], dim=1).tolist()
        slots = self._slots[-len(choices) :]
        for slot, tokens in zip(slots, choices, strict=True):
            for token in tokens:
                slot.add(token, self._settings.stop)
        if rewards := [values for _, values in self._unread if values is not None]:
            for slot, values in zip(slots, torch.stack(rewards, dim=1).tolist(), strict=True):
                slot.rewards += values
        self._unread.clear()

    def _free(self, done: list[int]) -> None:
        """Empty some slots; the last ones move into the gaps."""
        left = len(self._slots) - len(done)
        gaps = [index for index in done if index < left]
        gone = set(done)
        movers = [index for index in range(left, len(self._slots)) if index not in gone]
        for gap, mover in zip(gaps, movers, strict=True):
            self._slots[gap] = self._slots[mover]
        longest = max((self._slots[gap].length for gap in gaps), default=0)
        self._step.move(movers, gaps, longest)
        self._step.empty(slice(left, len(self._slots)))
        del self._slots[left:]

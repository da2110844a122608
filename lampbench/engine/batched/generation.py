"""The decoding loop: answers to many users' prompts, greedy, sampled or contrastive, together.

A sequence has a place in the batch; in contrastive decoding two neighbouring rows, the user's and
the base model's, which advance in the same forward pass on the same tokens. A sequence that ends
makes room for a waiting one.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lampbench.engine.batched.forward import Forward
from lampbench.engine.batched.kv_cache import Slots
from lampbench.engine.batched.shared_prompts import Budget, Ids, Tree, packs
from lampbench.engine.batched.stacked_lora import Layout, Rows, Stack
from lampbench.engine.next_token import draw, next_scores, rewards_of, uniforms
from lampbench.engine.protocol import GenerationSpec, Weights

_REFILL = 4  # prompts are read when a quarter of the places is free: reading few is inefficient


@dataclass(frozen=True, slots=True, eq=False)
class Ask:
    """An answer to make: prompt token ids, the seed of its own random numbers, and the adapters
    that are its own rows' alone, for each row that has any. The choices continue `follow`, at most
    the budget's tokens, where it is given, and themselves where not.
    """

    ids: Ids
    seed: int
    own: tuple[Weights, ...] = ()
    follow: Ids = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """The new tokens, without the one that stopped it; `truncated` when the budget ended it. Their
    rewards, where the spec asks for them.
    """

    ids: Ids
    truncated: bool
    rewards: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Setting:
    """What all answers of one call have in common.

    Of a sequence's rows the first `own_rows` have adapters of their own, in `layout`; `flat` reads
    them. `one_for_all` says that all sequences have the same ones. `budget` bounds a pass that
    reads prompts.
    """

    spec: GenerationSpec
    stop: frozenset[int]
    pad: int
    budget: Budget
    own_rows: int
    layout: Layout
    flat: Callable[[Weights], Tensor]
    one_for_all: bool


@dataclass(slots=True, eq=False)
class _Place:
    ask: Ask
    random: torch.Generator
    tokens: list[int] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)

    @property
    def last(self) -> int:
        """The token that the next one comes after."""
        return (self.ask.follow or self.tokens)[len(self.tokens) - 1]


class Decoding:
    """A batch of at most `places` sequences of at most `tokens` tokens, and those that wait."""

    def __init__(
        self, forward: Forward, stack: Stack, setting: Setting, places: int, tokens: int
    ) -> None:
        self._forward, self._stack, self._setting = forward, stack, setting
        spec = setting.spec
        self._streams = 2 if spec.contrast else 1
        self._device = forward.model.device
        config = forward.model.config.get_text_config()
        rows = places * self._streams
        self._cache = Slots(config.num_hidden_layers, rows, tokens, self._device)
        self._seen = torch.zeros(places, config.vocab_size, dtype=torch.bool, device=self._device)
        self._length = torch.zeros(places, dtype=torch.long, device=self._device)
        self._last = torch.zeros(places, dtype=torch.long, device=self._device)
        self._places: list[_Place] = []
        self._capacity = places
        slots = setting.own_rows * (1 if setting.one_for_all else places)
        precision = forward.model.dtype
        self._own = torch.zeros(slots, setting.layout.size, device=self._device, dtype=precision)
        self._views = setting.layout.views(self._own) if slots else {}
        self._waiting: deque[Ask] = deque()
        self._following = False

    def run(self, asks: Sequence[Ask]) -> Iterator[tuple[Ask, Answer]]:
        """Answers, each as soon as it stands. Give the longest prompts first."""
        self._waiting.extend(asks)
        self._following = any(ask.follow for ask in asks)
        while self._waiting or self._places:
            free = self._capacity - len(self._places)
            with torch.inference_mode(), self._stack.having(self._views):
                if self._waiting and free >= min(
                    len(self._waiting), self._capacity // _REFILL or 1
                ):
                    count = min(free, len(self._waiting))
                    self._admit([self._waiting.popleft() for _ in range(count)])
                else:
                    self._advance()
                finished = self._retire()
            yield from finished

    def _random(self, seed: int) -> torch.Generator:
        return torch.Generator(self._device).manual_seed(seed)

    def _rows(self, slots: Tensor | None) -> Rows:
        """Which rows of a pass have adapters: all, or of each pair the first."""
        every = self._streams // max(1, self._setting.own_rows)
        return Rows(every, slots)

    def _admit(self, asks: list[Ask]) -> None:
        """Read prompts into free places and choose their first tokens."""
        first = len(self._places)
        self._places += [_Place(ask, self._random(ask.seed)) for ask in asks]
        own = self._setting.own_rows
        for place, ask in enumerate(asks, start=first):
            where = 0 if self._setting.one_for_all else place * own
            for row, weights in enumerate(ask.own, start=where):
                self._own[row] = self._setting.flat(weights)
        # samples of one prompt share its reading
        shared: dict[tuple[Ids, tuple[Weights, ...]], list[int]] = {}
        for place, ask in enumerate(asks, start=first):
            shared.setdefault((ask.ids, ask.own), []).append(place)
        logits = torch.empty(len(asks), self._streams, self._seen.shape[1], device=self._device)
        prompts = list(shared.items())
        for pack in packs(prompts, lambda item: Tree(item[0][0], ()), self._reading_budget()):
            self._read([ids for (ids, _), _ in pack], [places for _, places in pack], logits, first)
        self._choose(slice(first, first + len(asks)), logits)

    def _reading_budget(self) -> Budget:
        budget = self._setting.budget
        return Budget(max(1, budget.tokens // self._streams), budget.labels)

    def _read(self, prompts: list[Ids], places: list[list[int]], after: Tensor, first: int) -> None:
        """One pass over prompts, each for one or several places, whose logits go to `after`."""
        device, streams = self._device, self._streams
        longest = max(map(len, prompts))
        tokens = torch.tensor(
            [[*ids, *[self._setting.pad] * (longest - len(ids))] for ids in prompts]
        )
        lengths = torch.tensor([len(ids) for ids in prompts])
        of_prompt = torch.tensor([i for i, group in enumerate(places) for _ in group])
        place = torch.tensor([p for group in places for p in group])
        real = torch.arange(longest) < lengths.unsqueeze(-1)
        pairs = torch.arange(streams)
        source = (of_prompt.unsqueeze(-1) * streams + pairs).flatten().to(device)
        target = (place.unsqueeze(-1) * streams + pairs).flatten().to(device)
        self._cache.fill(source, target)
        leader = torch.tensor([group[0] for group in places])
        own = self._setting.own_rows
        slots = (leader.unsqueeze(-1) * own + torch.arange(own)).flatten()
        self._stack.batch = self._rows(slots.to(device))
        logits = self._forward.logits(
            tokens.repeat_interleave(streams, 0).to(device),
            torch.arange(longest, device=device).unsqueeze(0),
            cache=self._cache,
            at=(
                torch.arange(len(prompts) * streams, device=device),
                (lengths - 1).repeat_interleave(streams).to(device),
            ),
        )
        place, of_prompt = place.to(device), of_prompt.to(device)
        seen = torch.zeros(len(prompts), self._seen.shape[1], device=device)
        seen.scatter_add_(1, tokens.to(device), real.to(device).float())
        self._seen[place] = (seen > 0)[of_prompt]
        self._length[place] = lengths.to(device)[of_prompt]
        after[place - first] = logits.view(len(prompts), streams, -1)[of_prompt]

    def _advance(self) -> None:
        """One token for every sequence."""
        active = slice(len(self._places))
        length = self._length[active]
        longest = int(length.max()) + 1
        rows = length.repeat_interleave(self._streams)
        self._cache.advance(rows, longest)
        self._stack.batch = self._rows(None)
        keys = torch.arange(longest, device=self._device)
        position = rows.unsqueeze(-1)
        mask = self._forward.masks(
            (keys <= position).unsqueeze(1), position, keys.expand(len(rows), -1)
        )
        logits = self._forward.logits(
            self._last[active].repeat_interleave(self._streams).unsqueeze(-1),
            position,
            mask=mask,
            cache=self._cache,
        )
        self._length[active] += 1
        self._choose(active, logits.view(len(self._places), self._streams, -1))

    def _choose(self, active: slice, logits: Tensor) -> None:
        """The next token of some places from their logits [places, streams, vocabulary]."""
        places, spec = self._places[active], self._setting.spec
        base = logits[:, 1] if self._streams == 2 else None
        scores = next_scores(spec, logits[:, 0], base, self._seen[active])
        if spec.sampling:
            uniform = uniforms([place.random for place in places], scores)
            chosen = draw(scores, spec.sampling, uniform)
        else:
            chosen = scores.argmax(dim=-1)
        if spec.rewards and base is not None:
            found = rewards_of(spec, logits[:, 0], base, chosen).tolist()
            for place, value in zip(places, found, strict=True):
                place.rewards.append(value)
        for place, token in zip(places, chosen.tolist(), strict=True):
            place.tokens.append(token)
        if self._following:
            chosen = torch.tensor([place.last for place in places], device=self._device)
        self._last[active] = chosen
        self._seen[active].scatter_(1, chosen.unsqueeze(-1), True)

    def _retire(self) -> list[tuple[Ask, Answer]]:
        """Take out the sequences that have ended; the last ones move into their places."""
        budget, stop = self._setting.spec.max_new_tokens, self._setting.stop
        done, finished = [], []
        for index, place in enumerate(self._places):
            follow = place.ask.follow
            stopped = not follow and place.tokens[-1] in stop
            if stopped or len(place.tokens) == (len(follow) or budget):
                done.append(index)
                ids = tuple(place.tokens[:-1] if stopped else place.tokens)
                rewards = tuple(place.rewards[: len(ids)])
                finished.append((place.ask, Answer(ids, not stopped, rewards)))
        if done:
            self._close(done)
        return finished

    def _close(self, done: list[int]) -> None:
        left = len(self._places) - len(done)
        holes = [index for index in done if index < left]
        gone = set(done)
        movers = [index for index in range(left, len(self._places)) if index not in gone]
        for hole, mover in zip(holes, movers, strict=True):
            self._places[hole] = self._places[mover]
        del self._places[left:]
        if not holes:
            return
        source, target = (torch.tensor(each, device=self._device) for each in (movers, holes))
        longest = int(self._length[source].max())
        self._cache.move(
            self._pairs(source, self._streams), self._pairs(target, self._streams), longest
        )
        for state in (self._seen, self._length, self._last):
            state[target] = state[source]
        own = self._setting.own_rows
        if own and not self._setting.one_for_all:
            self._own[self._pairs(target, own)] = self._own[self._pairs(source, own)]

    def _pairs(self, places: Tensor, each: int) -> Tensor:
        """The rows of places that have `each` rows."""
        return (places.unsqueeze(-1) * each + torch.arange(each, device=self._device)).flatten()

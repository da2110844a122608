"""Log-probabilities of given responses. Responses to one prompt share its tokens."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from lampbench.engine.batched.forward import Forward

Ids = tuple[int, ...]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Tree:
    """A prompt and responses that branch off it: each sees the prompt and itself alone."""

    prompt: Ids
    branches: tuple[Ids, ...]

    @property
    def tokens(self) -> int:
        """Tokens of the prompt and of all branches."""
        return len(self.prompt) + self.labels

    @property
    def labels(self) -> int:
        """Tokens that are scored."""
        return sum(map(len, self.branches))


@dataclass(frozen=True, slots=True)
class Budget:
    """What one forward pass may hold: `tokens` with padding, and `labels` (places with logits)."""

    tokens: int
    labels: int


def packs(items: Sequence[T], tree: Callable[[T], Tree], budget: Budget) -> Iterator[list[T]]:
    """Items in batches of like length that keep within the budget (a single item may exceed it);
    the longest first, so that what does not fit into memory shows at once.
    """
    batch: list[T] = []
    longest = labels = 0
    for item in sorted(items, key=lambda item: tree(item).tokens, reverse=True):
        own = tree(item)
        full = longest * (len(batch) + 1) > budget.tokens or labels + own.labels > budget.labels
        if batch and full:
            yield batch
            batch, longest, labels = [], 0, 0
        longest, labels = max(longest, own.tokens), labels + own.labels
        batch.append(item)
    if batch:
        yield batch


def branch_logprobs(forward: Forward, trees: Sequence[Tree], pad: int) -> tuple[Tensor, list[int]]:
    """Natural-log probabilities of all branches' tokens, one after the other, and how many tokens
    each branch has, in the trees' order.

    Differentiable; float32 whatever the model's precision.
    """
    device = forward.model.device
    length = max(tree.tokens for tree in trees)
    tokens = torch.full((len(trees), length), pad)
    positions = torch.arange(length).repeat(len(trees), 1)
    branch = torch.full((len(trees), length), -1)  # 0 is the prompt, -1 padding
    rows: list[int] = []
    columns: list[int] = []  # of the token after which a label is expected
    for row, tree in enumerate(trees):
        begin = len(tree.prompt)
        tokens[row, :begin] = torch.tensor(tree.prompt)
        branch[row, :begin] = 0
        for number, ids in enumerate(tree.branches, start=1):
            place = slice(begin, begin + len(ids))
            tokens[row, place] = torch.tensor(ids, dtype=torch.long)
            positions[row, place] = torch.arange(len(ids)) + len(tree.prompt)
            branch[row, place] = number
            rows += [row] * len(ids)
            columns += [len(tree.prompt) - 1, *range(begin, place.stop - 1)][: len(ids)]
            begin = place.stop
    labels = torch.tensor([i for tree in trees for ids in tree.branches for i in ids])
    mask = None
    if any(len(tree.branches) > 1 for tree in trees):
        where = positions.to(device)
        mask = forward.masks(_allowed(branch).to(device), where, where)
    logits = forward.logits(
        tokens.to(device),
        positions.to(device) if mask is not None else positions[:1].to(device),
        mask=mask,
        at=(torch.tensor(rows, device=device), torch.tensor(columns, device=device)),
    )
    logs = -cross_entropy(logits, labels.to(device), reduction="none")
    return logs, [len(ids) for tree in trees for ids in tree.branches]


def branch_sums(logs: Tensor, sizes: Sequence[int]) -> Tensor:
    """Sum of each branch's log-probabilities [branches]."""
    of = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes)).to(logs.device)
    return logs.new_zeros(len(sizes)).index_add(0, of, logs)


def _allowed(branch: Tensor) -> Tensor:
    """Who sees whom [rows, queries, keys]: earlier tokens of the prompt and of its own branch.

    Padding sees the first token, since attention to nothing is not a number.
    """
    query, key = branch.unsqueeze(-1), branch.unsqueeze(-2)
    causal = torch.ones(branch.shape[1], branch.shape[1], dtype=torch.bool).tril()
    allowed = causal & ((key == 0) | (key == query)) & (key >= 0)
    allowed[:, :, 0] = True
    return allowed

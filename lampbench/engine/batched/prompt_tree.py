"""A prompt and the responses that share it, and the log-probabilities of these responses."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from lampbench.engine.batched.forward_pass import ForwardPass
from lampbench.engine.prompt_encoder import TokenIds


@dataclass(frozen=True, slots=True)
class PromptTree:
    """A prompt and responses that branch off it; each sees the prompt and itself alone."""

    prompt: TokenIds
    branches: tuple[TokenIds, ...]

    @property
    def tokens(self) -> int:
        """Tokens of the prompt and of all branches."""
        return len(self.prompt) + self.labels

    @property
    def labels(self) -> int:
        """Tokens of all branches: those that are scored."""
        return sum(map(len, self.branches))


def branch_logprobs(
    forward: ForwardPass, trees: Sequence[PromptTree], pad: int
) -> tuple[Tensor, list[int]]:
    """Natural-log probabilities [labels] of all branches' tokens, and each branch's length.

    Branch follows branch in the order of the trees. Differentiable; float32 whatever the model's
    precision. `pad` is the id of the padding token.
    """
    device = forward.model.device
    length = forward.length(max(tree.tokens for tree in trees))
    tokens = torch.full((len(trees), length), pad)
    places = torch.arange(length)
    positions = torch.zeros_like(tokens)  # padding is at the start, where every position is known
    branch = torch.full((len(trees), length), -1)  # 0 is the prompt, -1 padding
    rows: list[int] = []
    columns: list[int] = []  # of the token after which a label is expected
    for row, tree in enumerate(trees):
        begin = len(tree.prompt)
        tokens[row, :begin] = torch.tensor(tree.prompt, dtype=torch.long)
        positions[row, :begin] = places[:begin]
        branch[row, :begin] = 0
        for number, ids in enumerate(tree.branches, start=1):
            span = slice(begin, begin + len(ids))
            tokens[row, span] = torch.tensor(ids, dtype=torch.long)
            positions[row, span] = places[: len(ids)] + len(tree.prompt)
            branch[row, span] = number
            rows += [row] * len(ids)
            columns += [len(tree.prompt) - 1, *range(begin, span.stop - 1)][: len(ids)]
            begin = span.stop
    labels = torch.tensor(
        [i for tree in trees for ids in tree.branches for i in ids], dtype=torch.long
    )
    mask = None
    if any(len(tree.branches) > 1 for tree in trees):
        where = positions.to(device)
        mask = forward.masks(_allowed(branch.to(device)), where, where)
    logits = forward.logits(
        tokens.to(device),
        (places.unsqueeze(0) if mask is None else positions).to(device),
        mask=mask,
        at=(
            torch.tensor(rows, dtype=torch.long, device=device),
            torch.tensor(columns, dtype=torch.long, device=device),
        ),
    )
    logs = -cross_entropy(logits, labels.to(device), reduction="none")
    return logs, [len(ids) for tree in trees for ids in tree.branches]


def branch_sums(logs: Tensor, lengths: Sequence[int]) -> Tensor:
    """Sums [branches] of the log-probabilities [labels] of branches of these lengths."""
    of = [branch for branch, length in enumerate(lengths) for _ in range(length)]
    index = torch.tensor(of, dtype=torch.long, device=logs.device)
    return logs.new_zeros(len(lengths)).index_add(0, index, logs)


def _allowed(branch: Tensor) -> Tensor:
    """Which token sees which [rows, queries, keys]: earlier ones of the prompt and its own branch.

    Padding sees the first token, since the softmax over nothing is NaN.
    """
    query, key = branch.unsqueeze(-1), branch.unsqueeze(-2)
    size = branch.shape[1], branch.shape[1]
    causal = torch.ones(size, dtype=torch.bool, device=branch.device).tril()
    allowed = causal & ((key == 0) | (key == query)) & (key >= 0)
    allowed[:, :, 0] = True
    return allowed

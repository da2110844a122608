"""What sharing saves, measured one at a time: prompts between samples and between the branches of
a tree; and what a lazy base row, base logits for candidates only, or prompts shared between
methods could save at most.
"""

import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import torch

from benchmarks import harness
from benchmarks.workloads import SHAPES, Workload
from lampbench.engine import next_token
from lampbench.engine.next_token import plausible
from lampbench.engine.protocol import ScoreRequest


def samples(work: Workload, shape: str, pairs: int) -> dict[str, float]:
    """Three samples a prompt: one reading of the prompt against three."""
    asked = work.requests("sample", *SHAPES[shape])
    apart = [replace(r, id=f"{r.id}/{n}", samples=1, seed=n) for r in asked for n in range(3)]
    # a space more or less makes another prompt, which nothing shares
    apart = [
        replace(r, prompt=replace(r.prompt, system=" " * (n % 3))) for n, r in enumerate(apart)
    ]
    return _ratio(work, pairs, lambda: _all(work, apart), lambda: _all(work, asked))


def responses(work: Workload, shape: str, count: int, pairs: int) -> dict[str, float]:
    """Scores of `count` responses to a prompt: a tree against a row for each."""
    prompt, answer = SHAPES[shape]
    asked = [
        ScoreRequest(f"{r.id}/{n}", r.prompt, f"{n} " + "storm " * (answer - 1), r.weights)
        for r in work.requests("greedy", prompt, answer)
        for n in range(count)
    ]

    def apart() -> None:
        for n in range(count):
            list(work.ours.score(asked[n::count]))

    return _ratio(work, pairs, apart, lambda: list(work.ours.score(asked)))


def candidates(work: Workload, shape: str) -> dict[str, float]:
    """How often one token alone is plausible: then the base model's row cannot matter."""
    counts: list[torch.Tensor] = []

    def watch(log_user: torch.Tensor, tau: float) -> torch.Tensor:
        head = plausible(log_user, tau)
        counts.append(head.sum(dim=-1))
        return head

    next_token.plausible = watch
    try:
        list(work.ours.generate(work.requests("contrastive", *SHAPES[shape])))
    finally:
        next_token.plausible = plausible
    found = torch.cat(counts).float()
    steps = [float((each > 1).any()) for each in counts]
    return {
        "one_alone": round(float((found == 1).float().mean()), 3),
        "median": float(found.median()),
        "steps_in_which_no_row_needs_it": round(1 - sum(steps) / len(steps), 3),
    }


def waiting(work: Workload, shape: str, gap: int, pairs: int) -> dict[str, float]:
    """A lazy base row at its best: for `gap` tokens only the users' rows advance, then the base
    rows catch up in one pass; against pairs that advance together.
    """
    from transformers import DynamicCache

    model, prompt = work.ours._model, SHAPES[shape][0]
    tokens = torch.randint(2, 1000, (2 * work.users, prompt), device=work.ours.device)
    user, base, both = tokens[: work.users], tokens[work.users :], tokens
    caches = [DynamicCache(config=model.config) for _ in range(3)]

    def read(rows: torch.Tensor, cache: Any) -> None:
        model(input_ids=rows, past_key_values=cache, use_cache=True, logits_to_keep=1)

    def together() -> None:
        for _ in range(gap):
            read(both[:, :1], caches[2])
        caches[2].crop(-gap)

    def apart() -> None:
        for _ in range(gap):
            read(user[:, :1], caches[0])
        read(base[:, :gap], caches[1])
        caches[0].crop(-gap)
        caches[1].crop(-gap)

    with torch.inference_mode():
        for rows, cache in zip((user, base, both), caches, strict=True):
            read(rows, cache)
        taken = harness.paired({"together": together, "apart": apart}, pairs, work.ours.device)
    return harness.ratio(taken["together"], taken["apart"])


def base_prompts(work: Workload, shape: str, pairs: int) -> dict[str, float]:
    """Share of contrastive decoding that reads the base rows' prompts: what a method that found
    them read by another would save.
    """
    asked = work.requests("contrastive", *SHAPES[shape])
    short = [replace(r, spec=replace(r.spec, max_new_tokens=1)) for r in asked]
    works = {"prompts": lambda: _all(work, short), "all": lambda: _all(work, asked)}
    taken = harness.paired(works, pairs, work.ours.device)
    return harness.ratio(taken["prompts"], taken["all"], 0.5)


def _all(work: Workload, asked: Any) -> None:
    for _ in work.ours.generate(asked):
        pass


def _ratio(
    work: Workload, pairs: int, apart: Callable[[], object], shared: Callable[[], object]
) -> dict[str, float]:
    taken = harness.paired({"apart": apart, "shared": shared}, pairs, work.ours.device)
    return harness.ratio(taken["apart"], taken["shared"])


@click.command()
@click.option("--users", default=16, show_default=True)
@click.option("--pairs", default=3, show_default=True)
@click.option("--shape", multiple=True, default=("news", "title"), show_default=True)
@click.option("--output", type=click.Path(path_type=Path), default=harness.RESULTS)
def main(users: int, pairs: int, shape: tuple[str, ...], output: Path) -> None:
    """Measure each; writes sharing.json."""
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as home:
        work = Workload("bundled", users, Path(home))
        for name in shape:
            print(name, file=sys.stderr)
            results[f"{name}: a prompt shared by 3 samples"] = samples(work, name, pairs)
            for count in (2, 3):
                title = f"{name}: a prompt shared by {count} responses"
                results[title] = responses(work, name, count, pairs)
            results[f"{name}: plausible tokens"] = candidates(work, name)
            for gap in (2, 4, 8):
                title = f"{name}: a base row that waits {gap} tokens"
                results[title] = waiting(work, name, gap, pairs)
            results[f"{name}: share of the base rows' prompts"] = base_prompts(work, name, pairs)
    for title, found in results.items():
        print(f"{title}: {found}")
    settings = {"users": users, "pairs": pairs, "threads": torch.get_num_threads()}
    harness.write("sharing", settings, results, output)


if __name__ == "__main__":
    main()

"""What sharing saves: prompts between samples, and between the responses of a prompt tree.

And what three ideas that are not built could save at most: a base row that lags behind, base logits
for plausible tokens only, and prompts shared between methods.
"""

import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import torch

from benchmarks import timing
from benchmarks.results_file import RESULTS, write_results
from benchmarks.workloads import SHAPES, Workload
from lampbench.engine import next_token
from lampbench.engine.next_token import plausible_tokens
from lampbench.engine.protocol import ScoreRequest


def samples(work: Workload, shape: str, rounds: int) -> dict[str, float]:
    """Three samples per prompt: reading the prompt once, compared with three times."""
    asked = work.requests("sample", *SHAPES[shape])
    apart = [replace(r, id=f"{r.id}/{n}", samples=1, seed=n) for r in asked for n in range(3)]
    # one space more makes another prompt, so that nothing is shared
    apart = [
        replace(r, prompt=replace(r.prompt, system=" " * (n % 3))) for n, r in enumerate(apart)
    ]
    return _ratio(work, rounds, lambda: _all(work, apart), lambda: _all(work, asked))


def responses(work: Workload, shape: str, count: int, rounds: int) -> dict[str, float]:
    """Scores of `count` responses to a prompt: one tree, compared with one row for each."""
    prompt, answer = SHAPES[shape]
    asked = [
        ScoreRequest(f"{r.id}/{n}", r.prompt, f"{n} " + "storm " * (answer - 1), r.weights)
        for r in work.requests("greedy", prompt, answer)
        for n in range(count)
    ]

    def apart() -> None:
        for n in range(count):
            list(work.batched.score(asked[n::count]))

    return _ratio(work, rounds, apart, lambda: list(work.batched.score(asked)))


def candidates(work: Workload, shape: str) -> dict[str, float]:
    """How often a single token is plausible: then the base model's row does not matter."""
    counts: list[torch.Tensor] = []

    def watch(log_user: torch.Tensor, tau: float) -> torch.Tensor:
        head = plausible_tokens(log_user, tau)
        counts.append(head.sum(dim=-1))
        return head

    next_token.plausible_tokens = watch
    try:
        list(work.batched.generate(work.requests("contrastive", *SHAPES[shape])))
    finally:
        next_token.plausible_tokens = plausible_tokens
    found = torch.cat(counts).float()
    steps = [float((each > 1).any()) for each in counts]
    return {
        "one_alone": round(float((found == 1).float().mean()), 3),
        "median": float(found.median()),
        "steps_in_which_no_row_needs_it": round(1 - sum(steps) / len(steps), 3),
    }


def waiting(work: Workload, shape: str, gap: int, rounds: int) -> dict[str, float]:
    """A base row that lags behind, at its best, compared with rows that advance together.

    For `gap` tokens only the users' rows advance, then the base rows catch up in one pass.
    """
    from transformers import DynamicCache

    model, prompt = work.batched._model, SHAPES[shape][0]
    tokens = torch.randint(2, 1000, (2 * work.users, prompt), device=work.batched.device)
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
        taken = timing.paired({"together": together, "apart": apart}, rounds, work.batched.device)
    return timing.ratio(taken["together"], taken["apart"])


def base_prompts(work: Workload, shape: str, rounds: int) -> dict[str, float]:
    """Share of contrastive decoding that is spent on reading the base rows' prompts.

    A method would save it if another method had read them before.
    """
    asked = work.requests("contrastive", *SHAPES[shape])
    short = [replace(r, spec=replace(r.spec, max_new_tokens=1)) for r in asked]
    works = {"prompts": lambda: _all(work, short), "all": lambda: _all(work, asked)}
    taken = timing.paired(works, rounds, work.batched.device)
    return timing.ratio(taken["prompts"], taken["all"], 0.5)


def _all(work: Workload, asked: Any) -> None:
    for _ in work.batched.generate(asked):
        pass


def _ratio(
    work: Workload, rounds: int, apart: Callable[[], object], shared: Callable[[], object]
) -> dict[str, float]:
    taken = timing.paired({"apart": apart, "shared": shared}, rounds, work.batched.device)
    return timing.ratio(taken["apart"], taken["shared"])


@click.command()
@click.option("--users", default=16, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--shape", multiple=True, default=("news", "title"), show_default=True)
@click.option("--output", type=click.Path(path_type=Path), default=RESULTS)
def main(users: int, rounds: int, shape: tuple[str, ...], output: Path) -> None:
    """Measure all of them; writes sharing.json."""
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as home:
        work = Workload("bundled", users, Path(home))
        for name in shape:
            print(name, file=sys.stderr)
            results[f"{name}: a prompt shared by 3 samples"] = samples(work, name, rounds)
            for count in (2, 3):
                title = f"{name}: a prompt shared by {count} responses"
                results[title] = responses(work, name, count, rounds)
            results[f"{name}: plausible tokens"] = candidates(work, name)
            for gap in (2, 4, 8):
                title = f"{name}: a base row that waits {gap} tokens"
                results[title] = waiting(work, name, gap, rounds)
            results[f"{name}: share of the base rows' prompts"] = base_prompts(work, name, rounds)
    for title, found in results.items():
        print(f"{title}: {found}")
    settings = {"users": users, "rounds": rounds, "threads": torch.get_num_threads()}
    write_results("sharing", settings, results, output)


if __name__ == "__main__":
    main()

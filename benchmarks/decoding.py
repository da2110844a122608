"""Decoding: the batched engine, the reference engine and PEFT's mixed batches."""

import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import torch

from benchmarks import roofline, timing
from benchmarks.peft_mixed import PeftMixed
from benchmarks.results_file import RESULTS, write_results
from benchmarks.workloads import MODELS, SHAPES, Workload
from lampbench.engine.protocol import GenerateRequest

OPERATIONS = ("greedy", "contrastive", "sample")
PEERS = ("reference", "peft_mixed")


def compare(
    work: Workload,
    operation: str,
    lengths: tuple[int, int],
    users: int,
    rounds: int,
    alone: int,
    mixed: PeftMixed | None = None,
    peers: Sequence[str] = PEERS,
) -> dict[str, Any]:
    """Ratios and rates of one operation at one number of users.

    `lengths` are the tokens of prompt and answer; `mixed` has all users' adapters, and is made if
    it is among the `peers` and not given. The reference engine answers the first `alone` users
    only, one after the other; its seconds count `users / alone` times.

    Raises:
        SystemExit: too many answers differ from a peer's, so that there is nothing to compare.
    """
    asked = work.requests(operation, *lengths, users)
    ours, slow = work.batched, work.reference
    if mixed is None and "peft_mixed" in peers:
        mixed = PeftMixed(slow, work.tam, [work.user(i) for i in range(users)])
    peft: Any = mixed
    found: dict[str, Any] = {}
    few = min(alone, users)

    def of(engine: Any, given: Sequence[GenerateRequest]) -> dict[Any, tuple[int, ...]]:
        return {(c.id, c.sample): c.token_ids for c in engine.generate(given)}

    def works(given: Sequence[GenerateRequest]) -> dict[str, Callable[[], None]]:
        each: dict[str, Callable[[], None]] = {
            "reference": lambda: found.update(reference=of(slow, given[:few])),
            "peft_mixed": lambda: found.update(peft_mixed=peft.answer(given)),
            "ours": lambda: found.update(ours=of(ours, given)),
        }
        return {name: each[name] for name in (*peers, "ours")}

    for warm in works([replace(r, spec=replace(r.spec, max_new_tokens=2)) for r in asked]).values():
        warm()
    taken = timing.paired(works(asked), rounds, work.batched.device)
    differ = equal(found, work.dtype == "float32")
    prompt = len(ours._encoder.encode_prompt("", asked[0].prompt, 10**6).ids)
    answer = lengths[1]
    tokens = answer * sum(request.samples for request in asked)
    spent = timing.median(taken["ours"])
    counted = {"reference": users / few}
    return {
        **{
            f"vs_{peer}": timing.ratio(taken[peer], taken["ours"], counted.get(peer, 1.0))
            for peer in peers
        },
        "tokens_per_second": round(tokens / spent),
        "seconds": round(spent, 3),
        "answers_that_differ": differ,
        "prompt_tokens": prompt,
        "peak_bytes": timing.peak_memory(ours.device),
        "of_roofline": roofline.share(work, operation, users, prompt, answer, spent),
    }


def equal(found: Mapping[str, Mapping[tuple[str, int], Any]], strict: bool) -> dict[str, int]:
    """How many answers differ from ours, by peer: near-ties, which rounding decides.

    Raises:
        SystemExit: with `strict` (float32), if it is more than one in fifty: then one of the
            engines computes something else.
    """
    differ = {}
    ours = found["ours"]
    for peer, theirs in found.items():
        if peer == "ours":
            continue
        differ[peer] = sum(ours[key] != ids for key, ids in theirs.items())
        if strict and differ[peer] > max(1, len(theirs) // 50):
            raise SystemExit(f"{differ[peer]} of {len(theirs)} answers differ from {peer}'s")
    return differ


@click.command()
@click.option("--model", type=click.Choice(["bundled", *MODELS]), default="bundled")
@click.option("--users", multiple=True, type=int, default=(1, 4, 16, 64), show_default=True)
@click.option(
    "--shape", multiple=True, type=click.Choice(list(SHAPES)), default=("news", "abstract")
)
@click.option("--rounds", default=3, show_default=True, help="Rounds that are measured.")
@click.option(
    "--alone", default=4, show_default=True, help="Users that the reference engine answers."
)
@click.option("--device", default="cpu", show_default=True)
@click.option("--dtype", default="float32", show_default=True)
@click.option("--output", type=click.Path(path_type=Path), default=RESULTS)
def main(
    model: str,
    users: tuple[int, ...],
    shape: tuple[str, ...],
    rounds: int,
    alone: int,
    device: str,
    dtype: str,
    output: Path,
) -> None:
    """Compare decoding at several numbers of users; writes decoding-MODEL.json."""
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as home:
        work = Workload(model, max(users), Path(home), device, dtype)
        for name in shape:
            for count in users:
                spent = {}
                for operation in OPERATIONS:
                    title = f"{operation}, {name}, {count} users"
                    print(title, file=sys.stderr)
                    results[title] = compare(work, operation, SHAPES[name], count, rounds, alone)
                    print(f"{title}: {results[title]}")
                    spent[operation] = results[title]["seconds"]
                cost = round(spent["contrastive"] / spent["greedy"], 2)
                results[f"contrastive, {name}, {count} users"]["cost_over_greedy"] = cost
    settings = {"model": model, "device": device, "dtype": dtype, "rounds": rounds, "alone": alone,
                "threads": torch.get_num_threads(), "shapes": SHAPES}  # fmt: skip
    write_results(f"decoding-{model}", settings, results, output)


if __name__ == "__main__":
    main()

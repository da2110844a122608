"""The seven main ratios, in less than ten minutes on two cores.

Bundled model; decoding of 64 users' abstracts (LongLaMP's lengths), training of 32 users on
headlines (LaMP's lengths). The last line of the output is one JSON object.
"""

import json
import tempfile
from pathlib import Path

import click

from benchmarks import decoding, training
from benchmarks.workloads import SHAPES, Workload


@click.command()
@click.option("--users", default=64, show_default=True)
@click.option("--trained", default=32, show_default=True, help="Users that are trained.")
@click.option("--rounds", default=3, show_default=True, help="Rounds that are measured.")
@click.option("--alone", default=1, show_default=True, help="Users of the reference engine.")
@click.option("--shape", default="abstract", show_default=True)
def main(users: int, trained: int, rounds: int, alone: int, shape: str) -> None:
    """Compare decoding and training with their peers, and print the ratios."""
    with tempfile.TemporaryDirectory() as home:
        work = Workload("bundled", users, Path(home))
        decoded = {}
        for operation in decoding.OPERATIONS:
            decoded[operation] = decoding.compare(
                work, operation, SHAPES[shape], users, rounds, alone
            )
            print(f"{operation}: {decoded[operation]}", flush=True)
        learned = {}
        for operation in ("sft", "dpo"):
            few = 2 * alone
            learned[operation] = training.compare(
                work, operation, SHAPES["news"], trained, rounds, 4, few
            )
            print(f"{operation}: {learned[operation]}", flush=True)
    cost = decoded["contrastive"]["seconds"] / decoded["greedy"]["seconds"]
    summary = {
        "contrastive_vs_reference": decoded["contrastive"]["vs_reference"]["median"],
        "contrastive_vs_peft_mixed": decoded["contrastive"]["vs_peft_mixed"]["median"],
        "greedy_vs_reference": decoded["greedy"]["vs_reference"]["median"],
        "sample_vs_reference": decoded["sample"]["vs_reference"]["median"],
        "sft_vs_alone": learned["sft"]["vs_reference"]["median"],
        "dpo_vs_alone": learned["dpo"]["vs_reference"]["median"],
        "contrastive_cost_vs_greedy": round(cost, 2),
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()

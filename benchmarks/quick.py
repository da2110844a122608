"""The seven ratios, in under ten minutes on two cores: bundled model, 64 users, 32 for training.

Decoding at LongLaMP lengths (abstracts), training at LaMP lengths (headlines). The last line is
one JSON object.
"""

import json
import tempfile
from pathlib import Path

import click

from benchmarks import decoding, training
from benchmarks.workloads import Workload


@click.command()
@click.option("--users", default=64, show_default=True)
@click.option("--trained", default=32, show_default=True, help="Users in training.")
@click.option("--pairs", default=3, show_default=True, help="Rounds that count.")
@click.option("--alone", default=1, show_default=True, help="Users that the reference serves.")
@click.option("--shape", default="abstract", show_default=True)
def main(users: int, trained: int, pairs: int, alone: int, shape: str) -> None:
    """Print what decoding and training cost against their peers."""
    with tempfile.TemporaryDirectory() as home:
        work = Workload("bundled", users, Path(home))
        decoded = {}
        for operation in decoding.OPERATIONS:
            decoded[operation] = decoding.compare(work, operation, shape, users, pairs, alone)
            print(f"{operation}: {decoded[operation]}", flush=True)
        learned = {}
        for operation in ("sft", "dpo"):
            few = 2 * alone
            learned[operation] = training.compare(work, operation, "news", trained, pairs, 4, few)
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

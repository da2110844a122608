"""`lampbench run`: methods x tasks x models x seeds."""

import sys
from pathlib import Path
from typing import Any

import click

from lampbench.cli import options


@click.command()
@click.option(
    "--method",
    "methods",
    multiple=True,
    required=True,
    metavar="NAME",
    help="Method to run; may be repeated; all for every method.",
)
@click.option(
    "--task",
    "tasks",
    multiple=True,
    required=True,
    metavar="NAME",
    help="Task to run it on; may be repeated; all for every task.",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    default=("bundled",),
    show_default=True,
    metavar="MODEL",
    help="Preset, hub id or folder; may be repeated.",
)
@click.option(
    "--seed",
    "seeds",
    multiple=True,
    type=int,
    default=(0,),
    show_default=True,
    help="Seed of all random choices; may be repeated.",
)
@options.dataset
@options.hyper
@click.option(
    "--template",
    metavar="NAME",
    help="Chat template of the paper's appendix D: mistral, llama, gemma or qwen. "
    "[default: the tokenizer's own]",
)
@click.option(
    "--device", metavar="DEVICE", help="cpu, cuda, cuda:1, mps. [default: the best there is]"
)
@click.option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    help="Precision. [default: the model's]",
)
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    metavar="ROWS",
    help="Most rows in one decoding step. [default: as the memory allows]",
)
@click.option(
    "--backend",
    type=click.Choice(["many", "reference"]),
    default="many",
    show_default=True,
    help="Many users in every pass, or one at a time: slow, the oracle.",
)
@options.results
@options.store
@options.plugins
@click.option("--force", is_flag=True, help="Predict and record again what is recorded already.")
@click.option(
    "--dry-run", is_flag=True, help="Print the plan: stages, what is cached, tokens, disk."
)
def run(results: Path, force: bool, dry_run: bool, **choices: Any) -> None:
    """Run methods on tasks and record the runs.

    Whatever is recorded or stored already is not computed again; a run that was stopped goes on
    where it ended when the same command is given again.
    """  # fmt: skip
    from lampbench.artifacts import Store, writable
    from lampbench.progress import Progress
    from lampbench.session import Choices, plans

    progress = Progress()
    command = ["lampbench", *sys.argv[1:]]
    Store(choices["store"]).prepare()
    if not dry_run:
        writable(results, "--results")
    todo = plans(Choices(**choices), results, progress)
    if dry_run:
        from lampbench.estimate import print_plan

        for plan in todo:
            print_plan(plan)
        return
    from lampbench.report.summary import print_summary
    from lampbench.runner import execute

    print_summary([execute(plan, command, results, force) for plan in todo])

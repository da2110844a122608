"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

CACHE_DIR = Path(".lampbench/cache")


def apply(*options: Callable[[F], F]) -> Callable[[F], F]:
    """One decorator out of several, in the order in which help shows them."""

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


plugins = click.option(
    "--plugins",
    multiple=True,
    metavar="PATH",
    help="File or folder of plugins; may be repeated. Also LAMPBENCH_PLUGINS.",
)
results = click.option(
    "--results",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("results"),
    show_default=True,
    help="Folder of recorded runs.",
)
cache_dir = click.option(
    "--cache-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=CACHE_DIR,
    show_default=True,
    envvar="LAMPBENCH_CACHE_DIR",
    help="Folder of adapters, negatives and other artifacts. Also LAMPBENCH_CACHE_DIR.",
)
dataset = apply(
    click.option("--data", default="bundled", show_default=True, metavar="SOURCE",
                 help="bundled, lamp:DIR, oppu:DIR, longlamp[:DIR], lampbench:DIR or a folder."),
    click.option("--users", type=click.IntRange(min=1), metavar="N",
                 help="Test users: the N with the longest histories. "
                      "[default: 100, or all that a bundled or processed source names]"),
    click.option("--min-history", type=click.IntRange(min=1), default=1, show_default=True,
                 metavar="N", help="Leave out test users with fewer past records."),
    click.option("--split-by", type=click.Choice(["user", "time"]),
                 help="Published split of LaMP and LongLaMP. [default: LaMP user, LongLaMP time]"),
    click.option("--split", "splits", multiple=True, type=click.Choice(["train", "dev", "test"]),
                 help="Read only this part of LaMP or LongLaMP; may be repeated. Of bundled data "
                      "and lampbench:DIR, dev tests the users kept for hyper-parameters."),
    click.option("--data-seed", type=int, default=0, show_default=True, metavar="N",
                 help="Orders users with equally long histories."),
)  # fmt: skip
hyper = apply(
    click.option("--preset", type=click.Choice(["paper", "small", "reference"]),
                 help="Default hyper-parameters. [default: small for bundled models, or paper]"),
    click.option("--set", "assignments", multiple=True, metavar="SECTION.NAME=VALUE",
                 help="Set a hyper-parameter, as in decoding.alpha=0.5; may be repeated."),
    click.option("--config", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
                 help="TOML file of hyper-parameters, a table a section."),
    click.option("--fidelity", type=click.Choice(["paper", "reference"]), default="paper",
                 show_default=True,
                 help="Where paper and reference code part, whom to follow."),
)  # fmt: skip
combinations = apply(
    click.option("--method", "methods", multiple=True, required=True, metavar="NAME",
                 help="Method to run; may be repeated; all for every method."),
    click.option("--task", "tasks", multiple=True, required=True, metavar="NAME",
                 help="Task to run it on; may be repeated; all for every task."),
    click.option("--model", "models", multiple=True, default=("bundled",), show_default=True,
                 metavar="MODEL", help="Preset, hub id or folder; may be repeated."),
    click.option("--seed", "seeds", multiple=True, type=int, default=(0,), show_default=True,
                 help="Seed of all random choices; may be repeated."),
)  # fmt: skip
machine = apply(
    click.option("--chat-template", metavar="NAME",
                 help="Chat template of the paper's appendix D: mistral, llama, gemma or qwen. "
                      "[default: the tokenizer's own]"),
    click.option("--device", metavar="DEVICE",
                 help="cpu, cuda, cuda:1, mps. [default: the best there is]"),
    click.option("--dtype", type=click.Choice(["float32", "bfloat16", "float16"]),
                 help="Precision. [default: the model's]"),
    click.option("--batch-size", type=click.IntRange(min=1), metavar="ROWS",
                 help="Most rows in one decoding step. [default: as the memory allows]"),
    click.option("--engine", type=click.Choice(["batched", "reference"]), default="batched",
                 show_default=True,
                 help="Many users in every pass, or one at a time: slow, the oracle."),
    click.option("--rewards", is_flag=True,
                 help="Record the reward of every token that contrastive decoding chooses."),
)  # fmt: skip
dry_run = click.option(
    "--dry-run", is_flag=True, help="Print the plan: stages, what is cached, tokens, disk."
)

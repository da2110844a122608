"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

STORE = Path(".lampbench/artifacts")


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
store = click.option(
    "--store",
    type=click.Path(path_type=Path, file_okay=False),
    default=STORE,
    show_default=True,
    envvar="LAMPBENCH_STORE",
    help="Folder of adapters, negatives and other artifacts. Also LAMPBENCH_STORE.",
)
dataset = apply(
    click.option("--data", default="bundled", show_default=True, metavar="SOURCE",
                 help="bundled, lamp:DIR, oppu:DIR, longlamp[:DIR], lampbench:DIR or a folder."),
    click.option("--users", type=click.IntRange(min=1), metavar="N",
                 help="Test users: the N with the longest histories. "
                      "[default: 100, or all that a bundled or processed source names]"),
    click.option("--min-history", type=click.IntRange(min=1), default=1, show_default=True,
                 metavar="N", help="Leave out test users with fewer past records."),
    click.option("--split", type=click.Choice(["user", "time"]),
                 help="Published split of LaMP and LongLaMP. [default: LaMP user, LongLaMP time]"),
    click.option("--part", "parts", multiple=True, type=click.Choice(["train", "dev", "test"]),
                 help="Read only this part of LaMP or LongLaMP; may be repeated."),
    click.option("--data-seed", type=int, default=0, show_default=True, metavar="N",
                 help="Orders users with equally long histories."),
)  # fmt: skip
hyper = apply(
    click.option("--preset", type=click.Choice(["paper", "small", "reference"]),
                 help="Default hyper-parameters. [default: small for the bundled model, or paper]"),
    click.option("--set", "assignments", multiple=True, metavar="SECTION.NAME=VALUE",
                 help="Set a hyper-parameter, as in decoding.alpha=0.5; may be repeated."),
    click.option("--config", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
                 help="TOML file of hyper-parameters, a table a section."),
    click.option("--fidelity", type=click.Choice(["paper", "reference"]), default="paper",
                 show_default=True,
                 help="Where paper and reference code part, whom to follow."),
)  # fmt: skip

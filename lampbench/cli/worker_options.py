"""Options that say which processes do the work: one shard here, or several workers."""

import os
from pathlib import Path
from typing import Any

import click

from lampbench.api.processes import EXECUTORS, MOST_WORKERS, ProcessChoices, processes_for
from lampbench.cli import shared_options as shared
from lampbench.cli.command import arguments_given, option
from lampbench.cli.values import OneOf, WholeNumber
from lampbench.execution.shard import parse_shard
from lampbench.workers.crew import SHARD_OF_WORKER, Processes

WORKERS = "Processes"
_MODULE = "lampbench.cli.worker"

options = shared.apply(
    option("--workers", type=WholeNumber(1, MOST_WORKERS), metavar="N", heading=WORKERS,
           help="Divide the users among N processes on this machine, each with a GPU of its own "
                "or a share of the cores; with --executor ray, into N tasks.  [default: this "
                "process; with ray, as many as the cluster has GPUs, or else cores]"),
    option("--executor", type=OneOf(EXECUTORS), default="local", show_default=True,
           heading=WORKERS,
           help="Where workers run. ray: on a Ray cluster (pip install 'lampbench[ray]')."),
    option("--address", metavar="ADDRESS", heading=WORKERS,
           help="The Ray cluster, such as 10.0.0.5:6379 or auto.  [default: a new one on this "
                "machine]"),
    option("--shard", metavar="I/N", heading=WORKERS,
           help="Only this part of the users, of N parts numbered from 0. Processes with the "
                "other parts share --cache-dir and --results; the one that ends last records the "
                "run."),
)  # fmt: skip
recording = shared.apply(
    shared.hyper, shared.results, shared.cache_dir, options, shared.private, shared.rewards,
    shared.force, shared.dry_run, shared.max_hours, shared.output_format,
)  # fmt: skip
"""Options of commands that record runs, after those of what is run, on which data and machine."""


def taken_from(choices: dict[str, Any], results: Path) -> Processes:
    """Which processes work, out of the options of a command, from which these are removed.

    Raises:
        LampbenchError: two options contradict each other, or a shard is not written as I/N.
    """
    given = {name: choices.pop(name) for name in ("shard", "workers", "executor", "address")}
    if SHARD_OF_WORKER in os.environ:
        return Processes(parse_shard(os.environ[SHARD_OF_WORKER]), worker=True)
    return processes_for(
        ProcessChoices(**given),
        _MODULE,
        arguments_given(click.get_current_context()),
        models=choices["models"],
        cache_dir=choices["cache_dir"],
        results=results,
        device=choices["device"],
    )

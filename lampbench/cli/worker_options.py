"""Options that say which processes do the work: one shard here, or several workers."""

import os
from pathlib import Path
from typing import Any

import click

from lampbench.cli.command import arguments_given, option
from lampbench.cli.shared_options import apply
from lampbench.cli.values import OneOf, WholeNumber
from lampbench.execution.shard import parse_shard
from lampbench.util.errors import LampbenchError
from lampbench.workers.crew import SHARD_OF_WORKER, Crew, Processes

WORKERS = "Processes"
_MOST = 10_000
_MODULE = "lampbench.cli.worker"

options = apply(
    option("--workers", type=WholeNumber(1, _MOST), metavar="N", heading=WORKERS,
           help="Divide the users among N processes on this machine, each with a GPU of its own "
                "or a share of the cores; with --executor ray, into N tasks.  [default: this "
                "process; with ray, as many as the cluster has GPUs, or else cores]"),
    option("--executor", type=OneOf(["local", "ray"]), default="local", show_default=True,
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


def taken_from(choices: dict[str, Any], results: Path) -> Processes:
    """Which processes work, out of the options of a command, from which these are removed.

    Raises:
        LampbenchError: two options contradict each other, or a shard is not written as I/N.
    """
    shard, workers, executor, address = (
        choices.pop(name) for name in ("shard", "workers", "executor", "address")
    )
    if SHARD_OF_WORKER in os.environ:
        return Processes(parse_shard(os.environ[SHARD_OF_WORKER]), worker=True)
    if address and executor != "ray":
        raise LampbenchError(f"--address {address}: is a Ray cluster's; add --executor ray")
    if shard is not None:
        if workers or executor == "ray":
            raise LampbenchError(
                f"--shard {shard}: is for one process of several that you start; leave out "
                "--workers and --executor, which start processes"
            )
        return Processes(parse_shard(shard))
    return Processes(crew=_crew(workers, executor, address, choices, results))


def _crew(
    workers: int | None,
    executor: str,
    address: str | None,
    choices: dict[str, Any],
    results: Path,
) -> Crew | None:
    arguments = arguments_given(click.get_current_context())
    if executor == "ray":
        from lampbench.cli.worker import work
        from lampbench.workers.probe import need_of
        from lampbench.workers.ray_crew import RayCrew

        need = need_of(choices["models"], choices["cache_dir"], results, choices["device"])
        return RayCrew(arguments, work, workers, address, need)
    if workers is None:
        return None
    from lampbench.workers.local_crew import LocalCrew

    return LocalCrew(arguments, _MODULE, workers, choices["device"])

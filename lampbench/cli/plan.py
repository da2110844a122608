"""`lampbench plan`: what a study will cost, before anything of it is run."""

import math
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lampbench.cli import shared_options as options
from lampbench.cli.command import Command, option
from lampbench.cli.output import echo_json, table
from lampbench.cli.values import COUNT, WholeNumber
from lampbench.util.errors import LampbenchError
from lampbench.util.progress import duration

if TYPE_CHECKING:
    from lampbench.study.cost_profile import CostProfile, GpuArithmetic
    from lampbench.study.forecast import Forecast

_COSTS = "What work costs"


@click.command(cls=Command)
@options.combinations
@options.datasets
@options.machine
@options.hyper
@options.results
@options.cache_dir
@option("--calibrate", is_flag=True, heading=_COSTS,
        help="First run the methods on a few users in a temporary folder, and write what every "
             "stage costs into the profile.")  # fmt: skip
@option("--profile", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
        heading=_COSTS,
        help="Measured costs.  [default: profile.json in the cache]")  # fmt: skip
@option("--gpu", metavar="NAME", heading=_COSTS,
        help="Arithmetic for a100, h100 or h200 in place of measurements; with --model-size.  "
             "[default: the profile]")  # fmt: skip
@option("--model-size", metavar="SIZE", heading=_COSTS,
        help="Size of the model in that arithmetic: 1.5b, 3b, 7b, 8b, 13b, 32b or 70b.  "
             "[default: none]")  # fmt: skip
@option(
    "--for-users",
    type=COUNT,
    metavar="N",
    heading=_COSTS,
    help="Estimate for N test users like those of the data.  [default: those of the data]",
)
@option("--workers", type=WholeNumber(1, 1_000_000), default=1, show_default=True, metavar="N",
        heading=_COSTS, help="Processes that work at once.")  # fmt: skip
@options.output_format
def plan(
    results: Path,
    calibrate: bool,
    profile: Path | None,
    gpu: str | None,
    model_size: str | None,
    for_users: int | None,
    workers: int,
    form: str,
    **choices: Any,
) -> None:
    """Estimate what a study costs: time, GPU-hours, memory, disk and traffic.

    What is recorded or cached already costs nothing. Times come from a profile of this machine, or
    from a GPU's data sheet, which gives no more than an order of magnitude.
    """
    from lampbench import api
    from lampbench.study.cost_profile import CostProfile
    from lampbench.study.forecast import forecast

    todo = api.plan(results=results, **choices)
    forecast(todo, CostProfile("nothing measured"))  # what fails must fail before measuring
    costs = _costs(choices, calibrate, profile, gpu, model_size)
    found = forecast(todo, costs, for_users, workers)
    if form == "json":
        echo_json(asdict(found))
    else:
        _print(found, workers)


def _costs(
    choices: dict[str, Any], measure: bool, file: Path | None, gpu: str | None, size: str | None
) -> "CostProfile | GpuArithmetic":
    from lampbench.study.cost_profile import PROFILE, gpu_arithmetic, read_profile, write_profile

    if (gpu is None) != (size is None):
        raise LampbenchError("--gpu and --model-size belong together; give both or neither")
    if gpu is not None and size is not None:
        return gpu_arithmetic(gpu, size)
    file = file or choices["cache_dir"] / PROFILE
    if measure:
        from lampbench import api
        from lampbench.study.calibrate import calibrate

        if file.exists():
            read_profile(file)  # what cannot be added to must fail before measuring
        write_profile(file, calibrate(api.options(**choices), [{}], before=time.process_time()))
    return read_profile(file)


def _print(found: "Forecast", workers: int) -> None:
    rows = [
        [one.run, one.stage, f"{one.units:,}", *map(_count, _amounts(one.cost)), _time(one.seconds)]
        for one in found.stages
    ]
    heads = ["run", "stage", "units", "read", "trained", "written, at most", "bytes", "time"]
    click.echo(table(heads, rows))
    hours = "unknown" if found.gpu_hours is None else f"{found.gpu_hours:,.2f}"
    click.echo(
        f"\ntime {_time(found.seconds)} with {workers} at work, {hours} hours of all of them; "
        f"memory {_size(found.memory)} each, disk {_size(found.disk)}, traffic "
        f"{_size(found.traffic)}"
    )
    unmeasured = [
        f"{one.stage} of {one.run}"
        for one in found.stages
        if one.seconds is None and None not in _amounts(one.cost)[:3]
    ]
    if unmeasured:
        more = f" and {len(unmeasured) - 1} more stages" if len(unmeasured) > 1 else ""
        click.echo(
            f"time unknown: {unmeasured[0]}{more} was not measured with this model, its arguments, "
            "engine, precision and device; add --calibrate"
        )


def _amounts(cost: Any) -> Sequence[int | None]:
    return cost.read, cost.trained, cost.written, cost.disk


def _count(amount: int | None) -> str:
    return "unknown" if amount is None else f"{amount:,}"


def _time(seconds: float | None) -> str:
    return "unknown" if seconds is None else duration(seconds)


def _size(amount: float | None) -> str:
    if amount is None:
        return "unknown"
    power = min(len(_UNITS) - 1, int(math.log(max(amount, 1), 1000)))
    return f"{amount / 1000**power:,.1f} {_UNITS[power]}"


_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")

"""`lampbench run`: methods x tasks x models x seeds."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lampbench.cli import shared_options as options
from lampbench.cli.command import Command, command_line, option
from lampbench.cli.output import echo_json
from lampbench.cli.recorded_runs import require_sound
from lampbench.cli.run_record import run_record

if TYPE_CHECKING:
    from lampbench.execution.plan import Plan


@click.command(cls=Command)
@options.combinations
@options.dataset
@options.machine
@options.hyper
@options.results
@options.cache_dir
@options.private
@options.rewards
@option("--force", is_flag=True, heading=options.OUTPUT,
        help="Predict and record again what is recorded already; trained adapters are "
             "kept.")  # fmt: skip
@options.dry_run
@options.max_hours
@options.output_format
def run(
    results: Path,
    force: bool,
    dry_run: bool,
    max_hours: float | None,
    form: str,
    **choices: Any,
) -> None:
    """Run methods on tasks and record the runs.

    Nothing that is already recorded or cached is computed again. To resume an interrupted run,
    give the same command again.
    """  # fmt: skip
    from lampbench import api
    from lampbench.util.interrupt import limited

    todo = api.plan(results=results, **choices)
    if dry_run:
        from lampbench.study.estimate import print_plan

        if form == "json":
            echo_json({"plans": [_plan_record(plan) for plan in todo]})
        else:
            for plan in todo:
                print_plan(plan)
        return
    with limited(max_hours):
        found = api.execute_all(todo, results, command_line(), force=force)
    if form == "json":
        echo_json({"runs": [run_record(each) for each in found]})
    elif found:
        from lampbench.report.run_summary import print_summary

        print_summary([each.path for each in found])
    require_sound(found.problems)


def _plan_record(plan: "Plan") -> dict[str, Any]:
    """A plan as programs read it; a cost that is unknown is None."""
    from lampbench.study.estimate import stage_estimates
    from lampbench.study.token_cost import Lengths

    spec = plan.spec
    lengths = Lengths(spec.model)
    return {
        "method": plan.method.name,
        "task": spec.task.name,
        "model": spec.model,
        "seed": spec.seed,
        "path": plan.folder.as_posix(),
        "recorded": plan.done,
        "tokens": lengths.how,
        "stages": [
            {
                "stage": one.stage,
                "units": one.units,
                "cached": one.cached,
                "tokens_read": one.cost.read,
                "tokens_trained": one.cost.trained,
                "tokens_written": one.cost.written,
                "bytes": one.cost.disk,
            }
            for one in stage_estimates(plan, lengths)
        ],
    }

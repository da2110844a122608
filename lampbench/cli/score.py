"""`lampbench score`: metrics of recorded runs, computed again from their predictions."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lampbench.cli import shared_options as options
from lampbench.cli.command import Command, option
from lampbench.cli.names import PluginName, RunName
from lampbench.cli.recorded_runs import echo_left_out, require

if TYPE_CHECKING:
    from lampbench.record.recorded_run import Run, UnreadableRun

_WHAT = "What to score"


@click.command(cls=Command)
@option("--run", "keys", multiple=True, metavar="KEY", type=RunName(), heading=_WHAT,
        help="Only runs whose key begins with KEY; repeatable.")  # fmt: skip
@option("--metric", "names", multiple=True, metavar="NAME", type=PluginName("metric"),
        heading=_WHAT,
        help="Metric to compute (lampbench list metrics); repeatable.  [default: the built-in "
             "ones that need no model]")  # fmt: skip
@option("--data", metavar="SOURCE", heading=_WHAT,
        help="Where the runs' data is now, for metrics that read history.  [default: where it was "
             "when the run was made]")  # fmt: skip
@options.plugins
@options.results
def score(
    results: Path,
    names: tuple[str, ...],
    keys: tuple[str, ...],
    data: str | None,
    plugins: tuple[str, ...],
) -> None:
    """Score recorded runs again, for example by a new metric. No model runs.

    Predictions are not changed; scores, their means and hashes are recorded again. A metric that
    cannot be computed here is named; its recorded values are kept, or it is null.
    """
    from lampbench.record.rescore import HistorySource, rescore
    from lampbench.registry import Registry, plugin_paths
    from lampbench.scoring import METRICS, Scoring
    from lampbench.util.errors import LampbenchError
    from lampbench.util.progress import Progress

    require(results)
    paths = plugin_paths(plugins)
    scoring = Scoring(names or tuple(METRICS), tuple(paths))
    for name, why in scoring.missing().items():
        if name in names:
            raise LampbenchError(f"metric {name} cannot be computed here: {why}")
    runs, problems = _chosen(results, keys)
    echo_left_out(problems)
    source, progress = HistorySource(Registry(paths), data), Progress()
    missing: Counter[tuple[str, str]] = Counter()
    for run in runs:
        manifest = run.manifest
        progress.start(f"{manifest.method} {manifest.task}: score", manifest.counts.queries,
                       "answers")  # fmt: skip
        done = rescore(run, scoring, source, progress.update)
        click.echo(f"{run.path}: {'scored' if done.written else 'up to date'}")
        for name, count in sorted(done.changed.items()):
            click.echo(f"  {name}: {count} values differ from those recorded before")
        missing.update(done.missing.items())
    for (name, why), count in sorted(missing.items()):
        click.echo(f"{name} is null in {count} {'run' if count == 1 else 'runs'}: {why}", err=True)


def _chosen(results: Path, keys: tuple[str, ...]) -> tuple[list["Run"], list["UnreadableRun"]]:
    from lampbench.record.runs import load_runs
    from lampbench.util.errors import LampbenchError

    runs, problems = load_runs(results)
    for key in keys:
        if not any(run.manifest.key.startswith(key) for run in runs):
            raise LampbenchError(
                f"{results}: no run has a key that begins with {key!r}; "
                "`lampbench list runs` shows the keys"
            )
    if keys:
        runs = [run for run in runs if run.manifest.key.startswith(keys)]
    return runs, problems

"""`lampbench score`: metrics of recorded runs, computed anew from their predictions."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lampbench.cli import options

if TYPE_CHECKING:
    from lampbench.record.runs import Run


@click.command()
@options.results
@click.option("--metric", "names", multiple=True, metavar="NAME",
              help="Metric to compute; may be repeated. [default: the built-in ones that need no "
                   "model; `lampbench list metrics` names all]")  # fmt: skip
@click.option("--run", "keys", multiple=True, metavar="KEY",
              help="Only runs whose key begins so; may be repeated.")  # fmt: skip
@click.option("--data", metavar="SOURCE",
              help="Where the runs' data is now, for metrics that read history. "
                   "[default: where the manifest says]")  # fmt: skip
@options.plugins
def score(
    results: Path,
    names: tuple[str, ...],
    keys: tuple[str, ...],
    data: str | None,
    plugins: tuple[str, ...],
) -> None:
    """Score recorded runs again, by new metrics or with data that lacked before.

    Runs no model. Predictions stay as they are; scores, their means and hashes are recorded anew.
    What cannot be computed here stays as it was recorded, or null, and is named.
    """
    from lampbench.record.rescore import HistorySource, rescore
    from lampbench.registry import Registry, plugin_paths
    from lampbench.scoring import METRICS, Scoring
    from lampbench.util.errors import LampbenchError
    from lampbench.util.progress import Progress

    if not results.is_dir():
        raise LampbenchError(f"{results}: no such folder; name the one of the runs with --results")
    paths = plugin_paths(plugins)
    scoring = Scoring(names or tuple(METRICS), tuple(paths))
    for name, why in scoring.missing().items():
        if name in names:
            raise LampbenchError(f"metric {name} cannot be computed here: {why}")
    runs, problems = _chosen(results, keys)
    for problem in problems:
        click.echo(problem, err=True)
    source, progress = HistorySource(Registry(paths), data), Progress()
    missing: Counter[tuple[str, str]] = Counter()
    for run in runs:
        manifest = run.manifest
        progress.start(f"{manifest.method} {manifest.task}: score", manifest.counts.queries,
                       "answers")  # fmt: skip
        done = rescore(run, scoring, source, progress.update)
        click.echo(f"{run.path}: {'scored' if done.written else 'up to date'}")
        for name, count in sorted(done.changed.items()):
            click.echo(f"  {name}: {count} values are not those recorded before")
        missing.update(done.missing.items())
    for (name, why), count in sorted(missing.items()):
        click.echo(f"{name} is null in {count} {'run' if count == 1 else 'runs'}: {why}", err=True)


def _chosen(results: Path, keys: tuple[str, ...]) -> tuple[list["Run"], list[str]]:
    from lampbench.record.runs import load_runs
    from lampbench.util.errors import LampbenchError

    runs, problems = load_runs(results)
    for key in keys:
        if not any(run.manifest.key.startswith(key) for run in runs):
            raise LampbenchError(f"{results}: no run has a key that begins with {key!r} (--run)")
    if keys:
        runs = [run for run in runs if run.manifest.key.startswith(keys)]
    return runs, [str(problem) for problem in problems]

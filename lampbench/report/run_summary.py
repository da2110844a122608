"""The table that ends `lampbench run`: the scores of the runs just recorded."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from lampbench.core.findings import LEAK, is_leak, leaks_first
from lampbench.record.manifest import PREDICT, Manifest
from lampbench.record.recorded_run import Run, read_run
from lampbench.report.metric_format import metric_digits, metric_title, reads_choices
from lampbench.scoring import METRICS
from lampbench.util.fitted_table import fitted_table, fitted_text

_COLUMNS = {
    "ROUGE-1": ("rouge1", 3),
    "ROUGE-L": ("rougeL", 3),
    "METEOR": ("meteor", 3),
    "words": ("words", 1),
    "truncated": ("truncated", 2),
    "repetition": ("repetition", 2),
}


def print_summary(folders: Sequence[Path]) -> None:
    """Print means over queries, one row per run; one table per task, model and length of
    histories.
    """
    runs = [read_run(folder) for folder in folders]
    groups: dict[tuple[str, str, int | None], list[Run]] = {}
    for run in runs:
        most = run.manifest.dataset.max_history
        groups.setdefault((run.manifest.task, run.manifest.model, most), []).append(run)
    for (task, model, most), members in groups.items():
        data = members[0].manifest.dataset
        history = f", max-history {most}" if most else ""
        click.echo(f"\n{task}, {model}: {data.test_users} users, {data.queries} queries{history}")
        columns = _columns(members)
        rows = [_row(run.manifest, columns) for run in members]
        heads = ["method", "seed", *columns]
        click.echo(fitted_table(rows, heads, repeated=2, disable_numparse=True))
        if data.synthetic:
            click.echo("SYNTHETIC data: these scores say nothing about real users.")
        for note in leaks_first(note for run in members for note in run.manifest.dataset.findings):
            kind = "LEAK in the data" if is_leak(note) else "data"
            click.echo(fitted_text(f"{kind}: {note.removeprefix(LEAK)}"))
        for note in dict.fromkeys(n for run in members for n in run.manifest.model_details.notes):
            click.echo(fitted_text(f"model: {note}"))
    for run in runs:
        _say_what_was_cut(run.manifest)
        _say_who_is_missing(run.manifest)
    shown = {metric for members in groups.values() for metric, _ in _columns(members).values()}
    if "meteor" in shown and (reason := METRICS["meteor"].missing()):
        click.echo(f"\n{fitted_text(reason)}")
    click.echo("\nMeans over queries. Recorded in:")
    for folder in folders:
        click.echo(f"  {folder}")


def _say_what_was_cut(manifest: Manifest) -> None:
    asked = manifest.prompts_shortened
    trained = sum(s.prompts_shortened for s in manifest.stages if s.stage != PREDICT)
    if asked or trained:
        click.echo(
            f"\n{manifest.method} on {manifest.task}: shortened to fit the model's context: "
            f"{asked} test prompts, {trained} prompts and examples of other stages"
        )


def _say_who_is_missing(manifest: Manifest) -> None:
    failed = manifest.failed_users
    if failed:
        users = manifest.dataset.test_users
        click.echo(
            f"\n{manifest.method} on {manifest.task}: scored on {users - len(failed)} of "
            f"{users} users, so it is not on the leaderboard. Users that failed:"
        )
        for user, why in sorted(failed.items()):
            click.echo(f"  {user}: {why}")


def _columns(runs: Sequence[Run]) -> dict[str, tuple[str, int]]:
    """Metric and decimals by heading: a task's own metrics first, and no words for labels."""
    named = dict.fromkeys(name for run in runs for name in run.manifest.scores)
    own = {metric_title(n): (n, metric_digits(n)) for n in named if n not in METRICS}
    labels = any(reads_choices(name) for name in named)
    kept = ("truncated",) if labels else tuple(_COLUMNS)
    return own | {heading: _COLUMNS[heading] for heading in kept}


def _row(manifest: Manifest, columns: Mapping[str, tuple[str, int]]) -> list[str]:
    cells = [manifest.method, str(manifest.seed)]
    for metric, digits in columns.values():
        value = manifest.mean(metric)
        cells.append("-" if value is None else f"{value:.{digits}f}")
    return cells

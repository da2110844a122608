"""`lampbench compare`: two recorded runs against each other."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lampbench.cli import options

if TYPE_CHECKING:
    from lampbench.record.manifest import Manifest
    from lampbench.report.compare import Change, Comparison

_TEXT = 160  # characters of an answer that are shown


@click.command()
@click.argument("run_a", metavar="RUN_A")
@click.argument("run_b", metavar="RUN_B")
@options.results
@click.option(
    "--metric",
    type=click.Choice(["rouge1", "rougeL", "meteor"]),
    default="rougeL",
    show_default=True,
    help="What orders users and queries by how much they changed.",
)
@click.option(
    "--most",
    type=click.IntRange(min=0),
    default=5,
    show_default=True,
    metavar="N",
    help="How many of the most changed users and queries to show.",
)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text",
              help="json: every user and query.")  # fmt: skip
def compare(run_a: str, run_b: str, results: Path, metric: str, most: int, form: str) -> None:
    """How far RUN_A is from RUN_B, for whom, and why the two may differ.

    A run is its folder or the beginning of its key. Runs of other data or other queries are
    refused.
    """
    from lampbench.report import compare as report
    from lampbench.report.find_runs import find_run

    ours, theirs = find_run(results, run_a), find_run(results, run_b)
    found = report.compare(ours, theirs, metric)
    click.echo(_json(found) if form == "json" else "\n".join(_text(found, most)))


def _text(found: "Comparison", most: int) -> list[str]:
    from tabulate import tabulate

    from lampbench.report.statistics import POWER
    from lampbench.report.table import one_line
    from lampbench.scoring.catalog import METRICS

    def table(heads: list[str], rows: list[list[str]]) -> str:
        clean = [[one_line(cell) for cell in row] for row in rows]
        return tabulate(clean, headers=heads, disable_numparse=True)

    lines = [
        *(f"{name}: {one_line(_name(run.manifest))}"
          for name, run in (("A", found.ours), ("B", found.theirs))),
        "",
        table(
            ["metric", "A", "B", "A - B", "95% interval", "detectable", "relative", "p (bootstrap)",
             "p (exchange)", "p (Holm)", "users: A better", "equal", "B better"],
            [_row(METRICS[one.metric].title, one) for one in found.differences],
        ),
        f"detectable: the smallest true difference that these queries find at 5% with {POWER:.0%} "
        "power (docs/statistics.md)",
    ]  # fmt: skip
    if found.ours.manifest.dataset.synthetic:
        lines.append("SYNTHETIC data: these scores say nothing about real users.")
    title = METRICS[found.metric].title
    if most and found.users:
        rows = [[one.user, str(one.queries), *_scores(one)] for one in found.users[:most]]
        lines += ["", f"Users who changed most ({title}, means of their queries)",
                  table(["user", "queries", "A", "B", "A - B"], rows)]  # fmt: skip
    if most and found.queries:
        rows = [[one.user, one.query or "", *_scores(one)] for one in found.queries[:most]]
        lines += ["", f"Queries that changed most ({title})",
                  table(["user", "query", "A", "B", "A - B"], rows)]  # fmt: skip
        lines += _answers(found, most)
    rows = [[cause.path, _short(cause.ours), _short(cause.theirs)] for cause in found.causes]
    lines += ["", "What differs between the runs, as their manifests say",
              table(["", "A", "B"], rows) if rows else "nothing"]  # fmt: skip
    return lines


def _name(manifest: "Manifest") -> str:
    named = f"{manifest.method} {manifest.task} {manifest.model}"
    return f"{named}, seed {manifest.seed}, {manifest.key}"


def _row(title: str, one: Any) -> list[str]:
    from lampbench.report.table import Number

    found, interval = one.paired, one.paired.difference
    shown = Number(interval.mean, low=interval.low, high=interval.high, signed=True)
    bounded = interval.low == interval.low  # not NaN: a single query leaves it open
    relative = f"{100 * (one.ours / one.theirs - 1):+.2f}%" if one.theirs else "n/a"
    p_values = (found.bootstrap, found.exchange, one.holm)
    users = (found.better, found.equal, found.worse)
    return [title, f"{one.ours:.3f}", f"{one.theirs:.3f}", shown.text(),
            shown.interval() if bounded else "n/a",
            f"{found.detectable:.3f}" if bounded else "n/a", relative,
            *(f"{p:.4f}" for p in p_values), *(str(count) for count in users)]  # fmt: skip


def _scores(change: "Change") -> list[str]:
    return [f"{change.ours:.3f}", f"{change.theirs:.3f}", f"{change.gap:+.3f}"]


def _answers(found: "Comparison", most: int) -> list[str]:
    """What both runs answered to the queries shown, and what the user wrote."""
    texts = [
        {(row.user, row.query): row for row in run.predictions}
        for run in (found.ours, found.theirs)
    ]
    lines = []
    for change in found.queries[:most]:
        first, second = (rows[change.user, change.query or ""] for rows in texts)
        lines += [
            "",
            f"  {_short(f'{change.user}, {change.query}')}",
            f"    A       {_short(first.prediction)}",
            f"    B       {_short(second.prediction)}",
            f"    wanted  {_short(first.reference or '')}",
        ]
    return lines


def _short(text: str) -> str:
    from lampbench.report.table import shortened

    return shortened(text, _TEXT)


def _json(found: "Comparison") -> str:
    """Everything; what a single query leaves open is null."""
    differences = [asdict(one) for one in found.differences]
    for one, difference in zip(differences, found.differences, strict=True):
        ends = one["paired"]["difference"]
        ends["half_width"] = difference.paired.difference.half_width
        for holder in (ends, one["paired"]):
            holder.update({name: None for name, value in holder.items() if value != value})
    return json.dumps(
        {
            "runs": [
                {
                    name: getattr(run.manifest, name)
                    for name in ("key", "method", "task", "model", "seed")
                }
                for run in (found.ours, found.theirs)
            ],
            "synthetic": found.ours.manifest.dataset.synthetic,
            "differences": differences,
            "metric": found.metric,
            "users": [asdict(one) for one in found.users],
            "queries": [asdict(one) for one in found.queries],
            "causes": [asdict(one) for one in found.causes],
        },
        indent=1,
        allow_nan=False,
    )

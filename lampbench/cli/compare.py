"""`lampbench compare`: two recorded runs against each other."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lampbench.cli import shared_options as options
from lampbench.cli.command import Command, argument, option
from lampbench.cli.names import RunName
from lampbench.cli.output import echo_json
from lampbench.cli.values import OneOf, WholeNumber
from lampbench.core.findings import leaks_first
from lampbench.record.private import shown_text

if TYPE_CHECKING:
    from lampbench.record.manifest import Manifest
    from lampbench.report.compare import Change, Comparison
    from lampbench.scoring.prediction_row import PredictionRow

_TEXT = 160  # characters of an answer that are shown


@click.command(cls=Command)
@argument("run_a", metavar="RUN_A", type=RunName())
@argument("run_b", metavar="RUN_B", type=RunName())
@option(
    "--metric",
    type=OneOf(["rouge1", "rougeL", "meteor"]),
    default="rougeL",
    show_default=True,
    heading=options.SHOWN,
    help="Metric that decides which users and queries changed most.",
)
@option(
    "--most",
    type=WholeNumber(0),
    default=5,
    show_default=True,
    metavar="N",
    heading=options.SHOWN,
    help="Number of users and queries to show, those that changed most; json has all.",
)
@options.results
@options.output_format
def compare(run_a: str, run_b: str, results: Path, metric: str, most: int, form: str) -> None:
    """Compare two runs: how scores differ, for which users, and what differs in the settings.

    RUN_A and RUN_B are folders of runs or the beginnings of their keys. Both runs must have
    answered the same queries of the same data.
    """
    from lampbench import api

    found = api.compare(run_a, run_b, metric=metric, results=results)
    if form == "json":
        echo_json(_record(found))
    else:
        click.echo("\n".join(_text(found, most)))


def _model_notes(found: "Comparison") -> dict[str, tuple[str, ...]]:
    """What a reader must know about the models of the two runs."""
    manifests = (found.ours.manifest, found.theirs.manifest)
    return {m.model: m.model_details.notes for m in manifests if m.model_details.notes}


def _text(found: "Comparison", most: int) -> list[str]:
    from lampbench.report.metric_format import metric_title
    from lampbench.report.statistics import POWER
    from lampbench.report.table import one_line
    from lampbench.util.fitted_table import fitted_table

    def table(heads: list[str], rows: list[list[str]]) -> str:
        clean = [[one_line(cell) for cell in row] for row in rows]
        return fitted_table(clean, heads, disable_numparse=True)

    lines = [
        *(f"{name}: {one_line(_name(run.manifest))}"
          for name, run in (("A", found.ours), ("B", found.theirs))),
        "",
        table(
            ["metric", "A", "B", "A - B", "95% interval", "detectable", "relative", "p (bootstrap)",
             "p (exchange)", "p (Holm)", "users: A better", "equal", "B better"],
            [_row(metric_title(one.metric), one) for one in found.differences],
        ),
        "detectable: the smallest true difference that these queries would show at the 5% level "
        f"with {POWER:.0%} power (docs/statistics.md)",
    ]  # fmt: skip
    lines += _over_seeds(found)
    for one in found.differences:
        lines += [f"{metric_title(one.metric)}: {said}" for said in one.paired.warnings()]
    if found.ours.manifest.dataset.synthetic:
        lines.append("SYNTHETIC data: these scores say nothing about real users.")
    if findings := leaks_first(found.ours.manifest.dataset.findings):
        lines.append(f"Data: {one_line('; '.join(findings))}")
    for model, notes in _model_notes(found).items():
        lines.append(f"Model {one_line(model)}: {one_line('; '.join(notes))}")
    title = metric_title(found.metric)
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
    lines += ["", "What differs between the manifests of the two runs",
              table(["", "A", "B"], rows) if rows else "nothing"]  # fmt: skip
    return lines


def _over_seeds(found: "Comparison") -> list[str]:
    """How far the difference varies between seeds, as far as runs of other seeds tell."""
    from lampbench.report.numbers import difference_number
    from lampbench.report.table import Number
    from lampbench.scoring.catalog import METRICS

    title = METRICS[found.metric].title
    if found.seeds is None:
        alone = "one seed: how much A - B varies between seeds is unknown; record both with others"
        return [alone] if found.draws else []
    spread, both = found.seeds.spread, found.seeds.interval
    gaps = zip(spread.seeds, spread.differences, strict=True)
    each = ", ".join(f"{Number(gap, signed=True).text()} (seed {seed})" for seed, gap in gaps)
    shown = difference_number(both)
    ends = f" {shown.interval()} for other users and other seeds" if both.bounded else ""
    return [f"{title}, A - B with each recorded seed: {each}; mean {shown.text()}{ends}"]


def _name(manifest: "Manifest") -> str:
    named = f"{manifest.method} {manifest.task} {manifest.model}"
    return f"{named}, seed {manifest.seed}, {manifest.key}"


def _row(title: str, one: Any) -> list[str]:
    from lampbench.report.numbers import difference_number

    found, bounded = one.paired, one.paired.difference.bounded
    shown = difference_number(found.difference)
    relative = f"{100 * (one.ours / one.theirs - 1):+.2f}%" if one.theirs else "n/a"
    p_values = (found.bootstrap, found.exchange, one.holm)
    users = (found.better, found.equal, found.worse)
    return [title, f"{one.ours:.3f}", f"{one.theirs:.3f}", shown.text(),
            shown.interval() if bounded else "n/a",
            "n/a" if found.detectable is None else f"{found.detectable:.3f}", relative,
            *(f"{p:.4f}" for p in p_values), *(str(count) for count in users)]  # fmt: skip


def _scores(change: "Change") -> list[str]:
    return [f"{change.ours:.3f}", f"{change.theirs:.3f}", f"{change.gap:+.3f}"]


def _answers(found: "Comparison", most: int) -> list[str]:
    """The answers of both runs to the queries shown, and what the user wrote."""
    shown = {(change.user, change.query or ""): change for change in found.queries[:most]}
    texts = [
        {place: row for row in run.predictions if (place := (row.user, row.query)) in shown}
        for run in (found.ours, found.theirs)
    ]
    lines = []
    for place, change in shown.items():
        first, second = (rows[place] for rows in texts)
        lines += [
            "",
            f"  {_short(f'{change.user}, {change.query}')}",
            f"    A       {_short(shown_text(first.prediction))}",
            f"    B       {_short(shown_text(second.prediction))}",
            f"    user    {_short(_own(first))}",
        ]
    return lines


def _own(row: "PredictionRow") -> str:
    return shown_text(None) if row.prediction is None else row.reference or ""


def _short(text: str) -> str:
    from lampbench.report.table import shortened

    return shortened(text, _TEXT)


def _record(found: "Comparison") -> dict[str, Any]:
    """Everything, as programs read it; what a single query cannot determine is NaN."""
    differences = [asdict(one) for one in found.differences]
    for one, difference in zip(differences, found.differences, strict=True):
        one["paired"]["difference"]["half_width"] = difference.paired.difference.half_width
    return {
        "runs": [
            {
                name: getattr(run.manifest, name)
                for name in ("key", "method", "task", "model", "seed")
            }
            for run in (found.ours, found.theirs)
        ],
        "synthetic": found.ours.manifest.dataset.synthetic,
        "data_findings": leaks_first(found.ours.manifest.dataset.findings),
        "model_notes": _model_notes(found),
        "differences": differences,
        "warnings": {one.metric: one.paired.warnings() for one in found.differences},
        "metric": found.metric,
        "seeds": asdict(found.seeds) if found.seeds else None,
        "users": [asdict(one) for one in found.users],
        "queries": [asdict(one) for one in found.queries],
        "causes": [asdict(one) for one in found.causes],
    }

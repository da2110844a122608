"""`lampbench overview`: a few methods on one task, in a table and one example."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lampbench.cli import shared_options as options
from lampbench.cli.command import Command
from lampbench.cli.example_record import example_record
from lampbench.cli.output import echo_json
from lampbench.paper.cast import cast

if TYPE_CHECKING:
    from lampbench.report.board import Board
    from lampbench.report.cell_scores import CellScore
    from lampbench.report.example_answers import AnsweredQuery
    from lampbench.report.setups import Column, Setup


@click.command(cls=Command)
@options.side_by_side(cast().overview, " Each is compared with the first.")
@options.results
@options.output_format
def overview(
    task: str | None,
    methods: tuple[str, ...],
    model: str | None,
    keys: tuple[str, ...],
    results: Path,
    form: str,
) -> None:
    """Print recorded scores of several methods on one task, and one example.

    Shown is all data that each of the methods has answered. The example is the query where the
    last method's gain over the first is the median; words shared with the user's own text are
    marked.
    """
    from lampbench.cli.overview_text import lines
    from lampbench.cli.recorded_runs import chosen_runs
    from lampbench.report.metric_format import MAIN_METRIC
    from lampbench.util.errors import LampbenchError

    methods = tuple(dict.fromkeys(methods))
    if len(keys or methods) < 2:
        raise LampbenchError(
            "an overview compares methods: name at least two with --method, or two runs with --run"
        )
    board, together = chosen_runs(results, keys, task, methods, model)
    together = [each for each in together if len(each.methods) > 1]
    if not together:
        raise LampbenchError(
            "the runs of --run have no data, model and preset in common; name others"
        )
    records = []
    for each in together:
        setup, column = each.setup, each.column
        cells = [cell for m in each.methods if (cell := board.cell(setup, column, m, MAIN_METRIC))]
        example = _example(board, setup, column, cells)
        if form == "json":
            records.append(_record(board, cells, example))
            continue
        title = f"{board.column_title(column)}, {board.section_title(setup)}"
        for line in lines(board, title, cells, example):
            click.echo(line)
    if form == "json":
        echo_json({"task": together[0].column.task, "datasets": records})


def _example(
    board: "Board", setup: "Setup", column: "Column", cells: Sequence["CellScore"]
) -> "AnsweredQuery":
    """The query of the last method's median gain over the first; any where they never differ.

    Raises:
        LampbenchError: no query is answered by all.
    """
    from lampbench.report.example_answers import Pick, answered_queries
    from lampbench.util.errors import LampbenchError

    picks: tuple[Pick, ...] = ("median", "drawn")
    methods = [cell.method for cell in cells]
    for pick in picks:
        if found := answered_queries(board, column, setup, methods, pick, 1):
            return found[0]
    raise LampbenchError(f"{', '.join(methods)} answer no query in common; name other runs")


def _record(
    board: "Board", cells: Sequence["CellScore"], example: "AnsweredQuery"
) -> dict[str, Any]:
    """Scores and example of one setup and dataset, as programs read them."""
    first = cells[0]
    return {
        "model": first.setup.model,
        "preset": first.setup.preset,
        "data": first.setup.source,
        "fingerprint": first.column.fingerprint,
        "synthetic": first.synthetic,
        "data_findings": first.findings,
        "model_notes": first.model_notes,
        "users": first.users,
        "queries": first.queries,
        "methods": [_method(board, cell, first) for cell in cells],
        "example": example_record(example, [cell.method for cell in cells]),
    }


def _method(board: "Board", cell: "CellScore", first: "CellScore") -> dict[str, Any]:
    from lampbench.report.metric_format import MAIN_METRIC, PAPER_METRICS

    scores = {}
    for metric in PAPER_METRICS:
        found = board.cell(cell.setup, cell.column, cell.method, metric)
        interval = found.interval if found else None
        scores[metric] = {
            "mean": found.mean if found else None,
            "low": interval.low if interval else None,
            "high": interval.high if interval else None,
        }
    gain = None
    if cell is not first and cell.scores and first.scores:
        paired, spread = board.paired(cell, first), board.seed_spread(cell, first)
        gain = {
            "over": first.method,
            "metric": MAIN_METRIC,
            "mean": paired.difference.mean,
            "low": paired.difference.low,
            "high": paired.difference.high,
            "by_seed": dict(zip(spread.seeds, spread.differences, strict=True)) if spread else {},
            "detectable": paired.detectable,
            "p": paired.exchange,
            "users_better": paired.better,
            "users_equal": paired.equal,
            "users_worse": paired.worse,
        }
    return {
        "method": cell.method,
        "title": cell.method_title,
        "seeds": list(cell.seeds),
        "scores": scores,
        "gain": gain,
        "runs": [run.path.as_posix() for run in cell.chosen],
    }

"""Runs that are in no other table, and why."""

from collections.abc import Sequence
from typing import Any

from lampbench.core.findings import leaks_first
from lampbench.report.board import SYNTHETIC_MARK, Board
from lampbench.report.cell_scores import score_cell, title_suffix
from lampbench.report.fill_cells import ExcludedRun
from lampbench.report.machine_readable import entry
from lampbench.report.metric_format import PAPER_METRICS, metric_title
from lampbench.report.notes import NO_VALUE, SYNTHETIC_NOTE, external_notes
from lampbench.report.numbers import score_number
from lampbench.report.setups import column_of, setup_of
from lampbench.report.table import Section, Table


def excluded_run_sections(board: Board, others: Sequence[ExcludedRun]) -> list[Section]:
    """One section, none where no run is excluded."""
    return [Section("", (excluded_run_table(board, others),))] if others else []


def excluded_run_table(board: Board, others: Sequence[ExcludedRun]) -> Table:
    """Runs that fill no cell, with the reason and their scores."""
    rows, found = [], []
    for other in others:
        manifest = other.run.manifest
        mark = f" {SYNTHETIC_MARK}" if manifest.dataset.synthetic else ""
        elsewhere = title_suffix(other.run)
        row = [
            (manifest.task_title or board.task_title(manifest.task)) + mark,
            (manifest.method_title or board.method_title(manifest.method)) + elsewhere,
            manifest.model,
            str(manifest.seed),
            manifest.key,
            other.reason,
        ]
        measured = score_cell(setup_of(other.run), column_of(other.run), [other.run])
        scores = {score.metric: score for score in measured}
        shown = [scores[m] for m in PAPER_METRICS if m in scores]
        numbers = {score.metric: score_number(score) for score in shown}
        rows.append((*row, *(numbers.get(metric, NO_VALUE) for metric in PAPER_METRICS)))
        found += [(score, other.reason) for score in scores.values()]
    header = ["Task", "Method", "Model", "Seed", "Run", "What differs"]
    header += [metric_title(metric) for metric in PAPER_METRICS]
    synthetic = any(other.run.manifest.dataset.synthetic for other in others)
    notes = [SYNTHETIC_NOTE] if synthetic else []
    notes += dict.fromkeys(
        f"Data of {row[0]}, run {row[4]}: {'; '.join(leaks_first(findings))}."
        for row, other in zip(rows, others, strict=True)
        if (findings := other.run.manifest.dataset.findings)
    )
    notes += dict.fromkeys(
        f"Model {other.run.manifest.model}: {'; '.join(told)}."
        for other in others
        if (told := other.run.manifest.model_details.notes)
    )
    notes += external_notes(str(row[1]) for row in rows)

    def entries() -> list[dict[str, Any]]:
        return [
            {**entry(s.method, s.column.task, s.metric, s, None), "reason": reason}
            for s, reason in found
        ]

    return Table("Runs in no other table", tuple(header), tuple(rows), 6, tuple(notes), entries)

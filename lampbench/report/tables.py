"""The tables: main, ablation and cross-model, each beside the paper's; controls; data."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from lampbench.data.stats import Spread
from lampbench.paper.published import DataRow, Published, paper
from lampbench.report.board import ABLATION_ROWS, SYNTHETIC, Board
from lampbench.report.cell_scores import (
    ABLATION,
    EXTERNAL,
    PRINTED,
    Column,
    ExcludedRun,
    Record,
    Setup,
    column_of,
    is_external,
    main_model,
    measure,
    setup_of,
)
from lampbench.report.method_grid import (
    NO_FIGURE,
    NO_VALUE,
    SYNTHETIC_NOTE,
    Printed,
    Slot,
    external_notes,
    grid,
    number,
    users_number,
    value,
)
from lampbench.report.power import power
from lampbench.report.table import Cell, Table
from lampbench.scoring.catalog import CONTROLS, METRICS

PAPER_METRICS = ("rouge1", "rougeL")
SPREADS = {
    "train_in": "L_in",
    "train_out": "L_out",
    "profile": "#Profile",
    "profile_in": "L_in (user)",
    "profile_out": "L_out (user)",
}
"""Columns of Table 4 that are mean and standard deviation, by their names in manifests."""
STATISTICS_NOTE = (
    "Mean ± standard deviation. #Train, L_in, L_out: queries of the training users; #Profile and "
    "(user): histories of the test users. Lengths are words of whole prompts and targets; the "
    "paper's (Table 4) are tokens of a tokenizer that it does not name."
)

Pair = tuple[float, float]


def main_tables(board: Board, setup: Setup | None) -> Iterator[Table]:
    """Methods x tasks for one setup (None: nothing has run), one table a metric."""
    for metric in (*PAPER_METRICS, "meteor"):
        slots = _task_slots(board, setup, board.tasks(), metric, PRINTED)
        found = [slot.ours(method) for slot in slots for method in board.methods()]
        if metric in PAPER_METRICS or any(r and r.mean is not None for r in found):
            yield grid(board, METRICS[metric].title, slots, board.methods(), metric)


def ablation_tables(board: Board, setup: Setup | None) -> Iterator[Table]:
    """Contrastive decoding x DPO for one setup, one table a metric."""
    shown = {score.task for score in paper().scores if score.table in ABLATION}
    own = [record for record in board.records if record.method in ("oppu_cd", "oppu_dpo")]
    shown |= {record.column.task for record in own if record.setup == setup}
    tasks = [task for task in board.tasks() if task in shown]
    for metric in PAPER_METRICS:
        slots = _task_slots(board, setup, tasks, metric, ABLATION)
        table = grid(board, METRICS[metric].title, slots, list(ABLATION_ROWS), metric)
        rows = [
            (row[0], *ABLATION_ROWS[method], *row[1:])
            for method, row in zip(ABLATION_ROWS, table.rows, strict=True)
        ]
        header = (table.header[0], "CD", "DPO", *table.header[1:])
        yield replace(table, header=header, rows=tuple(rows), labels=3)


def cross_tables(board: Board) -> Iterator[Table]:
    """Methods x models, one table for each task's data and metric.

    A task is shown where the paper compares models on it or where two setups of ours have run.
    """
    compared = {score.task for score in paper().scores if score.model != main_model()}
    for task in board.tasks():
        columns: list[Column | None] = list(board.columns(task=task))
        for column in columns or [None]:
            setups = [s for s in board.setups() if column in board.columns(s)]
            if task not in compared and len(setups) < 2:
                continue
            title = board.column_title(column) if column else board.task_title(task)
            for metric in PAPER_METRICS:
                slots = _model_slots(board, setups, task, column, metric)
                head = f"{title}, {METRICS[metric].title}"
                yield grid(board, head, slots, board.methods(), metric)


def control_table(board: Board, setup: Setup) -> Table:
    """Every score of a setup with what it must be read with, one row a cell."""
    header = ["Task", "Method"]
    for metric in (METRICS[name] for name in CONTROLS):
        by_user = [f"{metric.title}, by user"] if metric.better == "higher" else []
        header += [metric.title, *by_user]
    rows = []
    for column in board.columns(setup):
        for method in board.methods():
            cells = {name: board.cell(setup, column, method, name) for name in CONTROLS}
            seeds = max(len(cell.seeds) if cell else 0 for cell in cells.values())
            if seeds == 0:
                continue
            row: list[Cell] = [board.column_title(column), board.method_title(method)]
            for name, cell in cells.items():
                row.append(value(cell.mean if cell else None, name))
                if METRICS[name].better == "higher":
                    row.append(users_number(cell) if cell else NO_VALUE)
            rows.append((*row, str(seeds)))
    notes = [SYNTHETIC_NOTE] if board.synthetic(board.columns(setup)) else []
    if any(NO_VALUE in row for row in rows):
        notes.append(
            f"{NO_VALUE}: could not be computed when the run was scored (METEOR needs NLTK's data)."
        )
    if mixed := _mixed_versions(r for r in board.records if r.setup == setup):
        notes.append(f"These runs were made with different releases: {mixed}.")
    notes += external_notes(str(row[1]) for row in rows)
    return Table("Controls", (*header, "Seeds"), tuple(rows), labels=2, notes=tuple(notes))


def data_table(board: Board, setup: Setup) -> Table:
    """What the columns of a setup are made of."""
    rows = []
    for column in board.columns(setup):
        record = next(r for r in board.records if (r.setup, r.column) == (setup, column))
        words = (str(record.users), str(record.queries))
        prints = (column.fingerprint, column.query_fingerprint)
        rows.append((board.column_title(column), *prints, *words))
    header = ("Task", "Data fingerprint", "Query fingerprint", "Test users", "Queries")
    notes = (SYNTHETIC_NOTE,) if board.synthetic(board.columns(setup)) else ()
    return Table("Data", header, tuple(rows), labels=3, notes=notes)


def statistics_table(board: Board, setup: Setup) -> Table:
    """The paper's Table 4 for the data of a setup, the paper's own row below each of ours."""
    rows: list[tuple[Cell, ...]] = []
    entries = []
    for column in board.columns(setup):
        members = [r for r in board.records if (r.setup, r.column) == (setup, column)]
        found = members[0].chosen[0].manifest.dataset.statistics
        title = board.column_title(column)
        spreads = {name: _known(getattr(found, name)) for name in SPREADS}
        train = found.train
        counts = (str(members[0].users), str(members[0].queries))
        rows.append((title, f"{train:,}", *(_pair(spreads[name]) for name in SPREADS), *counts))
        printed = paper().data.get(column.task)
        if printed:
            pairs = [_pair(getattr(printed, name)) for name in SPREADS]
            rows.append((f"{title}, paper", f"{printed.train:,}", *pairs, "100", NO_FIGURE))
        told = power(board, setup, column)
        entries.append({**_data_entry(members[0], train, spreads, printed), **told})
    header = ("Task", "#Train", *SPREADS.values(), "Test users", "Queries")
    notes = [STATISTICS_NOTE]
    if board.synthetic(board.columns(setup)):
        notes.append(SYNTHETIC_NOTE)
    return Table("Statistics", header, tuple(rows), notes=tuple(notes), entries=tuple(entries))


def other_table(board: Board, others: Sequence[ExcludedRun]) -> Table:
    """Runs that are in no cell, with the reason and their scores."""
    header = ["Task", "Method", "Model", "Seed", "Run", "What differs"]
    rows = []
    for other in others:
        manifest = other.run.manifest
        mark = f" {SYNTHETIC}" if manifest.dataset.synthetic else ""
        elsewhere = f" {EXTERNAL}" if is_external(other.run) else ""
        row = [
            (manifest.task_title or board.task_title(manifest.task)) + mark,
            (manifest.method_title or board.method_title(manifest.method)) + elsewhere,
            manifest.model,
            str(manifest.seed),
            manifest.key,
            other.reason,
        ]
        run = measure(setup_of(other.run), column_of(other.run), [other.run])
        found = {record.metric: number(record) for record in run}
        rows.append((*row, *(found.get(metric, NO_VALUE) for metric in PAPER_METRICS)))
    header += [METRICS[metric].title for metric in PAPER_METRICS]
    synthetic = any(other.run.manifest.dataset.synthetic for other in others)
    notes = [SYNTHETIC_NOTE] if synthetic else []
    notes += external_notes(str(row[1]) for row in rows)
    return Table("Runs in no table above", tuple(header), tuple(rows), labels=6, notes=tuple(notes))


def _task_slots(
    board: Board, setup: Setup | None, tasks: Sequence[str], metric: str, tables: tuple[int, ...]
) -> list[Slot]:
    """One slot for each task's data in a setup; an empty one for a task that has not run."""
    model = (board.paper_model(setup) if setup else None) or main_model()
    slots = []
    for task in tasks:
        columns: list[Column | None] = list(board.columns(setup, task)) if setup else []
        for column in columns or [None]:
            title = board.column_title(column) if column else board.task_title(task)
            printed = _printed(tables, task, model, metric)
            slots.append(Slot(title, task, _ours(board, setup, column, metric), printed))
    return slots


def _model_slots(
    board: Board, setups: Sequence[Setup], task: str, column: Column | None, metric: str
) -> list[Slot]:
    """One slot for each setup, in the order of the paper's models, and for those not run."""
    slots = [
        Slot(board.setup_title(setup, setups), task, _ours(board, setup, column, metric))
        for setup in setups
        if board.paper_model(setup) is None
    ]
    for model, title in paper().models.items():
        printed = _printed(PRINTED, task, model, metric)
        used: list[Setup | None] = [s for s in setups if board.paper_model(s) == model]
        if not used:
            used.append(None)
        for setup in used:
            head = board.setup_title(setup, setups) if setup else title
            slots.append(Slot(head, task, _ours(board, setup, column, metric), printed))
    return slots


def _ours(
    board: Board, setup: Setup | None, column: Column | None, metric: str
) -> Callable[[str], Record | None]:
    def find(method: str) -> Record | None:
        return board.cell(setup, column, method, metric) if setup and column else None

    return find


def _printed(tables: tuple[int, ...], task: str, model: str, metric: str) -> Printed | None:
    """How to find the paper's figures, None where it has none at all."""

    def find(method: str) -> Published | None:
        return paper().find(tables, method, task, model, metric)

    return find if any(find(method) for method in paper().methods) else None


def _mixed_versions(records: Iterable[Record]) -> str:
    """The packages of which the runs behind some records had different releases, and these.

    Runs of different releases of lampbench never share a table's column. Its commit is left out,
    since it changes with every word of documentation.
    """
    found: dict[str, set[str]] = {}
    for run in {run.path: run for record in records for run in record.chosen}.values():
        for name, version in run.manifest.versions.items():
            if name not in ("lampbench", "commit"):
                found.setdefault(name, set()).add(str(version))
    mixed = {name: sorted(several) for name, several in found.items() if len(several) > 1}
    return "; ".join(f"{name} {', '.join(mixed[name])}" for name in sorted(mixed))


def _known(spread: Spread) -> Pair | None:
    return (spread.mean, spread.sd) if spread.count else None


def _pair(pair: Pair | None) -> str:
    return f"{pair[0]:,.1f} ± {pair[1]:,.1f}" if pair else NO_VALUE


def _data_entry(
    record: Record, train: Any, spreads: Mapping[str, Pair | None], printed: DataRow | None
) -> dict[str, Any]:
    return {
        "task": record.column.task,
        "data": record.setup.source,
        "data_fingerprint": record.column.fingerprint,
        "query_fingerprint": record.column.query_fingerprint,
        "synthetic": record.synthetic,
        "users": record.users,
        "queries": record.queries,
        "train": train,
        **{f"{n}_mean": pair[0] if pair else None for n, pair in spreads.items()},
        **{f"{n}_sd": pair[1] if pair else None for n, pair in spreads.items()},
        "published_train": printed.train if printed else None,
        **{f"published_{n}_mean": getattr(printed, n)[0] if printed else None for n in SPREADS},
        **{f"published_{n}_sd": getattr(printed, n)[1] if printed else None for n in SPREADS},
    }

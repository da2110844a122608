"""The tables: main, ablation and cross-model, each beside the paper's; controls; data."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from lampbench.metrics.catalog import METRICS
from lampbench.report.board import ABLATION_ROWS, SYNTHETIC, Board
from lampbench.report.markdown import Table, plain
from lampbench.report.published import Published, paper
from lampbench.report.records import (
    ABLATION,
    PRINTED,
    Column,
    Other,
    Record,
    Setup,
    main_model,
)

NO_RUN, NO_VALUE, NO_FIGURE = "no run", "n/a", "—"
PAPER_METRICS = ("rouge1", "rougeL")
SYNTHETIC_NOTE = f"{SYNTHETIC} Synthetic data: no real person wrote these texts."

Printed = Callable[[str], Published | None]


@dataclass(frozen=True, slots=True)
class Slot:
    """One column of ours, and the paper's column beside it; both are asked for each method."""

    title: str
    ours: Callable[[str], Record | None]
    printed: Printed | None = None


def main_tables(board: Board, setup: Setup | None) -> Iterator[Table]:
    """Methods x tasks for one setup (None: nothing has run), one table a metric."""
    for metric in (*PAPER_METRICS, "meteor"):
        slots = _task_slots(board, setup, board.tasks(), metric, PRINTED)
        found = [slot.ours(method) for slot in slots for method in board.methods()]
        if metric in PAPER_METRICS or any(r and r.mean is not None for r in found):
            yield _grid(board, METRICS[metric].title, slots, board.methods(), metric)


def ablation_tables(board: Board, setup: Setup | None) -> Iterator[Table]:
    """Contrastive decoding x DPO for one setup, one table a metric."""
    shown = {score.task for score in paper().scores if score.table in ABLATION}
    own = [record for record in board.records if record.method in ("oppu_cd", "oppu_dpo")]
    shown |= {record.column.task for record in own if record.setup == setup}
    tasks = [task for task in board.tasks() if task in shown]
    for metric in PAPER_METRICS:
        slots = _task_slots(board, setup, tasks, metric, ABLATION)
        table = _grid(board, METRICS[metric].title, slots, list(ABLATION_ROWS), metric)
        rows = [
            (row[0], *ABLATION_ROWS[method], *row[1:])
            for method, row in zip(ABLATION_ROWS, table.rows, strict=True)
        ]
        header = (table.header[0], "CD", "DPO", *table.header[1:])
        yield Table(table.title, header, tuple(rows), labels=3, notes=table.notes)


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
                yield _grid(board, head, slots, board.methods(), metric)


def control_table(board: Board, setup: Setup) -> Table:
    """Every score of a setup with what it must be read with, one row a cell."""
    header = ["Task", "Method"]
    for metric in METRICS.values():
        by_user = [f"{metric.title}, by user"] if metric.better == "higher" else []
        header += [metric.title, *by_user]
    rows = []
    for column in board.columns(setup):
        for method in board.methods():
            cells = {name: board.cell(setup, column, method, name) for name in METRICS}
            seeds = max(len(cell.seeds) if cell else 0 for cell in cells.values())
            if seeds == 0:
                continue
            row = [board.column_title(column), board.method_title(method)]
            for name, cell in cells.items():
                row.append(_number(cell.mean if cell else None, name))
                if METRICS[name].better == "higher":
                    row.append(_number(cell.users_mean if cell else None, name))
            rows.append((*row, str(seeds)))
    notes = [SYNTHETIC_NOTE] if board.synthetic(board.columns(setup)) else []
    if any(NO_VALUE in row for row in rows):
        notes.append(
            f"{NO_VALUE}: could not be computed when the run was scored (METEOR needs NLTK's data)."
        )
    return Table("Controls", (*header, "Seeds"), tuple(rows), labels=2, notes=tuple(notes))


def data_table(board: Board, setup: Setup) -> Table:
    """What the columns of a setup are made of."""
    rows = []
    for column in board.columns(setup):
        record = next(r for r in board.records if (r.setup, r.column) == (setup, column))
        words = (str(record.users), str(record.queries))
        prints = (plain(column.fingerprint), plain(column.query_fingerprint))
        rows.append((board.column_title(column), *prints, *words))
    header = ("Task", "Data fingerprint", "Query fingerprint", "Test users", "Queries")
    notes = (SYNTHETIC_NOTE,) if board.synthetic(board.columns(setup)) else ()
    return Table("Data", header, tuple(rows), labels=3, notes=notes)


def other_table(board: Board, others: Sequence[Other]) -> Table:
    """Runs that are in no cell, with the reason and their scores."""
    header = ["Task", "Method", "Model", "Seed", "Run", "What differs"]
    rows = []
    for other in others:
        manifest = other.run.manifest
        mark = f" {SYNTHETIC}" if manifest["dataset"]["synthetic"] else ""
        row = [
            plain(str(manifest.get("task_title") or board.task_title(manifest["task"]))) + mark,
            plain(str(manifest.get("method_title") or board.method_title(manifest["method"]))),
            *(plain(str(manifest[name])) for name in ("model", "seed", "key")),
            plain(other.reason),
        ]
        scores = [manifest["scores"].get(metric, {}).get("queries") for metric in PAPER_METRICS]
        values = [_number(v, name) for v, name in zip(scores, PAPER_METRICS, strict=True)]
        rows.append((*row, *values))
    header += [METRICS[metric].title for metric in PAPER_METRICS]
    synthetic = any(other.run.manifest["dataset"]["synthetic"] for other in others)
    notes = (SYNTHETIC_NOTE,) if synthetic else ()
    return Table("Runs in no table above", tuple(header), tuple(rows), labels=6, notes=notes)


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
            slots.append(Slot(title, _ours(board, setup, column, metric), printed))
    return slots


def _model_slots(
    board: Board, setups: Sequence[Setup], task: str, column: Column | None, metric: str
) -> list[Slot]:
    """One slot for each setup, in the order of the paper's models, and for those not run."""
    slots = [
        Slot(board.setup_title(setup, setups), _ours(board, setup, column, metric))
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
            slots.append(Slot(head, _ours(board, setup, column, metric), printed))
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


def _grid(
    board: Board, title: str, slots: Sequence[Slot], methods: Sequence[str], metric: str
) -> Table:
    """Methods x slots, the paper's figures beside ours."""
    header = ["Method"]
    for slot in slots:
        header += [slot.title, "paper"] if slot.printed else [slot.title]
    rows, printed = [], []
    for method in methods:
        row = [board.method_title(method)]
        for slot in slots:
            record = slot.ours(method)
            row.append(NO_RUN if record is None else _number(record.mean, metric))
            if slot.printed:
                score = slot.printed(method)
                row.append(_figure(score))
                printed += [score] if score else []
        rows.append(tuple(row))
    notes = [_paper_note(printed)] if printed else []
    notes += [
        f"\\* Paper, Table {score.table}, {board.method_title(score.method)}, "
        f"{board.task_title(score.task)}: {score.note}."
        for score in printed
        if score.note
    ]
    if any(SYNTHETIC in head for head in (title, *header)):
        notes.append(SYNTHETIC_NOTE)
    return Table(title, tuple(header), tuple(rows), notes=tuple(notes))


def _paper_note(printed: Sequence[Published]) -> str:
    models = list(dict.fromkeys(paper().models[score.model] for score in printed))
    numbers = sorted({score.table for score in printed})
    tables = (
        f"Table {numbers[0]}" if len(numbers) == 1 else f"Tables {', '.join(map(str, numbers))}"
    )
    return f"paper: {tables}; {', '.join(models)}."


def _figure(score: Published | None) -> str:
    if score is None:
        return NO_FIGURE
    return f"{score.value:.3f}" + (" \\*" if score.note else "")


def _number(value: float | None, metric: str) -> str:
    return NO_VALUE if value is None else f"{value:.{METRICS[metric].digits}f}"

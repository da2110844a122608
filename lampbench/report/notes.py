"""Words and notes that several tables share."""

from collections.abc import Iterable, Sequence

from lampbench.paper.published import Published, paper
from lampbench.report.board import SYNTHETIC_MARK, Board
from lampbench.report.cell_scores import EXTERNAL_MARK, SUBMITTED_MARK, CellScore
from lampbench.report.setups import Column, Setup

NO_RUN, NO_VALUE, NO_FIGURE = "no run", "n/a", "—"
SYNTHETIC_NOTE = f"{SYNTHETIC_MARK} Synthetic data: no real person wrote these texts."
EXTERNAL_NOTE = (
    f"{EXTERNAL_MARK} External: the answers were made elsewhere and only scored here. Method, "
    "model, settings and seed are those that the importer stated; what nobody stated is n/a."
)

SUBMITTED_NOTE = (
    f"{SUBMITTED_MARK} Submitted: others ran lampbench and sent the record. `lampbench verify` "
    "computes its scores again from its answers, where these are not private; model, training and "
    "cost are as stated."
)

_CPU = "a CPU"
_OTHER_PROCESSOR = "Below float32 another processor is like another seed."


def data_notes(board: Board, columns: Iterable[Column], setups: Iterable[Setup]) -> list[str]:
    """What a reader must know about data and models of some columns and setups.

    That is which data are synthetic, what the loader found about them, and where models come from.
    """
    shown = list(dict.fromkeys(columns))
    notes = [SYNTHETIC_NOTE] if board.synthetic(shown) else []
    notes += [
        f"Data of {board.column_title(column)}: {found}."
        for column in shown
        if (found := "; ".join(board.findings(column)))
    ]
    models = {setup.model: board.model_notes(setup) for setup in setups}
    return notes + [f"Model {name}: {'; '.join(found)}." for name, found in models.items() if found]


def seed_notes(columns: Iterable[tuple[str, Iterable[CellScore | None]]]) -> list[str]:
    """Which scores of columns (title, scores) have one seed only, of those that depend on it."""
    drawn = [
        (title, score)
        for title, scores in columns
        for score in scores
        if score and score.mean is not None and score.draws
    ]
    single = [(title, score) for title, score in drawn if len(score.seeds) == 1]
    if not single:
        return []
    if len(single) == len(drawn):
        seeds = sorted({seed for _, score in single for seed in score.seeds})
        named = f"seed {', '.join(map(str, seeds))}"
        return [f"One seed per score ({named}): how much they vary between seeds is unknown."]
    where: dict[str, list[str]] = {}
    for title, score in single:
        where.setdefault(title, []).append(score.method_title)
    listed = "; ".join(f"{title}: {', '.join(methods)}" for title, methods in where.items())
    return [f"One seed only, where others have several: {listed}."]


def processor_notes(columns: Iterable[tuple[str, Iterable[CellScore | None]]]) -> list[str]:
    """Which runs below float32 were made on another processor than the others of a table.

    Rounding differs there, and a trained model with it.
    """
    found: dict[str, dict[str, set[int]]] = {}
    for title, scores in columns:
        for score in scores:
            for run in score.chosen if score and score.setup.dtype != "float32" else ():
                hardware = run.manifest.hardware
                where = (hardware and hardware.accelerator) or _CPU
                found.setdefault(where, {}).setdefault(title, set()).add(run.manifest.seed)
    if len(found) < 2:
        return []
    most = _CPU if _CPU in found else max(found, key=lambda where: len(found[where]))
    told = [
        f"on {where}: {'; '.join(_in_columns(titles, found[most]))}"
        for where, titles in sorted(found.items())
        if where != most
    ]
    return [f"Runs {', '.join(told)}. All others: {most}. {_OTHER_PROCESSOR}"]


def _in_columns(titles: dict[str, set[int]], others: dict[str, set[int]]) -> list[str]:
    """Columns, with the seeds where others of the column were run elsewhere."""
    return [
        f"{title}, seed {', '.join(map(str, sorted(seeds)))}" if title in others else title
        for title, seeds in titles.items()
    ]


def external_notes(methods: Iterable[str]) -> list[str]:
    """What the marks of external and submitted runs mean, where one of the methods has them."""
    shown = list(methods)
    notes = {EXTERNAL_MARK: EXTERNAL_NOTE, SUBMITTED_MARK: SUBMITTED_NOTE}
    return [note for mark, note in notes.items() if any(method.endswith(mark) for method in shown)]


def paper_notes(board: Board, printed: Sequence[Published]) -> list[str]:
    """Which of the paper's tables and models some figures are from, and what it says of them."""
    if not printed:
        return []
    models = list(dict.fromkeys(paper().models[score.model] for score in printed))
    numbers = sorted({score.table for score in printed})
    tables = (
        f"Table {numbers[0]}" if len(numbers) == 1 else f"Tables {', '.join(map(str, numbers))}"
    )
    return [f"paper: {tables}; {', '.join(models)}."] + [
        f"* Paper, Table {score.table}, {board.method_title(score.method)}, "
        f"{board.task_title(score.task)}: {score.note}."
        for score in printed
        if score.note
    ]

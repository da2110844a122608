"""Words and notes that several tables share."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from lampbench.core.precision import PRECISIONS
from lampbench.paper.published import Published, paper
from lampbench.record.manifest import Manifest
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
_BELOW_FLOAT32 = {*PRECISIONS} - {"float32"}
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


Rows = Mapping[str, CellScore | None]
"""The scores of a column, by the title of the row."""


def seed_notes(columns: Iterable[tuple[str, Rows]]) -> list[str]:
    """Which scores of columns have one seed only, of those that depend on it."""
    drawn = [
        (title, row, score)
        for title, rows in columns
        for row, score in rows.items()
        if score and score.mean is not None and score.draws
    ]
    single = [(title, row, score) for title, row, score in drawn if len(score.seeds) == 1]
    if not single:
        return []
    if len(single) == len(drawn):
        seeds = sorted({seed for *_, score in single for seed in score.seeds})
        named = f"seed {', '.join(map(str, seeds))}"
        return [f"One seed per score ({named}): how much they vary between seeds is unknown."]
    where: dict[str, list[str]] = {}
    for title, row, _ in single:
        where.setdefault(title, []).append(row)
    listed = "; ".join(f"{title}: {', '.join(rows)}" for title, rows in where.items())
    return [f"One seed only, where others have several: {listed}."]


def processor_notes(columns: Iterable[tuple[str, Rows]]) -> list[str]:
    """Which runs below float32 were made on another processor than the others of a table.

    Rounding differs there, and a trained model with it. Runs whose processor is not known, as of
    external ones, are not counted among the others.
    """
    found: dict[str, list[tuple[str, str, int]]] = {}
    unknown = False
    for title, rows in columns:
        for row, score in rows.items():
            for run in score.chosen if score and score.setup.dtype in _BELOW_FLOAT32 else ():
                if where := _processor(run.manifest):
                    found.setdefault(where, []).append((title, row, run.manifest.seed))
                else:
                    unknown = unknown or _ran_a_model(run.manifest)
    if len(found) < 2:
        return []
    most = _CPU if _CPU in found else max(found, key=lambda where: len(found[where]))
    told = [
        f"Runs on {where}: {'; '.join(_told(found, where))}."
        for where in sorted(found)
        if where != most
    ]
    others = "All others whose processor is known" if unknown else "All others"
    return [" ".join([*told, f"{others}: {most}. {_OTHER_PROCESSOR}"])]


def _processor(manifest: Manifest) -> str | None:
    """What a run was computed on; a machine with a GPU may have been told to use its CPU.

    None where it is unknown, as of a run whose answers were all in the cache: torch was not loaded,
    or for another run, and the device is what was asked for.
    """
    machine, device = manifest.hardware, manifest.model_details.device
    if machine is None or machine.threads is None or device == "auto":
        return None
    return _CPU if device == "cpu" else machine.accelerator or device or _CPU


def _ran_a_model(manifest: Manifest) -> bool:
    """Whether a run may have asked a model for anything; some methods copy texts."""
    costs = [(one.prompt_tokens, one.new_tokens, one.trained_tokens) for one in manifest.stages]
    return not costs or any(map(any, costs))


def _told(found: Mapping[str, Sequence[tuple[str, str, int]]], where: str) -> Iterator[str]:
    """Columns with runs on a processor: the whole of it, or which of its seeds or rows."""
    others = [made for other, runs in found.items() if other != where for made in runs]
    for title in dict.fromkeys(title for title, _, _ in found[where]):
        runs = [(row, seed) for column, row, seed in found[where] if column == title]
        elsewhere = {seed for column, _, seed in others if column == title}
        seeds = sorted({seed for _, seed in runs})
        if not elsewhere:
            yield title
        elif elsewhere.isdisjoint(seeds):
            yield f"{title}, seed {', '.join(map(str, seeds))}"
        else:
            yield f"{title}, {', '.join(f'{row} (seed {seed})' for row, seed in runs)}"


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

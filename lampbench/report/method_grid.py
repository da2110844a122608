"""Methods by columns: our scores beside the paper's, with what tells the best from the rest."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from lampbench.paper.published import Published, paper
from lampbench.report.board import SYNTHETIC, Board
from lampbench.report.cell_scores import EXTERNAL, Record
from lampbench.report.machine_readable import entry
from lampbench.report.table import NEAR, Cell, Mark, Number, Table
from lampbench.scoring.catalog import METRICS

NO_RUN, NO_VALUE, NO_FIGURE = "no run", "n/a", "—"
SIGNIFICANT = 0.05
SYNTHETIC_NOTE = f"{SYNTHETIC} Synthetic data: no real person wrote these texts."
EXTERNAL_NOTE = (
    f"{EXTERNAL} External: answered elsewhere and only scored here; method, model, settings and "
    "seed are as stated by whoever imported it, and what only its maker knows is n/a."
)
NEAR_NOTE = (
    f"bold: best of its column; {NEAR}: not significantly worse than the best "
    f"(approximate randomization by user, Holm-adjusted over {{}}, {SIGNIFICANT})."
)

FEW_NOTE = "Too few users for these tests to find anything worse: {}."

Printed = Callable[[str], Published | None]


@dataclass(frozen=True, slots=True)
class Slot:
    """One column of ours, and the paper's column beside it; both are asked for each method."""

    title: str
    task: str
    ours: Callable[[str], Record | None]
    printed: Printed | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a score stands in its column. `p` compares it with the best, adjusted by Holm over the
    whole table; None where there is nothing to compare: for the best, its equals, and a score
    alone in its column.
    """

    mark: Mark = ""
    p: float | None = None


def standings(
    board: Board, columns: Sequence[tuple[str, Mapping[str, Record | None]]]
) -> tuple[list[dict[str, Standing]], list[str]]:
    """For each column (title, record by row) the standing of each row, and notes on the marks.

    A column's best is tested against each of its other scores, and the tests of all columns are
    adjusted together.
    """
    from lampbench.report.statistics import holm

    standing: list[dict[str, Standing]] = []
    tests: list[tuple[int, str, float]] = []
    users: dict[int, int] = {}
    for place, (_, column) in enumerate(columns):
        scored = [
            (record.mean, row, record)
            for row, record in column.items()
            if record and record.mean is not None and record.scores
        ]
        standing.append({row: Standing() for row in column})
        if len(scored) < 2:
            continue
        highest, _, best = max(scored, key=lambda one: one[0])
        users[place] = best.users
        for mean, row, record in scored:
            if mean == highest:
                standing[place][row] = Standing("best")
            else:
                tests.append((place, row, board.paired(best, record).exchange))
    adjusted = holm([p for *_, p in tests])
    for (place, row, _), p in zip(tests, adjusted, strict=True):
        standing[place][row] = Standing("near" if p > SIGNIFICANT else "", p)
    notes = []
    if tests:
        notes.append(NEAR_NOTE.format(f"{len(tests)} tests" if len(tests) > 1 else "1 test"))
    tested = [users[place] for place, *_ in tests]
    if few := [columns[place][0] for place, n in users.items() if _too_few(n, tested)]:
        notes.append(FEW_NOTE.format("; ".join(few)))
    return standing, notes


def _too_few(users: int, tested: Sequence[int]) -> bool:
    """Whether no test on so many users can be significant, among tests on `tested` users each.

    The smallest p is that of the one exchange, and its opposite, that favours the best for every
    user. Holm multiplies it by at least the number of tests that cannot have a smaller one.
    """
    smallest = 2.0 ** (1 - users)
    return users in tested and smallest * sum(n <= users for n in tested) > SIGNIFICANT


def external_notes(methods: Iterable[str]) -> list[str]:
    """What the mark of external runs means, where one of the methods has it."""
    return [EXTERNAL_NOTE] if any(method.endswith(EXTERNAL) for method in methods) else []


def grid(
    board: Board, title: str, slots: Sequence[Slot], methods: Sequence[str], metric: str
) -> Table:
    """Methods x slots, the paper's figures beside ours."""
    columns = [(slot.title, {method: slot.ours(method) for method in methods}) for slot in slots]
    standing, notes = standings(board, columns)
    header = ["Method"]
    for slot in slots:
        header += [slot.title, "paper"] if slot.printed else [slot.title]
    rows, entries, printed = [], [], []
    for method in methods:
        row: list[Cell] = [board.method_title(method)]
        for slot, (_, column), stands in zip(slots, columns, standing, strict=True):
            record, stand = column[method], stands[method]
            score = slot.printed(method) if slot.printed else None
            row.append(NO_RUN if record is None else number(record, stand.mark))
            if slot.printed:
                row.append(figure(score))
            if score:
                printed.append(score)
            if record or score:
                found = entry(method, slot.task, metric, record, score)
                entries.append({**found, "best": stand.mark == "best", "p_best": stand.p})
        rows.append(tuple(row))
    notes += paper_notes(board, printed)
    if any(SYNTHETIC in head for head in (title, *header)):
        notes.append(SYNTHETIC_NOTE)
    notes += external_notes(board.method_title(method) for method in methods)
    return Table(title, tuple(header), tuple(rows), notes=tuple(notes), entries=tuple(entries))


def number(record: Record, mark: Mark = "") -> Cell:
    """A score of ours with its interval."""
    digits = METRICS[record.metric].digits
    if record.mean is None:
        return NO_VALUE
    interval = record.interval
    low, high = (interval.low, interval.high) if interval else (None, None)
    return Number(record.mean, digits, low, high, mark)


def users_number(record: Record) -> Cell:
    """The mean over users' means with its interval."""
    if record.users_mean is None:
        return NO_VALUE
    interval = record.users_interval
    low, high = (interval.low, interval.high) if interval else (None, None)
    return Number(record.users_mean, METRICS[record.metric].digits, low, high)


def figure(score: Published | None) -> Cell:
    """A score of the paper's."""
    return Number(score.value, noted=bool(score.note)) if score else NO_FIGURE


def value(mean: float | None, metric: str) -> Cell:
    """A mean without its interval."""
    return NO_VALUE if mean is None else Number(mean, METRICS[metric].digits)


def paper_notes(board: Board, printed: Sequence[Published]) -> list[str]:
    """Where the paper's figures stand in it, and what it says of single ones."""
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

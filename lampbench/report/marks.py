"""Which scores of a column are the best, and which of the others are significantly worse."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lampbench.report.board import Board
from lampbench.report.cell_scores import CellScore
from lampbench.report.table import NEAR, Mark

SIGNIFICANT = 0.05
NEAR_NOTE = (
    f"bold: best of its column; {NEAR}: not significantly worse than the best "
    f"(approximate randomization by user, Holm-adjusted over {{}}, {SIGNIFICANT})."
)
FEW_NOTE = "Too few users for these tests to find anything worse: {}."


@dataclass(frozen=True, slots=True)
class Standing:
    """A score's mark in its column, and the p-value that it follows from.

    `p` compares the score with the best of its column, adjusted by Holm's method over the whole
    table. It is None where nothing is compared: for the best, for scores equal to it, and for a
    score that is alone in its column.
    """

    mark: Mark = ""
    p: float | None = None


def standings(
    board: Board, columns: Sequence[tuple[str, Mapping[str, CellScore | None]]]
) -> tuple[list[dict[str, Standing]], list[str]]:
    """For each column (title, score by row) the standing of each row, and notes on the marks.

    A column's best is tested against each of its other scores, and the tests of all columns are
    adjusted together.
    """
    from lampbench.report.statistics import holm

    standing: list[dict[str, Standing]] = []
    tests: list[tuple[int, str, float]] = []
    users: dict[int, int] = {}
    for place, (_, column) in enumerate(columns):
        scored = [
            (score.mean, row, score)
            for row, score in column.items()
            if score and score.mean is not None and score.scores
        ]
        standing.append({row: Standing() for row in column})
        if len(scored) < 2:
            continue
        highest, _, best = max(scored, key=lambda one: one[0])
        users[place] = best.users
        for mean, row, score in scored:
            if mean == highest:
                standing[place][row] = Standing("best")
            else:
                tests.append((place, row, board.paired(best, score).exchange))
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

    The smallest p-value belongs to the one exchange, and its opposite, that favours the best for
    every user. Holm multiplies it by at least the number of tests that cannot have a smaller one.
    """
    smallest = 2.0 ** (1 - users)
    return users in tested and smallest * sum(n <= users for n in tested) > SIGNIFICANT

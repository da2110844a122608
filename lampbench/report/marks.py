"""Which scores of a column are the best, and which of the others are significantly worse."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lampbench.report.board import Board
from lampbench.report.cell_scores import CellScore
from lampbench.report.metric_format import lower_is_better
from lampbench.report.table import NEAR, Mark

if TYPE_CHECKING:
    from lampbench.report.statistics import Paired

SIGNIFICANT = 0.05
BEST_IS_BOLD = "bold: best of its column"
NEAR_NOTE = (
    f"{BEST_IS_BOLD}; {NEAR}: not significantly worse than the best "
    f"(approximate randomization by user, Holm-adjusted over {{}}, {SIGNIFICANT})."
)
FEW_NOTE = "Too few users for these tests to find anything worse: {}."
CARRIED_NOTE = "Significantly worse, but few users carry most of the difference: {}."


@dataclass(frozen=True, slots=True)
class Standing:
    """A score's mark in its column, and the p-value that it follows from.

    `p` compares the score with the best of its column, adjusted by Holm's method over the whole
    table. It is None where nothing is compared: for the best, for scores equal to it, and for a
    score that is alone in its column.
    """

    mark: Mark = ""
    p: float | None = None

    def entry(self) -> dict[str, Any]:
        """The mark for programs."""
        return {"best": self.mark == "best", "p_best": self.p}


def standings(
    board: Board, columns: Sequence[tuple[str, Mapping[str, CellScore | None]]]
) -> tuple[list[dict[str, Standing]], list[str]]:
    """For each column (title, score by row) the standing of each row, and notes on the marks.

    A column's best is tested against each of its other scores, and the tests of all columns are
    adjusted together. The best is so over all seeds of each row, and the tests are on common seeds:
    what is no worse there is not significantly worse, whatever the p-value of the difference.
    """
    from lampbench.report.statistics import holm

    standing: list[dict[str, Standing]] = []
    tests: list[_Test] = []
    users: dict[int, int] = {}
    for place, (title, column) in enumerate(columns):
        scored = [
            (score.mean, row, score)
            for row, score in column.items()
            if score and score.mean is not None and score.scores
        ]
        standing.append({row: Standing() for row in column})
        if len(scored) < 2:
            continue
        lower = lower_is_better(scored[0][2].metric)
        choose = min if lower else max
        leading, _, best = choose(scored, key=lambda one: one[0])
        users[place] = best.users
        for mean, row, score in scored:
            if mean == leading:
                standing[place][row] = Standing("best")
            else:
                named = score.method_title if row == score.method else row
                found = board.paired(best, score)
                gap = found.difference.mean
                p = found.exchange if (gap < 0 if lower else gap > 0) else 1.0
                tests.append(_Test(place, row, f"{title}, {named}", found, p))
    adjusted = holm([test.p for test in tests])
    for test, p in zip(tests, adjusted, strict=True):
        standing[test.place][test.row] = Standing("near" if p > SIGNIFICANT else "", p)
    notes = []
    if tests:
        notes.append(NEAR_NOTE.format(f"{len(tests)} tests" if len(tests) > 1 else "1 test"))
    notes += _carried(tests, adjusted)
    tested = [users[test.place] for test in tests]
    if too_few := [columns[place][0] for place, n in users.items() if _too_few(n, tested)]:
        notes.append(FEW_NOTE.format("; ".join(too_few)))
    return standing, notes


@dataclass(frozen=True, slots=True)
class _Test:
    """A column's best compared with a row's score, which is named for notes; `p` is 1 where the
    best is not the better one of the two.
    """

    place: int
    row: str
    named: str
    found: "Paired"
    p: float


def _carried(tests: Sequence[_Test], adjusted: Sequence[float]) -> list[str]:
    """A note on the significant differences that few users carry, if there are any."""
    found = [
        f"{test.named} ({test.found.concentration.top} of {test.found.concentration.users} users)"
        for test, p in zip(tests, adjusted, strict=True)
        if p <= SIGNIFICANT and test.found.concentration.carried
    ]
    return [CARRIED_NOTE.format("; ".join(found))] if found else []


def _too_few(users: int, tested: Sequence[int]) -> bool:
    """Whether no test on so many users can be significant, among tests on `tested` users each.

    The smallest p-value belongs to the one exchange, and its opposite, that favours the best for
    every user. Holm multiplies it by at least the number of tests that cannot have a smaller one.
    """
    smallest = 2.0 ** (1 - users)
    return users in tested and smallest * sum(n <= users for n in tested) > SIGNIFICANT

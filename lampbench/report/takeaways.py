"""What the runs of one setup say, in five sentences that are computed from their scores."""

from collections.abc import Sequence
from dataclasses import dataclass

from lampbench.engine.models import BUNDLED
from lampbench.paper.cast import Contest, Control, cast
from lampbench.report.board import Board
from lampbench.report.marks import SIGNIFICANT, standings
from lampbench.report.metric_format import PAPER_METRICS, metric_title
from lampbench.report.setups import Column, Setup
from lampbench.report.table import Number
from lampbench.report.tables.gains import Gain, gains
from lampbench.report.tables.power import power

TAKEAWAY_METRIC = PAPER_METRICS[-1]
"""The metric of the sentences."""


@dataclass(frozen=True, slots=True)
class Takeaway:
    """A question and its answer in one sentence."""

    question: str
    answer: str


def main_setup(board: Board) -> Setup | None:
    """The setup that the leaderboard is about; None where the paper's methods fill no cell.

    It is the first of a pretrained model in which they fill a whole column, and where there is
    none the setup in which they fill the most cells.
    """
    filled = {
        setup: [_filled(board, setup, column) for column in board.columns(setup)]
        for setup in board.setups()
    }
    for setup, counts in filled.items():
        if setup.model not in BUNDLED and max(counts, default=0) == len(cast().main):
            return setup
    best = max(filled, key=lambda setup: sum(filled[setup]), default=None)
    return best if best is not None and sum(filled[best]) else None


def _filled(board: Board, setup: Setup, column: Column) -> int:
    """How many of the paper's methods have a score in a column."""
    cells = (board.cell(setup, column, method, TAKEAWAY_METRIC) for method in cast().main)
    return sum(cell is not None for cell in cells)


def takeaways(board: Board, setup: Setup) -> list[Takeaway]:
    """Five questions on a setup: the best method, the paper's two questions, controls, the data."""
    return [
        Takeaway("Which method is best?", _best(board, setup)),
        *(
            Takeaway(asked.question, _contest(board, setup, asked))
            for asked in (cast().personalization, cast().proposal)
        ),
        *(
            Takeaway(control.question, _control(board, setup, control))
            for control in cast().controls
        ),
        Takeaway("What can these data tell?", _data(board, setup)),
    ]


def _best(board: Board, setup: Setup) -> str:
    """Which of the paper's methods leads on each task, and how many others are worse."""
    columns = board.columns(setup)
    scores = [{m: board.cell(setup, c, m, TAKEAWAY_METRIC) for m in cast().main} for c in columns]
    titles = [board.column_title(column) for column in columns]
    standing, _ = standings(board, list(zip(titles, scores, strict=True)))
    led: dict[str, list[str]] = {}
    for title, column, stands in zip(titles, scores, standing, strict=True):
        marks = [stands[method].mark for method, score in column.items() if score and score.scores]
        best = [method for method in column if stands[method].mark == "best"]
        if best:
            names = _listed([board.method_title(method) for method in best])
            others = len(marks) - len(best)
            led.setdefault(names, []).append(f"{title} ({marks.count('')} of {others})")
    if not led:
        return "No task has runs of two of the paper's methods."
    said = "; ".join(f"{names} on {_listed(tasks)}" for names, tasks in led.items())
    return (
        f"Highest in {metric_title(TAKEAWAY_METRIC)}, with how many of the paper's other methods "
        f"are significantly worse: {said}."
    )


def _contest(board: Board, setup: Setup, asked: Contest) -> str:
    """What a method gains over its baseline, and on which tasks that is significant."""
    found = _gains(board, setup, asked.method, asked.over)
    if not found:
        method, over = (board.method_title(name) for name in (asked.method, asked.over))
        return f"No task has runs of both {method} and {over}."
    return f"{_gained(board, found, found[0].theirs.method_title)}."


def _control(board: Board, setup: Setup, control: Control) -> str:
    """What a control gains over its baseline, and the paper's method over the control."""
    title = board.method_title(control.method)
    found = _gains(board, setup, control.method, control.over)
    if not found:
        return f"The control {title} ({control.isolates}) has no run."
    text = (
        f"The control has {control.isolates}: {_gained(board, found, found[0].theirs.method_title)}"
    )
    against = _gains(board, setup, cast().proposal.method, control.method)
    return f"{text}; {_gained(board, against, title)}." if against else f"{text}."


def _data(board: Board, setup: Setup) -> str:
    """How much data there is, and how small a difference it can detect."""
    columns = board.columns(setup)
    rows = [power(board, setup, column) for column in columns]
    users, queries = (_span([row[name] for row in rows], 0) for name in ("users", "queries"))
    text = f"With {users} test users and {queries} queries per task"
    if made_up := [board.column_title(column) for column in columns if board.synthetic([column])]:
        text += f" ({_listed(made_up)}: synthetic)"
    detected = [row for row in rows if row[f"detectable_{TAKEAWAY_METRIC}"] is not None]
    if not detected:
        return f"{text}, no difference between two methods can be tested."
    pairs = {(row["power_method"], row["power_baseline"]) for row in detected}
    names = [board.method_title(name) for name in min(pairs)] if len(pairs) == 1 else []
    size = _span([100 * row[f"detectable_{TAKEAWAY_METRIC}"] for row in detected], 1)
    return (
        f"{text}, the smallest true difference between {' and '.join(names) or 'two methods'} that "
        f"is found with 80% power is {size} points, depending on the task."
    )


def _gains(board: Board, setup: Setup, method: str, over: str) -> list[Gain]:
    """The gains in the sentences' metric, from the table of gains, whose p-values they share."""
    found = gains(board, setup, method, over)
    return [gain for gain in found if gain.ours.metric == TAKEAWAY_METRIC]


def _gained(board: Board, found: Sequence[Gain], over: str) -> str:
    """The smallest and largest gain over tasks, and on which tasks gains are significant."""
    points = sorted(gain.points.value for gain in found)
    low, high = (Number(each, 1, signed=True).text() for each in (points[0], points[-1]))
    size = low if low == high else f"between {low} and {high}"
    tasks = "1 task" if len(found) == 1 else f"{len(found)} tasks"
    text = f"{found[0].ours.method_title} gains {size} points over {over} on {tasks}"
    significant = [gain for gain in found if gain.p <= SIGNIFICANT]
    if not significant:
        return f"{text}, significant on none"
    shown = [f"{board.column_title(gain.column)} ({_size(gain)})" for gain in significant]
    return f"{text}, significant on {_listed(shown)}"


def _size(gain: Gain) -> str:
    """A gain with its interval, and how far other seeds may change it, to hundredths of a point."""
    points = gain.points
    text = f"{points.text()} {points.interval()}".rstrip()
    if gain.spread is None:
        return f"{text}, one seed" if gain.seeds == "1" else text
    gaps = [Number(100 * gap, 2, signed=True).text() for gap in gain.spread.differences]
    text += f"; by seed {_listed(gaps)}"
    if (both := gain.users_and_seeds) is not None:
        ends = Number(points.value, 2, 100 * both.low, 100 * both.high, signed=True)
        text += f"; for other seeds too {ends.interval()}"
    return text


def _span(numbers: Sequence[float], digits: int) -> str:
    low, high = (f"{each:,.{digits}f}" for each in (min(numbers), max(numbers)))
    return low if low == high else f"{low} to {high}"


def _listed(texts: Sequence[str]) -> str:
    """Texts as a list in a sentence."""
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"

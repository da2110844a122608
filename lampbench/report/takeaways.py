"""What the runs of one setup say, in sentences that are computed from their scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lampbench.engine.models import BUNDLED
from lampbench.paper.cast import Contest, Control, cast
from lampbench.paper.published import paper
from lampbench.report.board import Board
from lampbench.report.common_seeds import NONE_COMMON
from lampbench.report.marks import SIGNIFICANT, standings
from lampbench.report.metric_format import MAIN_METRIC, PAPER_METRICS, metric_title
from lampbench.report.numbers import in_points
from lampbench.report.setups import Column, Setup
from lampbench.report.table import Number
from lampbench.report.tables.gains import Gain, gains
from lampbench.report.tables.power import power


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
        setup: [_filled(board, setup, column) for column in board.paper_columns(setup)]
        for setup in board.setups()
    }
    for setup, counts in filled.items():
        if setup.model not in BUNDLED and max(counts, default=0) == len(cast().main):
            return setup
    totals = {setup: sum(counts) for setup, counts in filled.items()}
    best = max(totals, key=totals.__getitem__, default=None)
    return best if best is not None and totals[best] else None


def _filled(board: Board, setup: Setup, column: Column) -> int:
    """How many of the paper's methods have a score in a column."""
    cells = (board.cell(setup, column, method, MAIN_METRIC) for method in cast().main)
    return sum(cell is not None for cell in cells)


def takeaways(board: Board, setup: Setup) -> list[Takeaway]:
    """Questions on a setup: the best method, whether that beats the model as it is, the paper's
    two questions, controls, the data.
    """
    return [
        Takeaway("Which method is best?", _best(board, setup)),
        *(
            Takeaway(asked.question, _contest(board, setup, asked))
            for asked in (cast().against_nothing, cast().personalization, cast().proposal)
        ),
        *(
            Takeaway(control.question, _control(board, setup, control))
            for control in cast().controls
        ),
        Takeaway("What can these data tell?", _data(board, setup)),
    ]


def _best(board: Board, setup: Setup) -> str:
    """Which of the paper's methods leads on each task, and how many others are worse.

    Also where another of the paper's metrics has another leader.
    """
    led: dict[str, list[str]] = {}
    for leader in _leaders(board, setup, MAIN_METRIC).values():
        led.setdefault(leader.names, []).append(leader.place)
    if not led:
        return "No task has runs of two of the paper's methods."
    said = "; ".join(f"{names} on {_listed(places)}" for names, places in led.items())
    return (
        f"Highest in {metric_title(MAIN_METRIC)}, with how many of the paper's other methods "
        f"are significantly worse: {said}.{_disagreement(board, setup)}"
    )


@dataclass(frozen=True, slots=True)
class _Leader:
    """The best methods of a column, by title, and the column with how many others are worse."""

    names: str
    title: str
    place: str


def _leaders(board: Board, setup: Setup, metric: str) -> dict[Column, _Leader]:
    """Who is best in a metric, for each column in which two of the paper's methods have run."""
    columns = board.paper_columns(setup)
    scores = [{m: board.cell(setup, c, m, metric) for m in cast().main} for c in columns]
    titles = [board.column_title(column) for column in columns]
    standing, _ = standings(board, list(zip(titles, scores, strict=True)))
    found = {}
    for place, title, column, stands in zip(columns, titles, scores, standing, strict=True):
        marks = [stands[method].mark for method, score in column.items() if score and score.scores]
        best = [method for method in column if stands[method].mark == "best"]
        if best:
            names = _listed([board.method_title(method) for method in best])
            count = f"{marks.count('')} of {len(marks) - len(best)}"
            ran = "" if len(marks) == len(column) else " that have run"
            found[place] = _Leader(names, title, f"{title} ({count}{ran})")
    return found


def _disagreement(board: Board, setup: Setup) -> str:
    """Where the paper's other metrics have another leader, as sentences; empty where none has."""
    usual = _leaders(board, setup, MAIN_METRIC)
    text = ""
    for metric in PAPER_METRICS:
        others: dict[str, list[str]] = {}
        for column, leader in _leaders(board, setup, metric).items():
            if column in usual and leader.names != usual[column].names:
                others.setdefault(leader.names, []).append(leader.title)
        if others:
            said = "; ".join(f"{names} on {_listed(titles)}" for names, titles in others.items())
            text += f" In {metric_title(metric)} it is {said}."
    return text


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
    columns = board.paper_columns(setup)
    rows = [power(board, setup, column) for column in columns]
    users, queries = (_span([row[name] for row in rows], 0) for name in ("users", "queries"))
    text = f"With {users} test users and {queries} queries per task"
    if made_up := [board.column_title(column) for column in columns if board.synthetic([column])]:
        text += f" ({_listed(made_up)}: synthetic)"
    detected = [row for row in rows if row[f"detectable_{MAIN_METRIC}"] is not None]
    if not detected:
        if any(row[f"half_width_{MAIN_METRIC}"] is not None for row in rows):
            return f"{text}, it is unknown how small a difference would be found."
        return f"{text}, no difference between two methods can be tested."
    by_pair: dict[tuple[str, str], list[dict[str, Any]]] = {}
    titles: dict[tuple[str, str], list[str]] = {}
    for column, row in zip(columns, rows, strict=True):
        if row in detected:
            pair = row["power_method"], row["power_baseline"]
            by_pair.setdefault(pair, []).append(row)
            titles.setdefault(pair, []).append(board.column_title(column))
    said = [_detected(board, pair, rows) for pair, rows in by_pair.items()]
    if len(by_pair) > 1:  # each pair has a difference of its own, and tasks of its own
        tasks = [_listed(names) for names in titles.values()]
        said = [f"{one} ({names})" for one, names in zip(said, tasks, strict=True)]
    return f"{text}, the smallest true difference that is found with 80% power is {_listed(said)}."


def _detected(board: Board, pair: tuple[str, str], rows: Sequence[Mapping[str, Any]]) -> str:
    """How small a difference between a pair of methods these tasks can detect."""
    names = " and ".join(board.method_title(name) for name in pair)
    size = _span([100 * row[f"detectable_{MAIN_METRIC}"] for row in rows], 1)
    by_task = ", depending on the task," if "to" in size else ""
    return f"{size} points{by_task} between {names}"


def _gains(board: Board, setup: Setup, method: str, over: str) -> list[Gain]:
    """The gains in the sentences' metric, from the table of gains, whose p-values they share."""
    found = gains(board, setup, method, over)
    return [
        gain
        for gain in found
        if gain.ours.metric == MAIN_METRIC and gain.column.task in paper().tasks
    ]


def _gained(board: Board, found: Sequence[Gain], over: str) -> str:
    """The smallest and largest gain over tasks, and on which tasks gains are significant."""
    gained = sorted(gain.points.value for gain in found)
    low, high = (Number(each, 1, signed=True).text() for each in (gained[0], gained[-1]))
    size = low if low == high else f"between {low} and {high}"
    count = len({gain.column.task for gain in found})
    tasks = "1 task" if count == 1 else f"{count} tasks"
    text = f"{found[0].ours.method_title} gains {size} points over {over} on {tasks}"
    significant = [gain for gain in found if gain.p <= SIGNIFICANT]
    if not significant:
        return f"{text}, significant on none"
    shown = [
        f"{board.column_title(gain.column)} ({_size(gain)}{_otherwise(board, gain)})"
        for gain in significant
    ]
    return f"{text}, significant on {_listed(shown)}"


def _size(gain: Gain) -> str:
    """A gain with its interval, and how far other seeds may change it, to hundredths of a point."""
    shown = gain.points
    text = f"{shown.text()} {shown.interval()}".rstrip()
    if gain.spread is None:
        return text + {"1": ", one seed", NONE_COMMON: ", no seed in common"}.get(gain.seeds, "")
    gaps = [Number(100 * gap, 2, signed=True).text() for gap in gain.spread.differences]
    text += f"; by seed {_listed(gaps)}"
    if (both := gain.users_and_seeds) is not None:
        text += f"; for other seeds too {in_points(both).interval()}"
    return text


def _otherwise(board: Board, gain: Gain) -> str:
    """The same gain where the model ran in other precisions: a claim that one alone carries is
    none.
    """
    ours, theirs = gain.ours, gain.theirs
    text = ""
    for setup in board.setups():
        if setup != ours.setup and replace(setup, dtype=ours.setup.dtype) == ours.setup:
            cells = [
                board.cell(setup, gain.column, one.method, one.metric) for one in (ours, theirs)
            ]
            scores = [cell for cell in cells if cell and cell.scores]
            if len(scores) == 2:
                points = in_points(board.paired(*scores).difference)
                where = setup.dtype or "unknown precision"
                text += f"; in {where} {points.text()} {points.interval()}".rstrip()
    return text


def _span(numbers: Sequence[float], digits: int) -> str:
    low, high = (f"{each:,.{digits}f}" for each in (min(numbers), max(numbers)))
    return low if low == high else f"{low} to {high}"


def _listed(texts: Sequence[str]) -> str:
    """Texts as a list in a sentence."""
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"

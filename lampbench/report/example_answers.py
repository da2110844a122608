"""Single queries with the answers of several methods, as in the paper's Figures 4 to 8."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from statistics import median_low
from typing import Literal

from lampbench.record.private import PRIVATE, shown_text
from lampbench.report.board import Board
from lampbench.report.cell_scores import CellScore
from lampbench.report.common_seeds import compared_scores
from lampbench.report.markdown import escaped, heading
from lampbench.report.metric_format import MAIN_METRIC
from lampbench.report.setups import Column, Setup
from lampbench.report.shared_words import pieces
from lampbench.report.table import one_line
from lampbench.scoring.score_table import Place
from lampbench.util.errors import LampbenchError, suggestion

Pick = Literal["drawn", "gain", "loss", "median"]
HOW = {
    "drawn": "chosen by a hash of user and query, not by score",
    "gain": "those where the last method gains most over the best other method (ROUGE-L)",
    "loss": "those where the last method loses most to the best other method (ROUGE-L)",
    "median": "of those where the last method's score differs from the first's (ROUGE-L), the ones "
    "nearest to the median gain",
}


@dataclass(frozen=True, slots=True)
class ShownAnswer:
    """A method's answer and the score of this answer, None where it has none.

    `pieces` alternate between plain text and words that the user's own text has too.
    """

    title: str
    pieces: Sequence[str]
    score: float | None


@dataclass(frozen=True, slots=True)
class AnsweredQuery:
    """A query with the answers of several methods; `reference` is None where it is withheld.

    `history` holds the first 200 characters of what the user wrote before, oldest first.
    """

    user: str
    query: str
    history: Sequence[str]
    fields: Sequence[tuple[str, str]]
    reference: str | None
    answers: Sequence[ShownAnswer]


def answered_queries(
    board: Board, column: Column, setup: Setup, methods: Sequence[str], pick: Pick, count: int
) -> list[AnsweredQuery]:
    """`count` queries of one column with the answers of `methods`, from the lowest seed of each.

    Raises:
        LampbenchError: a method has no run on this column.
    """
    cells = []
    for method in methods:
        found = board.cell(setup, column, method, MAIN_METRIC)
        if found is None:
            there = [m for m in board.methods() if board.cell(setup, column, m, MAIN_METRIC)]
            raise LampbenchError(
                f"no run of method {method!r} on {column.task}: {suggestion(method, there)}"
            )
        cells.append(found)
    rows = [{(row.user, row.query): row for row in cell.chosen[0].predictions} for cell in cells]
    queries, histories = cells[0].chosen[0].queries, cells[0].chosen[0].histories
    made = []
    places = [place for place in rows[0] if all(place in each for each in rows)]
    for user, query in _picked(cells, places, pick)[:count]:
        texts = [each[user, query] for each in rows]
        reference = next((row.reference for row in texts if row.reference is not None), None)
        if reference is None and any(row.prediction is None for row in texts):
            reference = PRIVATE
        answers = [
            ShownAnswer(
                cell.method_title,
                _pieces(row.prediction, reference),
                _score(cell, (user, query)),
            )
            for cell, row in zip(cells, texts, strict=True)
        ]
        asked = queries[user, query]
        fields = list(asked.fields.items()) if asked.sha256 is None else [("query", PRIVATE)]
        history = list(histories.get(user, {}).values())
        made.append(AnsweredQuery(user, query, history, fields, reference, answers))
    return made


def _score(cell: CellScore, asked: tuple[str, str]) -> float | None:
    """The score of the answer that is shown: the first run's."""
    scores = cell.by_seed.get(cell.chosen[0].manifest.seed)
    return None if scores is None else scores.get(asked)


def _pieces(prediction: str | None, reference: str | None) -> Sequence[str]:
    if prediction is None or reference in (None, PRIVATE):
        return [one_line(shown_text(prediction))]
    return pieces(one_line(prediction), reference or "")


def differing(first: CellScore, last: CellScore) -> dict[Place, float]:
    """By how much a method's score exceeds another's, for each query where they differ."""
    ours, theirs = compared_scores(last, first)
    gains = {place: ours[place] - theirs[place] for place in ours.keys() & theirs.keys()}
    return {place: gain for place, gain in gains.items() if gain != 0}


def _picked(cells: Sequence[CellScore], places: list[Place], pick: Pick) -> list[Place]:
    if pick == "drawn" or len(cells) < 2:
        return sorted(places, key=query_hash)
    if pick == "median":
        shown = set(places)
        gains = {p: gain for p, gain in differing(cells[0], cells[-1]).items() if p in shown}
        middle = median_low(gains.values()) if gains else 0.0
        return sorted(gains, key=lambda place: (abs(gains[place] - middle), query_hash(place)))
    *others, last = compared_scores(*cells)
    scored = [place for place in places if all(place in each for each in (last, *others))]
    sign = 1 if pick == "gain" else -1

    def gain(place: Place) -> float:
        return sign * (last[place] - max(other[place] for other in others))

    return sorted(scored, key=lambda place: (-gain(place), place))


def query_hash(place: Place) -> str:
    """What orders queries as if they were drawn, whatever their scores."""
    return sha256("\0".join(place).encode("utf-8", "surrogatepass")).hexdigest()


def examples_as_markdown(found: Sequence[AnsweredQuery], title: str, pick: Pick) -> Iterator[str]:
    """The examples as Markdown, one table per query; shared words are bold."""
    yield heading(title, 2)
    yield (
        f"Queries: {HOW[pick]}. **Bold** words are in the user's own text too, as counted by "
        "ROUGE-1.\n"
    )
    if not found:
        yield "None: no query has scores, or no scores differ.\n"
    for each in found:
        yield heading(f"{each.user}, {each.query}", 3)
        lines = ["| | |", "|---|---|"]
        for name, text in each.fields or [("query", "not recorded")]:
            lines.append(f"| {escaped(name)} | {escaped(text)} |")
        reference = "withheld" if each.reference is None else escaped(each.reference)
        lines.append(f"| User's own | {reference} |")
        for answer in each.answers:
            score = "" if answer.score is None else f" ({answer.score:.3f})"
            lines.append(f"| {escaped(answer.title)}{score} | {_marked(answer.pieces)} |")
        yield "\n".join(lines) + "\n"


def _marked(parts: Sequence[str]) -> str:
    """Every second piece is a shared word; `escaped` alone would strip the space around pieces."""
    text = []
    for number, part in enumerate(parts):
        shown = escaped(f"x{part}x")[1:-1]
        text.append(f"**{shown}**" if number % 2 else shown)
    return "".join(text)

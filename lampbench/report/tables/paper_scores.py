"""The scores that the paper prints (its Tables 1 to 3 and 5 to 7)."""

from typing import Any

from lampbench.paper.published import Published, paper
from lampbench.report.board import Board
from lampbench.report.machine_readable import entry
from lampbench.report.metric_format import metric_title
from lampbench.report.numbers import paper_number
from lampbench.report.table import Section, Table


def paper_sections(board: Board) -> list[Section]:
    """A section for each of the paper's tables, with one table per metric."""
    numbers = sorted({score.table for score in paper().scores})
    return [Section(f"Table {n}: {paper().captions[n]}", _tables(board, n)) for n in numbers]


def _tables(board: Board, number: int) -> tuple[Table, ...]:
    scores = [score for score in paper().scores if score.table == number]
    metrics = dict.fromkeys(score.metric for score in scores)
    return tuple(_table(board, [s for s in scores if s.metric == metric]) for metric in metrics)


def _table(board: Board, scores: list[Published]) -> Table:
    models = dict.fromkeys(score.model for score in scores)
    tasks = dict.fromkeys(score.task for score in scores)
    places = [(task, model) for task in tasks for model in models]
    by_place = {(score.method, score.task, score.model): score for score in scores}
    rows = [
        (
            board.method_title(method),
            *(paper_number(by_place.get((method, *place))) for place in places),
        )
        for method in dict.fromkeys(score.method for score in scores)
    ]
    notes = [f"Model: {paper().models[model]}." for model in models if len(models) == 1]
    notes += [f"Task: {board.task_title(task)}." for task in tasks if len(tasks) == 1]
    notes += [
        f"* {board.method_title(s.method)}, {board.task_title(s.task)}: {s.note}."
        for s in scores
        if s.note
    ]
    heads = [
        paper().models[model] if len(models) > 1 else board.task_title(task)
        for task, model in places
    ]
    title = metric_title(scores[0].metric)

    def entries() -> list[dict[str, Any]]:
        return [entry(s.method, s.task, s.metric, None, s) for s in scores]

    return Table(title, ("Method", *heads), tuple(rows), 1, tuple(notes), entries)

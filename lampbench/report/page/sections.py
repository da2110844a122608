"""The sections of the page for one setup: tables of text and drawn plots."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from markupsafe import Markup

from lampbench.paper.cast import cast
from lampbench.report.cell_scores import CellScore
from lampbench.report.metric_format import MAIN_METRIC, goals, metric_title
from lampbench.report.metric_range import score_interval
from lampbench.report.notes import NO_RUN, NO_VALUE
from lampbench.report.page import plots
from lampbench.report.page.cells import PageCell, SetupGroup
from lampbench.report.page.plots import PlottedValue, ScatterPoint
from lampbench.report.setups import Column
from lampbench.report.statistics import Interval, grouped_by_user, holm
from lampbench.report.user_cost import mean_cost
from lampbench.scoring.aggregate import mean

NOT_RECORDED = "not recorded"


@dataclass(frozen=True, slots=True)
class Entry:
    """A cell of a table: text, small print below it, and the number it is sorted by, if any."""

    text: str
    detail: str = ""
    value: float | None = None
    best: bool = False


@dataclass(frozen=True, slots=True)
class Grid:
    """A table. The first `labels` columns hold text; `details` are small print of the headings."""

    title: str
    header: tuple[str, ...]
    details: tuple[str, ...]
    rows: tuple[tuple[Entry, ...], ...]
    labels: int = 1


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawn plot with its title."""

    title: str
    drawing: Markup


def leaderboards(group: SetupGroup) -> Iterator[Grid]:
    """Methods by tasks with 95% intervals, one table per metric; the best of a task is marked."""
    columns = group.columns()
    sizes = tuple(_size(group.of(column)[0]) for column in columns)
    for metric in (MAIN_METRIC, *(name for name in goals() if name != MAIN_METRIC)):
        if not any(metric in cell.scores for cell in group.cells):
            continue
        header = ("Method", *(group.column_title(column) for column in columns))
        rows = _method_rows(group, columns, list(group.methods), metric)
        yield Grid(metric_title(metric), header, ("", *sizes), rows)


def differences(group: SetupGroup) -> Iterator[Figure]:
    """ROUGE-L of every method minus the first one's, on the same queries, one plot per task."""
    for column in group.columns():
        cells = [cell for cell in group.of(column) if MAIN_METRIC in cell.scores]
        if len(cells) > 1:
            yield _paired_figure(group, cells[0], cells[1:])


def ablation(group: SetupGroup) -> tuple[list[Grid], list[Figure]]:
    """Contrastive decoding and DPO: scores, and differences from the method that has neither."""
    ingredients = {row.method: (row.contrastive, row.dpo) for row in cast().ablation}
    neither = next(iter(ingredients))
    cells = [cell for cell in group.cells if cell.method in ingredients]
    columns = [
        column
        for column in dict.fromkeys(cell.column for cell in cells)
        if len([cell for cell in cells if cell.column == column]) > 1
    ]
    grids, figures = [], []
    titles = tuple(group.column_title(column) for column in columns)
    methods = [method for method in ingredients if any(c.method == method for c in cells)]
    for metric in (MAIN_METRIC, "rouge1") if columns else ():
        rows = tuple(
            (row[0], *(Entry("yes" if has else "no") for has in ingredients[method]), *row[1:])
            for method, row in zip(
                methods, _method_rows(group, columns, methods, metric), strict=True
            )
        )
        header = ("Method", "CD", "DPO", *titles)
        grids.append(Grid(metric_title(metric), header, ("",) * len(header), rows, labels=3))
    for column in columns:
        start = group.cell(column, neither)
        rest = [cell for cell in cells if cell.column == column and cell.method != neither]
        rest = [cell for cell in rest if MAIN_METRIC in cell.scores]
        if start is not None and MAIN_METRIC in start.scores and rest:
            figures.append(_paired_figure(group, start, rest))
    return grids, figures


def costs(group: SetupGroup) -> tuple[list[Figure], Grid]:
    """Tokens per user against ROUGE-L, one plot per task, and the numbers as a table."""
    rows, figures = [], []
    for column in group.columns():
        title = group.column_title(column)
        points = []
        for cell in group.of(column):
            cost = mean_cost(cell.runs)
            score = mean(cell.scores[MAIN_METRIC].values()) if MAIN_METRIC in cell.scores else None
            entries = [Entry(title), Entry(cell.title), _number(score, 3, NO_VALUE)]
            for name, digits in (("before_tokens", 0), ("answer_tokens", 0),
                                 ("before_seconds", 2), ("answer_seconds", 2)):  # fmt: skip
                value = None if cost is None else getattr(cost, name)
                entries.append(_number(value, digits, NOT_RECORDED))
            rows.append(tuple(entries))
            if cost is not None and score is not None:
                points.append((cell.title, cost.tokens, score))
        if points:
            figures.append(Figure(title, _cost_plot(points)))
    header = ("Task", "Method", "ROUGE-L", "Tokens before", "Tokens of answers",
              "Seconds before", "Seconds of answers")  # fmt: skip
    small = ("", "", "", *("per user",) * 4)
    return figures, Grid("Cost in numbers", header, small, tuple(rows), labels=2)


def users(group: SetupGroup) -> Iterator[Figure]:
    """Each user's mean ROUGE-L, one plot per task."""
    for column in group.columns():
        rows = []
        for cell in group.of(column):
            if MAIN_METRIC in cell.scores:
                by_user = grouped_by_user(cell.scores[MAIN_METRIC])
                rows.append((cell.title, [mean(map(float, each)) for each in by_user]))
        if rows:
            said = "; ".join(f"{title} median {median(each):.3f}" for title, each in rows)
            drawing = plots.distributions(rows, f"Users' mean ROUGE-L: {said}")
            yield Figure(group.column_title(column), drawing)


def _method_rows(
    group: SetupGroup, columns: Sequence[Column], methods: Sequence[str], metric: str
) -> tuple[tuple[Entry, ...], ...]:
    found = {
        (cell.column, cell.method): score_interval(metric, cell.scores[metric])
        for cell in group.cells
        if cell.column in columns and cell.method in methods and metric in cell.scores
    }
    best = {
        column: max((i.mean for (other, _), i in found.items() if other == column), default=None)
        for column in columns
    }
    rows = []
    for method in methods:
        row = [Entry(group.methods[method])]
        for column in columns:
            measured = found.get((column, method))
            if measured is None:
                row.append(Entry(NO_VALUE if group.cell(column, method) else NO_RUN))
            else:
                row.append(_measured(measured, measured.mean == best[column]))
        rows.append(tuple(row))
    return tuple(rows)


def _measured(measured: Interval, best: bool) -> Entry:
    ends = (
        f"{measured.low:.3f}\N{EN DASH}{measured.high:.3f}"
        if math.isfinite(measured.low)
        else "open"
    )
    return Entry(f"{measured.mean:.3f}", ends, measured.mean, best)


def _number(value: float | None, digits: int, without: str) -> Entry:
    return Entry(without) if value is None else Entry(f"{value:,.{digits}f}", "", value)


def _paired_figure(group: SetupGroup, start: PageCell, rest: Sequence[PageCell]) -> Figure:
    """Differences from `start`, also by seed; p-values of the exchange test, adjusted by Holm's
    method over the plot.
    """
    title = group.column_title(start.column)
    found = [group.board.paired(_score(group, cell), _score(group, start)) for cell in rest]
    values = holm([each.exchange for each in found])
    marks, said = [], []
    for cell, each, p in zip(rest, found, values, strict=True):
        shown = "p < 0.001" if p < 0.001 else f"p {p:.3f}"
        gap = each.difference
        by_seed = _by_seed(group, cell, start)
        marks.append(PlottedValue(cell.title, gap.mean, gap.low, gap.high, shown, by_seed))
        ends = f" ({gap.low:+.3f} to {gap.high:+.3f})" if math.isfinite(gap.low) else ""
        seeds = f", by seed {', '.join(f'{one:+.3f}' for one in by_seed)}" if by_seed else ""
        said.append(f"{cell.title} {gap.mean:+.3f}{ends}, {shown}{seeds}")
    text = f"ROUGE-L minus that of {start.title}: {'; '.join(said)}"
    return Figure(f"{title}, minus {start.title}", plots.intervals(marks, text))


def _by_seed(group: SetupGroup, ours: PageCell, theirs: PageCell) -> tuple[float, ...]:
    """The difference with each seed that both have; empty for fewer than two."""
    spread = group.board.seed_spread(_score(group, ours), _score(group, theirs))
    return spread.differences if spread else ()


def _score(group: SetupGroup, cell: PageCell) -> CellScore:
    found = group.board.cell(cell.setup, cell.column, cell.method, MAIN_METRIC)
    assert found is not None, "the page's cells are those of the board"
    return found


def _cost_plot(points: Sequence[tuple[str, float, float]]) -> Markup:
    """Filled points: no other method scores as high with fewer tokens, or higher with as many."""
    drawn = []
    for title, tokens, score in points:
        beaten = any(t <= tokens and s >= score and (t, s) != (tokens, score) for _, t, s in points)
        drawn.append(ScatterPoint(title, tokens, score, filled=not beaten))
    said = "; ".join(
        f"{title} {score:.3f} for {tokens:,.0f} tokens" for title, tokens, score in points
    )
    description = f"ROUGE-L against tokens per user: {said}"
    return plots.scatter(drawn, "tokens per user", "ROUGE-L", description)


def _size(cell: PageCell) -> str:
    scored = next(iter(cell.scores.values()), {})
    return f"{len({user for user, _ in scored})} users, {len(scored)} queries"

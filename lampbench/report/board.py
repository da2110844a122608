"""All scores arranged for tables: which rows and columns there are, and what they are called."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING

from lampbench.core.findings import leaks_first
from lampbench.engine.models import BUNDLED
from lampbench.paper.cast import cast
from lampbench.paper.published import paper
from lampbench.report.cell_scores import CellScore
from lampbench.report.common_seeds import compared_scores, gaps_by_seed
from lampbench.report.metric_format import reads_choices
from lampbench.report.setups import Column, Setup
from lampbench.report.table import Section, Table
from lampbench.scoring.catalog import METRICS

if TYPE_CHECKING:
    from lampbench.report.seed_spread import SeedSpread
    from lampbench.report.statistics import Paired

SYNTHETIC_MARK = "†"
"""Marks data that no real person wrote."""


class Board:
    """All scores, by setup, column, method and metric.

    `also` are scores that fill no cell but whose setups, tasks and methods have titles too.
    """

    def __init__(self, scores: Iterable[CellScore], also: Iterable[CellScore] = ()) -> None:
        own = tuple(scores)
        titled = _with_own_titles((*own, *also))
        self.scores = titled[: len(own)]
        self._cells = {(s.setup, s.column, s.method, s.metric): s for s in self.scores}
        # the scores are kept too, since the ids of deleted objects are used again
        self._paired: dict[tuple[int, int], tuple[Paired, CellScore, CellScore]] = {}
        self._columns = list(dict.fromkeys((s.setup, s.column) for s in self.scores))
        self._setups = sorted({s.setup for s in titled}, key=_pretrained_first)
        self._paper_models = {s.setup: s.paper_model for s in self.scores}
        self._method_titles = dict(sorted({(s.method, s.method_title) for s in titled}))
        self._task_titles = dict(sorted({(s.column.task, s.task_title) for s in titled}))
        self._findings: dict[Column, dict[str, None]] = {}
        self._model_notes: dict[Setup, dict[str, None]] = {}
        for score in titled:
            self._findings.setdefault(score.column, {}).update(dict.fromkeys(score.findings))
            self._model_notes.setdefault(score.setup, {}).update(dict.fromkeys(score.model_notes))
        self._synthetic = {s.column for s in titled if s.synthetic}
        self._told_apart = _told_apart(titled)

    def cell(self, setup: Setup, column: Column, method: str, metric: str) -> CellScore | None:
        """The score of one cell, None if no run fills it."""
        return self._cells.get((setup, column, method, metric))

    def first(self, setup: Setup, column: Column) -> CellScore:
        """The first score of a column that holds a run, for what all its scores share."""
        return next(s for s in self.scores if (s.setup, s.column) == (setup, column))

    def paired(self, ours: CellScore, theirs: CellScore) -> "Paired":
        """The comparison of two scores of one column and metric on common seeds, made once."""
        from lampbench.report.metric_range import score_difference

        pair = id(ours), id(theirs)
        if pair not in self._paired:
            found = score_difference(ours.metric, *compared_scores(ours, theirs))
            self._paired[pair] = found, ours, theirs
        return self._paired[pair][0]

    def seed_spread(self, ours: CellScore, theirs: CellScore) -> "SeedSpread | None":
        """How the difference of two scores varies between common seeds; None for fewer than two."""
        from lampbench.report.seed_spread import seed_spread

        gaps = gaps_by_seed(ours, theirs)
        return seed_spread(gaps) if len(gaps) > 1 else None

    def setups(self) -> list[Setup]:
        """Every setup that fills a cell: pretrained models first, then the bundled ones."""
        return sorted({setup for setup, _ in self._columns}, key=_pretrained_first)

    def columns(self, setup: Setup | None = None, task: str | None = None) -> list[Column]:
        """The columns that hold a run (of a setup, of a task): the paper's tasks first."""
        found = {
            column
            for where, column in self._columns
            if setup in (None, where) and task in (None, column.task)
        }
        return sorted(found, key=lambda column: (_place(column.task, paper().tasks), column))

    def paper_columns(self, setup: Setup | None = None) -> list[Column]:
        """As `columns`, of the paper's tasks alone: the main tables are about these."""
        return [column for column in self.columns(setup) if column.task in paper().tasks]

    def text_columns(self, setup: Setup | None = None) -> list[Column]:
        """As `columns`, without tasks whose answers are from a fixed set."""
        return [column for column in self.columns(setup) if not self.has_choices(column)]

    def own_metrics(self, column: Column) -> list[str]:
        """The metrics that a column's runs have beside those of every run."""
        named = {s.metric: None for s in self.scores if s.column == column}
        return [name for name in named if name not in METRICS]

    def has_choices(self, column: Column) -> bool:
        """Whether a column's answers are from a fixed set, as its metrics say."""
        return any(reads_choices(name) for name in self.own_metrics(column))

    def methods(self) -> list[str]:
        """The methods that fill a cell: those of the paper's cast first, then others by name."""
        order = cast().methods()
        return sorted({s.method for s in self.scores}, key=lambda method: _place(method, order))

    def method_title(self, method: str) -> str:
        """A method's title."""
        return self._method_titles.get(method) or paper().methods.get(method, method)

    def task_title(self, task: str) -> str:
        """A task's title."""
        return self._task_titles.get(task) or paper().tasks.get(task, task)

    def column_title(self, column: Column) -> str:
        """A column's title: the task, what tells its data from others', † if synthetic."""
        title = self.task_title(column.task) + self._told_apart[column]
        return f"{title} {SYNTHETIC_MARK}" if self.synthetic([column]) else title

    def synthetic(self, columns: Sequence[Column]) -> bool:
        """Whether any of the columns holds data that no real person wrote."""
        return not self._synthetic.isdisjoint(columns)

    def findings(self, column: Column) -> list[str]:
        """What the loader found about a column's data, leaks first."""
        return leaks_first(self._findings.get(column, ()))

    def model_notes(self, setup: Setup) -> list[str]:
        """What a reader must know about a setup's model."""
        return list(self._model_notes.get(setup, ()))

    def sections(self, tables: Callable[[Setup], Iterable[Table | None]]) -> list[Section]:
        """A section for each setup that has tables."""
        made = {setup: tuple(filter(None, tables(setup))) for setup in self.setups()}
        return [Section(self.section_title(setup), each) for setup, each in made.items() if each]

    def section_title(self, setup: Setup) -> str:
        """What all rows of a setup's tables share."""
        among = [other for other in self._setups if other.source == setup.source]
        model = self.setup_title(setup, among)
        return f"{model}, preset {setup.preset}, data {setup.source}"

    def setup_title(self, setup: Setup, among: Sequence[Setup]) -> str:
        """The model, with what distinguishes it from the setups `among` which it is shown."""
        twins = [other for other in among if other.model == setup.model]
        parts = [
            f"{field.name.replace('_', ' ')} {getattr(setup, field.name) or 'unknown'}"
            for field in fields(Setup)
            if len({getattr(twin, field.name) for twin in twins}) > 1
        ]
        return setup.model + (f" ({', '.join(parts)})" if parts else "")

    def paper_model(self, setup: Setup) -> str | None:
        """The hub id of the paper's model that a setup uses, if it does."""
        return self._paper_models.get(setup)


def _with_own_titles(scores: Sequence[CellScore]) -> tuple[CellScore, ...]:
    """Scores whose methods all have different titles.

    Where methods share one, as where a plugin inherits that of the method it extends, the name of
    each follows, but for the paper's own method.
    """
    methods: dict[str, set[str]] = {}
    for score in scores:
        methods.setdefault(score.method_title, set()).add(score.method)
    return tuple(
        score
        if len(methods[score.method_title]) == 1 or score.method in paper().methods
        else replace(score, method_title=f"{score.method_title} ({score.method})")
        for score in scores
    )


def _told_apart(scores: Iterable[CellScore]) -> dict[Column, str]:
    """What follows the task in each column's title: nothing where a task has one column, else how
    many users it has, or its fingerprint where that is not enough.
    """
    users: dict[Column, int] = {}
    for score in scores:
        users[score.column] = max(score.users, users.get(score.column, 0))
    among = Counter(column.task for column in users)
    alike = Counter((column.task, number) for column, number in users.items())
    return {
        column: ""
        if among[column.task] == 1
        else f" ({number} {'user' if number == 1 else 'users'})"
        if alike[column.task, number] == 1
        else f" (data {column.fingerprint[:8]})"
        for column, number in users.items()
    }


def _pretrained_first(setup: Setup) -> tuple[bool, Setup]:
    """Orders setups; the bundled models, made for tests and first tries, come last."""
    return setup.model in BUNDLED, setup


def _place(name: str, order: Iterable[str]) -> tuple[int, str]:
    listed = list(order)
    return (listed.index(name) if name in listed else len(listed), name)

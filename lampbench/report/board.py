"""Records arranged for tables: which rows, which columns, which cell."""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

from lampbench.paper.published import paper
from lampbench.report.cell_scores import Column, Record, Setup

if TYPE_CHECKING:
    from lampbench.report.statistics import Paired

ORDER = ("base", "rag", "pag", "tam", "oppu", "cope")
"""The first rows of every table; other methods follow by name."""
ABLATION_ROWS = {
    "oppu": ("no", "no"),
    "oppu_cd": ("yes", "no"),
    "oppu_dpo": ("no", "yes"),
    "cope": ("yes", "yes"),
}
"""Method -> contrastive decoding, DPO (paper, Table 3)."""

SYNTHETIC = "†"


class Board:
    """All records, by setup, column, method and metric.

    `also` are records that stand in no cell but whose setups, tasks and methods have titles too.
    """

    def __init__(self, records: Iterable[Record], also: Iterable[Record] = ()) -> None:
        self.records = tuple(records)
        self._titled = (*self.records, *also)
        self._cells = {(r.setup, r.column, r.method, r.metric): r for r in self.records}
        self._paired: dict[tuple[Record, Record], Paired] = {}

    def cell(self, setup: Setup, column: Column, method: str, metric: str) -> Record | None:
        """The record of one cell, None if no run fills it."""
        return self._cells.get((setup, column, method, metric))

    def paired(self, ours: Record, theirs: Record) -> "Paired":
        """The comparison of two records of one column and metric, made once."""
        from lampbench.report.statistics import paired

        if (ours, theirs) not in self._paired:
            self._paired[ours, theirs] = paired(ours.scores, theirs.scores)
        return self._paired[ours, theirs]

    def setups(self) -> list[Setup]:
        """Every setup, in order."""
        return sorted({record.setup for record in self.records})

    def columns(self, setup: Setup | None = None, task: str | None = None) -> list[Column]:
        """The columns that hold a run (of a setup, of a task): the paper's tasks first."""
        found = {
            record.column
            for record in self.records
            if setup in (None, record.setup) and task in (None, record.column.task)
        }
        return sorted(found, key=lambda column: (_place(column.task, paper().tasks), column))

    def tasks(self) -> list[str]:
        """The paper's tasks, then any others by name."""
        found = {record.column.task for record in self.records} | set(paper().tasks)
        return sorted(found, key=lambda task: _place(task, paper().tasks))

    def methods(self) -> list[str]:
        """The paper's six methods, then any others by name."""
        found = {record.method for record in self.records} | set(ORDER)
        return sorted(found, key=lambda method: _place(method, ORDER))

    def method_title(self, method: str) -> str:
        """A method's title."""
        titles = sorted({r.method_title for r in self._titled if r.method == method})
        return titles[-1] if titles else paper().methods.get(method, method)

    def task_title(self, task: str) -> str:
        """A task's title."""
        titles = sorted({r.task_title for r in self._titled if r.column.task == task})
        return titles[-1] if titles else paper().tasks.get(task, task)

    def column_title(self, column: Column) -> str:
        """A column's title: the task, its data where the task has several, † if synthetic."""
        title = self.task_title(column.task)
        if len({r.column for r in self._titled if r.column.task == column.task}) > 1:
            title += f" (data {column.fingerprint[:8]})"
        return f"{title} {SYNTHETIC}" if self.synthetic([column]) else title

    def synthetic(self, columns: Sequence[Column]) -> bool:
        """Whether any of the columns holds data that no real person wrote."""
        return any(r.synthetic for r in self._titled if r.column in columns)

    def section_title(self, setup: Setup) -> str:
        """What all rows of a setup's tables share."""
        among = {r.setup for r in self._titled if r.setup.source == setup.source}
        model = self.setup_title(setup, sorted(among))
        return f"{model}, preset {setup.preset}, data {setup.source}"

    def setup_title(self, setup: Setup, among: Sequence[Setup]) -> str:
        """The model, with what tells it from other setups `among` which it is shown."""
        twins = [other for other in among if other.model == setup.model]
        parts = [
            f"{field.name.replace('_', ' ')} {getattr(setup, field.name) or 'unknown'}"
            for field in fields(Setup)
            if len({getattr(twin, field.name) for twin in twins}) > 1
        ]
        return setup.model + (f" ({', '.join(parts)})" if parts else "")

    def paper_model(self, setup: Setup) -> str | None:
        """The hub id of the paper's model that a setup uses, if it does."""
        return next((r.paper_model for r in self.records if r.setup == setup), None)


def _place(name: str, order: Iterable[str]) -> tuple[int, str]:
    listed = list(order)
    return (listed.index(name) if name in listed else len(listed), name)

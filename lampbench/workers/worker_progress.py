"""The progress of workers: each reports events, and the driver shows them as one."""

from abc import ABC, abstractmethod
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from lampbench.util.progress import Progress
from lampbench.util.stage_rows import UNDIVIDED, StagePart, StagePlace
from lampbench.workers.crew import Emit, Event

if TYPE_CHECKING:
    from lampbench.util.stage_table import StageTable


class _Reporter:
    """Where this process reports to, if it is a worker."""

    emit: Emit | None = None


def report_to(emit: Emit | None) -> None:
    """Make this process a worker that reports its progress, or with None no longer one."""
    _Reporter.emit = emit


def new_progress() -> Progress:
    """A display for this process, or for a worker one that reports to its driver."""
    return Progress() if _Reporter.emit is None else ReportedProgress(_Reporter.emit)


class ReportedProgress(Progress):
    """Shows nothing: reports every event to the driver."""

    def __init__(self, emit: Emit) -> None:
        super().__init__()
        self._emit = emit
        self._live = False  # nothing is drawn here

    def say(self, text: str) -> None:
        """Report a line that stays."""
        self._emit({"kind": "say", "text": text})

    def start(
        self,
        stage: str,
        total: int,
        unit: str,
        *,
        run: str = "",
        part: StagePart = UNDIVIDED,
        cached: int = 0,
    ) -> None:
        """Report the beginning of a stage."""  # fmt: skip
        super().start(stage, total, unit, run=run, part=part, cached=cached)
        self._emit({
            "kind": "start", "stage": stage, "total": total, "unit": unit, "run": run,
            "part": part, "cached": cached,
        })  # fmt: skip

    def reuse(self, stage: str, cached: int, *, run: str, part: StagePart = UNDIVIDED) -> None:
        """Report a stage that was done already."""
        self._emit({"kind": "reuse", "stage": stage, "cached": cached, "run": run, "part": part})

    def update(self, done: float, note: str = "") -> None:
        """Report how many units are done."""
        self._done = max(self._done, done)
        self._emit({"kind": "update", "done": done, "note": note})

    def finish(self, note: str = "") -> float:
        """Report the end of a stage."""
        self._emit({"kind": "finish", "note": note, "done": self._done})
        return 0.0


class CrewDisplay(ABC):
    """Shows what several workers report as if one process worked."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._said: set[str] = set()

    @abstractmethod
    def take(self, worker: int, event: Event) -> None:
        """Show what a worker reports."""

    @abstractmethod
    def leave(self, worker: int) -> None:
        """A worker has ended its stage, or died in it."""

    def say(self, text: str) -> None:
        """Print a line that stays; what several workers say is printed once."""
        if text not in self._said:
            self._said.add(text)
            self._progress.say(text)


def crew_display(progress: Progress) -> CrewDisplay:
    """The rows of a table where one is shown, otherwise one stage after the other."""
    table = progress.table
    return CrewLines(progress) if table is None else CrewTable(progress, table)


class CrewTable(CrewDisplay):
    """Shows what each worker does in the rows of a table of stages."""

    def __init__(self, progress: Progress, table: "StageTable") -> None:
        super().__init__(progress)
        self._table = table
        self._at: dict[int, tuple[StagePlace, StagePart]] = {}

    def take(self, worker: int, event: Event) -> None:
        """Show what a worker reports."""
        kind = event["kind"]
        if kind == "say":
            self.say(event["text"])
        elif kind == "start":
            self.leave(worker)
            self._at[worker] = place, part = _place_of(event)
            self._table.begin(place, part, event["total"], event["cached"])
        elif kind == "reuse":
            self._table.reuse(*_place_of(event), event["cached"])
        elif worker in self._at and kind in ("update", "finish"):
            self._table.update(*self._at[worker], event["done"], event["note"])
            if kind == "finish":
                self.leave(worker)

    def leave(self, worker: int) -> None:
        """A worker has ended its stage, or died in it."""
        if worker in self._at:
            self._table.close(*self._at.pop(worker))


def _place_of(event: Event) -> tuple[StagePlace, StagePart]:
    """The row and the part of it that an event is about."""
    index, count = event["part"]
    return (event["run"], event["stage"]), (index, count)


class CrewLines(CrewDisplay):
    """Shows the stages of several workers one after the other.

    While workers are in different stages, the one that began first is shown until all workers that
    began it have ended it.
    """

    def __init__(self, progress: Progress) -> None:
        super().__init__(progress)
        self._stages: dict[StagePlace, dict[int, list[Any]]] = defaultdict(dict)
        self._now: dict[int, StagePlace] = {}
        self._shown: StagePlace | None = None

    def take(self, worker: int, event: Event) -> None:
        """Show what a worker reports."""
        kind = event["kind"]
        if kind == "say":
            self.say(event["text"])
        elif kind == "start":
            self.leave(worker)
            stage, _ = _place_of(event)
            self._now[worker] = stage
            self._stages[stage][worker] = [0.0, event["total"], event["unit"]]
            if self._shown in (None, stage):
                self._show(stage)
        elif kind == "update" and worker in self._now:
            self._stages[self._now[worker]][worker][0] = event["done"]
            if self._now[worker] == self._shown:
                self._progress.update(self._sum(0))
        elif kind == "finish":
            self.leave(worker)

    def leave(self, worker: int) -> None:
        """A worker has ended its stage, or died in it."""
        stage = self._now.pop(worker, None)
        if stage is None or stage != self._shown or stage in self._now.values():
            return
        self._progress.finish()
        del self._stages[stage]
        self._shown = None
        if self._now:
            self._show(next(iter(self._now.values())))

    def _show(self, stage: StagePlace) -> None:
        self._shown = stage
        unit = next(iter(self._stages[stage].values()))[2]
        self._progress.start(stage[1], int(self._sum(1)), unit)
        self._progress.update(self._sum(0))

    def _sum(self, place: int) -> float:
        if self._shown is None:
            return 0.0
        return float(sum(entry[place] for entry in self._stages[self._shown].values()))

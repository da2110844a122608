"""The progress of workers: each reports events, and the driver shows them as one."""

from collections import defaultdict
from typing import Any

from lampbench.util.progress import Progress
from lampbench.workers.crew import Emit, Event


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

    def start(self, stage: str, total: int, unit: str) -> None:
        """Report the beginning of a stage."""
        super().start(stage, total, unit)
        self._emit({"kind": "start", "stage": stage, "total": total, "unit": unit})

    def update(self, done: float, note: str = "") -> None:
        """Report how many units are done."""
        self._emit({"kind": "update", "done": done})

    def finish(self, note: str = "") -> float:
        """Report the end of a stage."""
        self._emit({"kind": "finish", "note": note})
        return 0.0


class CrewDisplay:
    """Shows the stages of several workers one after the other, as if one process worked.

    While workers are in different stages, the one that began first is shown until all workers that
    began it have ended it.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._stages: dict[str, dict[int, list[Any]]] = defaultdict(dict)
        self._now: dict[int, str] = {}
        self._shown: str | None = None
        self._said: set[str] = set()

    def take(self, worker: int, event: Event) -> None:
        """Show what a worker reports."""
        kind = event["kind"]
        if kind == "say":
            self.say(event["text"])
        elif kind == "start":
            self.leave(worker)
            self._now[worker] = stage = event["stage"]
            self._stages[stage][worker] = [0.0, event["total"], event["unit"]]
            if self._shown in (None, stage):
                self._show(stage)
        elif kind == "update" and worker in self._now:
            self._stages[self._now[worker]][worker][0] = event["done"]
            if self._now[worker] == self._shown:
                self._progress.update(self._sum(0))
        elif kind == "finish":
            self.leave(worker)

    def say(self, text: str) -> None:
        """Print a line that stays; what several workers say is printed once."""
        if text not in self._said:
            self._said.add(text)
            self._progress.say(text)

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

    def _show(self, stage: str) -> None:
        self._shown = stage
        unit = next(iter(self._stages[stage].values()))[2]
        self._progress.start(stage, int(self._sum(1)), unit)
        self._progress.update(self._sum(0))

    def _sum(self, place: int) -> float:
        return float(sum(entry[place] for entry in self._stages[self._shown or ""].values()))

"""The stages of a study as rows: what is done of each, for how long, and what is left."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

StagePart = tuple[int, int]
"""Which shard of a stage's owners, and of how many."""
StagePlace = tuple[str, str]
"""A stage of a run: the run's key, and what messages call the stage."""
UNDIVIDED: StagePart = (0, 1)

_KNOWN = 20
"""The time left is told after this part of the work: the first unit waits for what all need."""


@dataclass(frozen=True, slots=True)
class _Portion:
    """One shard's share of a row: what was there, what is to be made, and how much of that is."""

    cached: int
    missing: int
    made: float = 0.0
    open: bool = True

    @property
    def done(self) -> float:
        return self.cached + self.made


@dataclass(slots=True)
class StageRow:
    """One stage of one run. `total` counts its owners: users, queries, or 1 for a whole task.

    Portions are frozen and replaced as a whole, so that a display may read them in another thread.
    """

    run: str
    method: str
    task: str
    stage: str
    total: int
    note: str = ""
    ended: bool = False
    _portions: dict[int, _Portion] = field(default_factory=dict)
    _shards: int = 1
    _began: float | None = None
    _closed: float | None = None

    def begin(self, now: float, part: StagePart, missing: int, cached: int) -> None:
        """A part's missing owners are worked on; `cached` of them had their artifact."""
        index, self._shards = part
        self._began = now if self._began is None else self._began
        self._closed = None
        self._portions[index] = _Portion(cached, missing)

    def reuse(self, part: StagePart, cached: int) -> None:
        """All of a part was there; nothing changes where the part was made in this study."""
        index, self._shards = part
        self._portions.setdefault(index, _Portion(cached, 0, open=False))

    def update(self, part: StagePart, made: float, note: str) -> None:
        """So many of a part's missing owners are done; fractions count."""
        before = self._portions[part[0]]
        self._portions[part[0]] = replace(before, made=max(before.made, made))
        self.note = note

    def close(self, now: float, part: StagePart) -> None:
        """The work on a part has ended."""
        self._portions[part[0]] = replace(self._portions[part[0]], open=False)
        self.note = ""
        if not self._open():
            self._closed = now

    def end(self) -> None:
        """Nothing is worked on any more."""
        self.ended = True

    @property
    def done(self) -> int:
        """Owners that have what the stage makes."""
        return min(int(sum(one.done for one in self._all())), self.total)

    @property
    def waiting(self) -> bool:
        """Whether it has not begun."""
        return not self._portions

    @property
    def complete(self) -> bool:
        """Whether every part has ended."""
        portions = self._all()
        return len(portions) >= self._shards and not any(one.open for one in portions)

    def state(self) -> str:
        """In words."""
        if self.waiting:
            return "not begun" if self.ended else "waiting"
        if self.complete or (self.ended and not self._open()):
            if self.done < self.total:
                return f"{self.total - self.done} missing"
            return "done" if any(one.missing for one in self._all()) else "cached"
        if self.ended:
            return "stopped"
        return f"running, {self.note}" if self.note else "running"

    def elapsed(self, now: float) -> float | None:
        """Seconds since it began, to its end where it has ended."""
        if self._began is None:
            return None
        return (now if self._closed is None else self._closed) - self._began

    def left(self, now: float) -> float | None:
        """Seconds that it will take at its pace so far; None where that is not known."""
        made = sum(one.made for one in self._all())
        missing = sum(one.missing for one in self._all())
        seconds = self.elapsed(now)
        if seconds is None or self.ended or not self._open() or made * _KNOWN < missing:
            return None
        return seconds / made * (missing - made) if made else None

    def _all(self) -> Sequence[_Portion]:
        return tuple(self._portions.values())

    def _open(self) -> bool:
        return any(one.open for one in self._all())


def clock(seconds: float | None) -> str:
    """A duration as a clock shows it: 0:07, 12:30, 2:05:00; nothing for None."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

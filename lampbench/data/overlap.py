"""Which of some records share runs of words with others: exact, and small in memory.

A run is held as 8 bytes and its record's number as 4, so the 100 test users of a LaMP task take
some 60 MB; what they are compared with is streamed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from lampbench.data import corpus_sketch
from lampbench.data.word_runs import Hashes, first_run, run_hashes


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """A record or query of a user, or a document of a pre-training text (`user` is empty).

    `side` is whose it is (test, dev, training, pre-training), `role` what it is there; `key` says
    which inputs are the same, white space and case aside.
    """

    side: str
    role: str
    user: str
    id: str
    texts: tuple[str, ...]
    key: int = 0
    runs: Hashes = field(default_factory=lambda: np.zeros(0, np.uint64), repr=False)

    def __str__(self) -> str:
        name = f"{self.role} {self.id!r}"
        return f"{name} of {self.side} user {self.user!r}" if self.user else name


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that was found: `what` stands in `where`.

    `share` is the share of runs that is found elsewhere, of that text of `what` (an input field or
    the target) of which most is: 1 is a text that stands there whole. `words` is the first run of
    these. Both are missing where no text was compared.
    """

    what: str
    where: str
    share: float | None = None
    words: str | None = None

    def __str__(self) -> str:
        place = f"{self.what} in {self.where}"
        if self.share is None:
            return place
        return f"{place}: {self.share:.0%} of a text, from {self.words!r}"


class Index:
    """The runs of many items, to be looked up."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = items
        runs = [item.runs for item in items]
        hashes = np.concatenate([*runs, np.zeros(0, np.uint64)])
        owners = np.repeat(np.arange(len(items), dtype=np.int32), [len(r) for r in runs])
        order = np.argsort(hashes, kind="stable")
        self._hashes, self._owners = hashes[order], owners[order]

    def shared_with(self, others: Iterable[Item]) -> list[tuple[Item, Item, Hashes]]:
        """(item, the other that has most of its runs, its runs that any other has)."""
        covered = np.zeros(len(self._hashes), bool)
        most: dict[int, tuple[int, Item]] = {}
        for other in others:
            places = self._places(other.runs)
            owners, counts = np.unique(self._owners[places], return_counts=True)
            for owner, count in zip(owners.tolist(), counts.tolist(), strict=True):
                if self.items[owner] is other:
                    places = places[self._owners[places] != owner]
                elif owner not in most or count > most[owner][0]:
                    most[owner] = count, other
            covered[places] = True
        hashes, owners = self._hashes[covered], self._owners[covered]
        order = np.argsort(owners, kind="stable")
        numbers, starts = np.unique(owners[order], return_index=True)
        groups = np.split(hashes[order], starts[1:]) if len(starts) else []
        return [
            (self.items[number], most[number][1], runs)
            for number, runs in zip(numbers.tolist(), groups, strict=True)
        ]

    def _places(self, runs: Hashes) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
        """Where these runs stand in the index; a run of several items stands several times."""
        first = np.searchsorted(self._hashes, runs, "left")
        last = np.searchsorted(self._hashes, runs, "right")
        hits = np.flatnonzero(last > first)
        spans = [np.arange(first[at], last[at]) for at in hits]
        return np.concatenate([*spans, np.zeros(0, np.intp)])


def cases(found: Iterable[tuple[Item, Item, Hashes]]) -> list[Case]:
    """What `shared_with` found, as a reader wants to see it."""
    return [
        Case(str(item), str(other), _share(item, runs), first_run(item.texts, runs))
        for item, other, runs in found
    ]


def sketched(items: Iterable[Item], held: corpus_sketch.Sketch, where: str) -> list[Case]:
    """Items of which a run stands in a sketch; the share is over the runs that it would hold."""
    found = []
    for item in items:
        runs = corpus_sketch.found(held, item.runs)
        if len(runs):
            share = _share(item, runs, sampled=True)
            found.append(Case(str(item), where, share, first_run(item.texts, runs)))
    return found


def _share(item: Item, covered: Hashes, *, sampled: bool = False) -> float:
    shares = [0.0]
    for text in item.texts:
        runs = run_hashes([text])
        runs = corpus_sketch.kept(runs) if sampled else runs
        if len(runs):
            shares.append(float(np.isin(runs, covered).mean()))
    return max(shares)

"""Which texts share 13-grams with others: exact, and small in memory.

A 13-gram takes 8 bytes and the number of its text 4, so the 100 test users of a LaMP task take
some 60 MB; what they are compared with is streamed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from lampbench.data.leaks.corpus_sketch import CorpusSketch, hashes_in_sketch, sampled
from lampbench.data.leaks.ngrams import NgramHashes, first_ngram, ngram_hashes


@dataclass(frozen=True, slots=True, eq=False)
class ComparedText:
    """A record or query of a user, or a document of a pre-training text.

    Attributes:
        group: whose it is: test, dev, training or pre-training.
        role: what it is there: record, query or document.
        user: the user's id; empty for a document.
        id: its own id.
        texts: its input fields and its target.
        key: equal for the same input, white space and case aside.
        ngrams: the hashes of its 13-grams.
    """

    group: str
    role: str
    user: str
    id: str
    texts: tuple[str, ...]
    key: int = 0
    ngrams: NgramHashes = field(default_factory=lambda: np.zeros(0, np.uint64), repr=False)

    def __str__(self) -> str:
        name = f"{self.role} {self.id!r}"
        return f"{name} of {self.group} user {self.user!r}" if self.user else name


@dataclass(frozen=True, slots=True)
class LeakCase:
    """One thing that was found: `what` is also in `where`.

    `share` is the share of 13-grams that is found there, of that text of `what` (an input field or
    the target) of which most is: 1 means a whole text. `words` is the first of these 13-grams.
    Both are None if no text was compared.
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


class NgramIndex:
    """The 13-grams of many texts, to be looked up."""

    def __init__(self, texts: Sequence[ComparedText]) -> None:
        self.texts = texts
        ngrams = [text.ngrams for text in texts]
        hashes = np.concatenate([*ngrams, np.zeros(0, np.uint64)])
        owners = np.repeat(np.arange(len(texts), dtype=np.int32), [len(n) for n in ngrams])
        order = np.argsort(hashes, kind="stable")
        self._hashes, self._owners = hashes[order], owners[order]

    def shared_with(
        self, others: Iterable[ComparedText]
    ) -> list[tuple[ComparedText, ComparedText, NgramHashes]]:
        """(text, the other that has most of its 13-grams, those of them that any other has)."""
        covered = np.zeros(len(self._hashes), bool)
        most: dict[int, tuple[int, ComparedText]] = {}
        for other in others:
            places = self._places(other.ngrams)
            owners, counts = np.unique(self._owners[places], return_counts=True)
            for owner, count in zip(owners.tolist(), counts.tolist(), strict=True):
                if self.texts[owner] is other:
                    places = places[self._owners[places] != owner]
                elif owner not in most or count > most[owner][0]:
                    most[owner] = count, other
            covered[places] = True
        hashes, owners = self._hashes[covered], self._owners[covered]
        order = np.argsort(owners, kind="stable")
        numbers, starts = np.unique(owners[order], return_index=True)
        groups = np.split(hashes[order], starts[1:]) if len(starts) else []
        return [
            (self.texts[number], most[number][1], shared)
            for number, shared in zip(numbers.tolist(), groups, strict=True)
        ]

    def _places(self, hashes: NgramHashes) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
        """The places of these 13-grams in the index; one of several texts has several."""
        first = np.searchsorted(self._hashes, hashes, "left")
        last = np.searchsorted(self._hashes, hashes, "right")
        hits = np.flatnonzero(last > first)
        spans = [np.arange(first[at], last[at]) for at in hits]
        return np.concatenate([*spans, np.zeros(0, np.intp)])


def overlap_cases(
    shared: Iterable[tuple[ComparedText, ComparedText, NgramHashes]],
) -> list[LeakCase]:
    """What `NgramIndex.shared_with` found, in words."""
    return [
        LeakCase(str(text), str(other), _share(text, ngrams), first_ngram(text.texts, ngrams))
        for text, other, ngrams in shared
    ]


def sketch_cases(texts: Iterable[ComparedText], sketch: CorpusSketch, where: str) -> list[LeakCase]:
    """Texts of which a 13-gram is in a sketch; the share is of those that a sketch keeps."""
    found = []
    for text in texts:
        ngrams = hashes_in_sketch(sketch, text.ngrams)
        if len(ngrams):
            share = _share(text, ngrams, only_sampled=True)
            found.append(LeakCase(str(text), where, share, first_ngram(text.texts, ngrams)))
    return found


def _share(text: ComparedText, covered: NgramHashes, *, only_sampled: bool = False) -> float:
    shares = [0.0]
    for one in text.texts:
        hashes = ngram_hashes([one])
        hashes = sampled(hashes) if only_sampled else hashes
        if len(hashes):
            shares.append(float(np.isin(hashes, covered).mean()))
    return max(shares)

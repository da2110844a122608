"""Runs of 13 words: what counts as copied text, wherever texts are compared.

One notion for all: the cut of the bundled data, the choice of its pre-training text, `lampbench
data audit` and the sketch of a pre-training text.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

RUN = 13
"""Words in a run that counts as copied text, as in the GPT-3 contamination analysis."""

SHORTEST_WHOLE = 5
"""Texts below `RUN` words are compared as a whole, from this length on: "Yes" is no leak."""

Hashes = npt.NDArray[np.uint64]

_WORD = re.compile(r"\w+")


def word_runs(text: str) -> set[str]:
    """The 13-word runs of a text, without case and punctuation; a short text is one run."""
    return set(runs_in_order(text))


def runs_in_order(text: str) -> Iterator[str]:
    """The runs as they stand in the text, repeated ones too."""
    words = _WORD.findall(text.lower())
    if len(words) >= RUN:
        for at in range(len(words) - RUN + 1):
            yield " ".join(words[at : at + RUN])
    elif len(words) >= SHORTEST_WHOLE:
        yield " ".join(words)


def run_hashes(texts: Iterable[str]) -> Hashes:
    """The distinct runs of all texts as sorted 64-bit hashes, the same on every machine."""
    raw = b"".join(_digest(run) for text in texts for run in word_runs(text))
    return np.unique(np.frombuffer(raw, dtype="<u8").astype(np.uint64))


def first_run(texts: Iterable[str], hashes: Hashes) -> str:
    """The first run of the texts whose hash is among `hashes`; empty where none is."""
    wanted = set(hashes.tolist())
    for text in texts:
        for run in runs_in_order(text):
            if int.from_bytes(_digest(run), "little") in wanted:
                return run
    return ""


def _digest(run: str) -> bytes:
    return hashlib.blake2b(run.encode(), digest_size=8).digest()

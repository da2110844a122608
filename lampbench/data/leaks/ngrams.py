"""13 words in a row: what counts as copied text, wherever texts are compared.

One definition for the cut of the bundled data, the choice of its pre-training text, `lampbench data
audit` and the sketch of a pre-training text.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

NGRAM_WORDS = 13
"""Words in a row that count as copied text, as in the GPT-3 contamination analysis."""

SHORTEST_COMPARED = 5
"""Texts of fewer than `NGRAM_WORDS` words are compared as a whole, from this number of words on."""

NgramHashes = npt.NDArray[np.uint64]

_WORD = re.compile(r"\w+")


def text_ngrams(text: str) -> set[str]:
    """The 13-grams of a text, without case and punctuation; a short text is one of its own."""
    return set(ngrams_in_order(text))


def ngrams_in_order(text: str) -> Iterator[str]:
    """The 13-grams from the beginning of a text to its end, repeated ones too."""
    words = _WORD.findall(text.lower())
    if len(words) >= NGRAM_WORDS:
        for at in range(len(words) - NGRAM_WORDS + 1):
            yield " ".join(words[at : at + NGRAM_WORDS])
    elif len(words) >= SHORTEST_COMPARED:
        yield " ".join(words)


def ngram_hashes(texts: Iterable[str]) -> NgramHashes:
    """The distinct 13-grams of all texts as sorted 64-bit hashes, the same on every machine."""
    raw = b"".join(_digest(ngram) for text in texts for ngram in text_ngrams(text))
    return np.unique(np.frombuffer(raw, dtype="<u8").astype(np.uint64))


def first_ngram(texts: Iterable[str], hashes: NgramHashes) -> str:
    """The first 13-gram of the texts whose hash is among `hashes`; empty if there is none."""
    wanted = set(hashes.tolist())
    for text in texts:
        for ngram in ngrams_in_order(text):
            if int.from_bytes(_digest(ngram), "little") in wanted:
                return ngram
    return ""


def _digest(ngram: str) -> bytes:
    return hashlib.blake2b(ngram.encode(), digest_size=8).digest()

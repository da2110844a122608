"""A sketch of a pre-training text, in two megabytes: enough to tell whether it contains a text.

A sketch has the ids of all documents and one in 16 of their 13-grams: those whose 64-bit hash is
a multiple of 16. Whether a 13-gram is kept depends on nothing but the 13-gram, so a text is looked
up by those of its own that would have been kept.

What it can miss: a 13-gram that is not kept. A copied text of 145 words has 133 of them and is
missed with probability (15/16)^133, once in 5,300 times; a single shared one, or a copied title,
15 times in 16. So the sketch guards what is committed; the full comparison is made when the
pre-training text is laid out, where all of it is at hand. It can also find what is not there: two
13-grams with the same hash, less than once in 10^7 texts.
"""

import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lampbench.data.leaks.ngrams import NGRAM_WORDS, NgramHashes, ngram_hashes
from lampbench.util.atomic import replace
from lampbench.util.errors import LampbenchError
from lampbench.util.regular_file import read_regular

KEPT_ONE_IN = 16


@dataclass(frozen=True)
class CorpusSketch:
    """Ids of all documents, and the sorted hashes of one 13-gram in `KEPT_ONE_IN`."""

    documents: frozenset[str]
    ngrams: NgramHashes


def sampled(hashes: NgramHashes) -> NgramHashes:
    """The hashes that a sketch of these 13-grams keeps."""
    chosen: NgramHashes = hashes[hashes % np.uint64(KEPT_ONE_IN) == 0]
    return chosen


def hashes_in_sketch(sketch: CorpusSketch, hashes: NgramHashes) -> NgramHashes:
    """Those of the hashes that the sketch has."""
    if not len(sketch.ngrams):
        return hashes[:0]
    # np.isin would sort the whole sketch for every text
    places = np.searchsorted(sketch.ngrams, hashes).clip(max=len(sketch.ngrams) - 1)
    held: NgramHashes = hashes[sketch.ngrams[places] == hashes]
    return held


def make_sketch(documents: Iterable[tuple[str, Iterable[str]]]) -> CorpusSketch:
    """The sketch of documents, given as (id, texts)."""
    names: list[str] = []
    hashes: list[NgramHashes] = [np.zeros(0, np.uint64)]
    for name, texts in documents:
        names.append(name)
        hashes.append(sampled(ngram_hashes(texts)))
    return CorpusSketch(frozenset(names), np.unique(np.concatenate(hashes)))


def save_sketch(sketch: CorpusSketch, path: Path) -> None:
    """Write a sketch; equal sketches make equal files.

    Raises:
        OSError: the file cannot be written.
    """
    names = json.dumps(sorted(sketch.documents), ensure_ascii=False).encode()
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        documents=np.frombuffer(names, np.uint8),
        runs=sketch.ngrams,
        words_one_in=np.array([NGRAM_WORDS, KEPT_ONE_IN]),
    )
    replace(path, buffer.getvalue())


def load_sketch(path: Path) -> CorpusSketch:
    """Read a sketch.

    Raises:
        LampbenchError: no such file, not a sketch, or one of other n-grams.
    """
    try:
        with np.load(io.BytesIO(read_regular(path)), allow_pickle=False) as file:
            made = file["words_one_in"].tolist()
            documents = frozenset(map(str, json.loads(file["documents"].tobytes())))
            hashes = np.asarray(file["runs"], np.uint64)
    except Exception as error:  # whatever a damaged archive makes numpy and zipfile raise
        raise LampbenchError(
            f"{path}: is not a sketch of a pre-training text ({type(error).__name__}); make it "
            "again with scripts/pretrain.py"
        ) from None
    if made != [NGRAM_WORDS, KEPT_ONE_IN]:
        raise LampbenchError(
            f"{path}: keeps other n-grams than one {NGRAM_WORDS}-gram in {KEPT_ONE_IN}; make it "
            "again with scripts/pretrain.py"
        )
    return CorpusSketch(documents, hashes)

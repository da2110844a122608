"""What a model was pre-trained on, in two megabytes: enough to tell whether a text was in it.

A sketch holds the ids of all documents, and of their 13-word runs one in 16: those whose 64-bit
hash is a multiple of 16. Which runs are kept depends on nothing but the run, so a text is looked
up by those of its own runs that would have been kept.

What it can miss: a run that is not kept. A copied text of 145 words has 133 runs and is missed
with probability (15/16)^133, once in 5,300 times; a single shared run, or a copied title, 15 times
in 16. So the sketch guards what is committed; the full comparison is made when the pre-training
text is laid out, where all of it is at hand. It can also find what is not there: two runs with the
same hash, less than once in 10^7 texts.
"""

import io
import json
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lampbench.data.word_runs import RUN, Hashes, run_hashes
from lampbench.util.atomic import replace
from lampbench.util.errors import LampbenchError

ONE_IN = 16


@dataclass(frozen=True)
class Sketch:
    """Ids of all documents, and the sorted hashes of one run in `ONE_IN`."""

    documents: frozenset[str]
    runs: Hashes


def kept(runs: Hashes) -> Hashes:
    """The hashes that a sketch holds when it was made from these runs."""
    chosen: Hashes = runs[runs % np.uint64(ONE_IN) == 0]
    return chosen


def found(sketch: Sketch, runs: Hashes) -> Hashes:
    """Those of the runs that the sketch holds."""
    if not len(sketch.runs):
        return runs[:0]
    # np.isin would sort the whole sketch for every text
    places = np.searchsorted(sketch.runs, runs).clip(max=len(sketch.runs) - 1)
    held: Hashes = runs[sketch.runs[places] == runs]
    return held


def make(documents: Iterable[tuple[str, Iterable[str]]]) -> Sketch:
    """The sketch of (id, texts) of each document."""
    names: list[str] = []
    hashes: list[Hashes] = [np.zeros(0, np.uint64)]
    for name, texts in documents:
        names.append(name)
        hashes.append(kept(run_hashes(texts)))
    runs = np.unique(np.concatenate(hashes))
    return Sketch(frozenset(names), runs)


def save(sketch: Sketch, path: Path) -> None:
    """Write a sketch; equal sketches are equal files.

    Raises:
        OSError: the disk refuses.
    """
    names = json.dumps(sorted(sketch.documents), ensure_ascii=False).encode()
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        documents=np.frombuffer(names, np.uint8),
        runs=sketch.runs,
        words_one_in=np.array([RUN, ONE_IN]),
    )
    replace(path, buffer.getvalue())


def load(path: Path) -> Sketch:
    """Read a sketch.

    Raises:
        LampbenchError: no such file, not a sketch, or one of other runs.
    """
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            made = file["words_one_in"].tolist()
            names = json.loads(file["documents"].tobytes())
            runs = np.asarray(file["runs"], np.uint64)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise LampbenchError(
            f"{path}: is no sketch of a pre-training text ({type(error).__name__}); make it again"
        ) from None
    if made != [RUN, ONE_IN]:
        raise LampbenchError(
            f"{path}: holds one in {made[-1]} runs of {made[0]} words, not one in {ONE_IN} of "
            f"{RUN}; make it again"
        )
    return Sketch(frozenset(names), runs)

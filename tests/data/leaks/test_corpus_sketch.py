"""The sketch of a pre-training text."""

import contextlib
import os
import random
from pathlib import Path

import numpy as np
import pytest

from lampbench.data.leaks.corpus_sketch import (
    CorpusSketch,
    hashes_in_sketch,
    load_sketch,
    make_sketch,
    save_sketch,
)
from lampbench.data.leaks.ngrams import ngram_hashes
from lampbench.util.errors import LampbenchError


def made_text(seed: object, count: int) -> str:
    chance = random.Random(str(seed))
    return " ".join(f"w{chance.randrange(10**6)}" for _ in range(count))


def saved(documents: list[tuple[str, list[str]]], path: Path) -> CorpusSketch:
    save_sketch(make_sketch(documents), path)
    return load_sketch(path)


def test_a_planted_abstract_is_found_and_a_free_one_is_not(tmp_path: Path) -> None:
    documents = [(f"d{n}", [made_text(n, 200), made_text(-n, 8)]) for n in range(1, 200)]
    sketch = saved(documents, tmp_path / "s.npz")
    assert sketch.documents == {name for name, _ in documents}
    assert 0.8 < len(sketch.ngrams) / (199 * 189 / 16) < 1.2
    planted = ngram_hashes([" ".join(made_text(7, 200).split()[20:165])])
    expected = planted[planted % np.uint64(16) == 0]
    assert len(expected)
    assert hashes_in_sketch(sketch, planted).tolist() == expected.tolist()
    assert not len(hashes_in_sketch(sketch, ngram_hashes([made_text("free", 5000)])))


def test_the_same_text_makes_the_same_file(tmp_path: Path) -> None:
    documents = [("b", [made_text(1, 300)]), ("a", [made_text(2, 300), "ünïcode"])]
    saved(documents, tmp_path / "one.npz")
    saved(documents[::-1], tmp_path / "two.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


def test_an_empty_sketch_finds_nothing(tmp_path: Path) -> None:
    sketch = saved([], tmp_path / "s.npz")
    assert not len(hashes_in_sketch(sketch, ngram_hashes([made_text(1, 300)])))


def test_what_is_not_a_sketch(tmp_path: Path) -> None:
    path = tmp_path / "s.npz"
    refused = r"s\.np[yz]: is not a sketch .*make it again with scripts/pretrain\.py"
    with pytest.raises(LampbenchError, match=refused):
        load_sketch(path)
    for content in (b"", b"PK\x03\x04 broken", b"text"):
        path.write_bytes(content)
        with pytest.raises(LampbenchError, match=refused):
            load_sketch(path)
    np.savez(path, runs=np.zeros(1))
    with pytest.raises(LampbenchError, match=refused):
        load_sketch(path)
    np.save(tmp_path / "s.npy", np.zeros(1))
    with pytest.raises(LampbenchError, match=refused):
        load_sketch(tmp_path / "s.npy")
    os.mkfifo(tmp_path / "pipe.npz")
    with pytest.raises(LampbenchError, match="is not a sketch"):
        load_sketch(tmp_path / "pipe.npz")
    save_sketch(make_sketch([("a", ["word " * 99])]), path)
    sound = bytearray(path.read_bytes())
    for place in range(30, len(sound), 7):  # found by the fuzzer: zlib's own errors
        path.write_bytes(sound[:place] + bytes([sound[place] ^ 255]) + sound[place + 1 :])
        with contextlib.suppress(LampbenchError):
            load_sketch(path)
    hashes, names = np.zeros(1, np.uint64), np.frombuffer(b"[]", np.uint8)
    np.savez(path, runs=hashes, documents=names, words_one_in=np.array([8, 4]))
    with pytest.raises(LampbenchError, match="keeps other n-grams than one 13-gram in 16; make"):
        load_sketch(path)

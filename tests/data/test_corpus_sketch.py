"""Word runs, and the sketch of a pre-training text."""

import random

import numpy as np
import pytest

from lampbench.data import corpus_sketch
from lampbench.data.word_runs import first_run, run_hashes, word_runs
from lampbench.util.errors import LampbenchError

LONG = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"


def text(seed, count):
    chance = random.Random(seed)
    return " ".join(f"w{chance.randrange(10**6)}" for _ in range(count))


def test_runs_ignore_case_and_punctuation():
    assert word_runs(LONG) == word_runs(LONG.upper().replace(" ", ", "))
    assert len(word_runs(LONG)) == 2


def test_a_short_text_is_one_run_and_a_tiny_one_none():
    assert word_runs("A title of five words!") == {"a title of five words"}
    assert word_runs("Understanding your customer") == set()


def test_hashes_are_the_same_on_every_machine():
    hashes = run_hashes([LONG, LONG, "Understanding your customer"])
    assert hashes.tolist() == sorted(hashes.tolist()) and len(hashes) == 2
    assert run_hashes(["A title of five words!"]).tolist() == [15765494159325698603]
    assert first_run(["A title of five words!"], hashes) == ""
    assert first_run(["x", LONG], hashes[:1]) in word_runs(LONG)


def test_a_planted_abstract_is_found_and_a_free_one_is_not(tmp_path):
    documents = [(f"d{seed}", [text(seed, 200), text(-seed, 8)]) for seed in range(1, 200)]
    corpus_sketch.save(corpus_sketch.make(documents), tmp_path / "s.npz")
    held = corpus_sketch.load(tmp_path / "s.npz")
    assert held.documents == {name for name, _ in documents}
    assert 0.8 < len(held.runs) / (199 * 189 / 16) < 1.2
    planted = run_hashes([" ".join(text(7, 200).split()[20:165])])
    expected = planted[planted % np.uint64(16) == 0]
    assert len(expected)
    assert corpus_sketch.found(held, planted).tolist() == expected.tolist()
    assert not len(corpus_sketch.found(held, run_hashes([text("free", 5000)])))


def test_the_same_text_makes_the_same_file(tmp_path):
    documents = [("b", [text(1, 300)]), ("a", [text(2, 300), "ünïcode"])]
    corpus_sketch.save(corpus_sketch.make(documents), tmp_path / "one.npz")
    corpus_sketch.save(corpus_sketch.make(documents[::-1]), tmp_path / "two.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


def test_an_empty_sketch_holds_nothing(tmp_path):
    corpus_sketch.save(corpus_sketch.make([]), tmp_path / "s.npz")
    assert not len(corpus_sketch.found(corpus_sketch.load(tmp_path / "s.npz"), run_hashes([LONG])))


def test_what_is_no_sketch(tmp_path):
    path = tmp_path / "s.npz"
    with pytest.raises(LampbenchError, match="is no sketch"):
        corpus_sketch.load(path)
    for content in (b"", b"PK\x03\x04 broken", b"text"):
        path.write_bytes(content)
        with pytest.raises(LampbenchError, match="is no sketch"):
            corpus_sketch.load(path)
    np.savez(path, runs=np.zeros(1))
    with pytest.raises(LampbenchError, match="is no sketch"):
        corpus_sketch.load(path)
    np.save(tmp_path / "s.npy", np.zeros(1))
    with pytest.raises(LampbenchError, match="is no sketch"):
        corpus_sketch.load(tmp_path / "s.npy")
    runs, names = np.zeros(1, np.uint64), np.frombuffer(b"[]", np.uint8)
    np.savez(path, runs=runs, documents=names, words_one_in=np.array([8, 4]))
    with pytest.raises(LampbenchError, match="one in 4 runs of 8 words, not one in 16 of 13"):
        corpus_sketch.load(path)

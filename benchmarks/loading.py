"""Seconds and memory to load LaMP files of some size, with and without user ids.

    python benchmarks/loading.py --megabytes 363

The files are made for this benchmark: many users, several questions each, every question with the
whole profile of its user, as LaMP publishes them. Each measurement is made in a process of its own,
so that its highest memory is its own. `--compare FOLDER` measures another checkout too, in turn.
"""

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
_PROFILE, _QUESTIONS = 200, 4
"""Records per user, and questions that carry them."""


def write_files(folder: Path, megabytes: float, *, named: bool) -> dict[str, int]:
    """LaMP_4 files of a size; returns the numbers of users, questions and distinct records."""
    chance = random.Random(0)
    words = [f"word{number}" for number in range(5000)]
    golds, users, size = [], 0, 0
    with (folder / "train_questions.json").open("w", encoding="utf-8") as stream:
        while size < megabytes * 1e6:
            profile = [_record(chance, words, f"{users}-{n}") for n in range(_PROFILE)]
            for number in range(_QUESTIONS):
                text = " ".join(chance.choices(words, k=40))
                question = {
                    "id": f"{users}{number}",
                    "input": f"Generate a headline for the following article: {text}",
                    "profile": profile,
                    **({"user_id": f"user {users}"} if named else {}),
                }
                golds.append({"id": question["id"], "output": " ".join(chance.choices(words, k=9))})
                size += stream.write(("," if size else "[") + json.dumps(question))
            users += 1
        stream.write("]")
    outputs = {"task": "LaMP_4", "golds": golds}
    (folder / "train_outputs.json").write_text(json.dumps(outputs), encoding="utf-8")
    return {"users": users, "questions": len(golds), "records": users * _PROFILE}


def _record(chance: random.Random, words: list[str], name: str) -> dict[str, str]:
    return {
        "id": name,
        "text": " ".join(chance.choices(words, k=30)),
        "title": " ".join(chance.choices(words, k=9)),
        "date": "2014-01-01",
    }


def load(folder: Path) -> dict[str, float]:
    """Seconds to load the files, and the bytes that this took beyond what was in use before."""
    from lampbench.data import DataOptions, load_dataset
    from lampbench.registry import Registry

    task = Registry().task("news_headline")
    load_dataset(task, "bundled", DataOptions())  # imports what is imported once
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    dataset = load_dataset(task, f"lamp:{folder}", DataOptions(users=10))
    seconds = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert len(dataset.test_users) == 10
    return {"seconds": seconds, "bytes": peak * 1024}


def measured(root: Path, folder: Path) -> dict[str, float]:
    """`load` of a checkout, in a process of its own."""
    command = [sys.executable, str(Path(__file__).resolve()), "--load", str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=363)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--compare", type=Path, help="another checkout")
    parser.add_argument("--load", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.load:
        print(json.dumps(load(given.load)))
        return
    roots = {"this": ROOT, **({"other": given.compare.resolve()} if given.compare else {})}
    found: dict[str, Any] = {}
    for named in (True, False):
        with tempfile.TemporaryDirectory() as name:
            small, large = Path(name) / "small", Path(name) / "large"
            for place in (small, large):
                place.mkdir()
            few = write_files(small, given.megabytes / 8, named=named)
            many = write_files(large, given.megabytes, named=named)
            for label in roots:
                found[f"{'with' if named else 'without'} user ids, {label}"] = {
                    "seconds": [],
                    "bytes per record": [],
                    **many,
                }
            for _ in range(given.rounds):
                for label, root in roots.items():
                    row = found[f"{'with' if named else 'without'} user ids, {label}"]
                    less, more = measured(root, small), measured(root, large)
                    row["seconds"].append(round(more["seconds"], 2))
                    growth = (more["bytes"] - less["bytes"]) / (many["records"] - few["records"])
                    row["bytes per record"].append(round(growth, 1))
    for row in found.values():
        for name in ("seconds", "bytes per record"):
            row[name] = statistics.median(row[name])
    print(json.dumps({"megabytes": given.megabytes, **found}, indent=1))


if __name__ == "__main__":
    main()

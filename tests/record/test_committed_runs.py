"""The committed runs can be read as docs/guide.md says, and stay small."""

import gzip
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lampbench.record.runs import load_runs

LARGEST_RUN = 150_000  # bytes of a run's folder
LARGEST_CHECKOUT = 56 * 2**20  # bytes of all tracked files


def test_a_run_becomes_a_frame_by_the_documented_line(root: Path) -> None:
    pandas = pytest.importorskip("pandas")

    def frame(file: Path) -> Any:
        with gzip.open(file) as stream:
            return pandas.DataFrame(json.load(stream))

    (run, *_), _ = load_runs(root / "results")
    scores = frame(run.path / "scores.json.gz")
    assert scores.rouge1.mean() == pytest.approx(run.manifest.mean("rouge1"), abs=1e-12)
    assert list(scores.columns[:2]) == ["user", "query"]
    predictions = frame(run.path / "predictions.json.gz")
    queries = run.path.parents[2] / run.manifest.dataset.queries_file.name
    asked = frame(queries)
    both = predictions.merge(asked, on=["user", "query"], validate="one_to_one")
    expected = [(row.prediction, row.reference) for row in run.predictions]
    assert list(zip(both.prediction, both.reference, strict=True)) == expected


def test_the_checkout_stays_small(root: Path) -> None:
    for folder in ("results", "tuning"):
        for run in load_runs(root / folder)[0]:
            size = sum(file.stat().st_size for file in run.path.iterdir())
            assert size <= LARGEST_RUN, f"{run.path} holds {size} bytes"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True)
    files = [root / name for name in listed.stdout.decode().split("\0") if name]
    total = sum(file.stat().st_size for file in files if file.is_file())
    assert total <= LARGEST_CHECKOUT

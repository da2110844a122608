"""A submission of a committed run."""

from pathlib import Path

import pytest

from lampbench.record.recorded_run import Run
from lampbench.record.runs import load_runs
from tests.shared.recorded_fixtures import Call

COMMITTED = "news_headline/bundled/base"


@pytest.fixture(scope="module")
def base(root: Path) -> Run:
    """A committed run, on bundled data and without a trained stage."""
    runs, _ = load_runs(root / "results")
    return next(run for run in runs if f"/{COMMITTED}/" in run.path.as_posix())


@pytest.fixture
def folder(base: Run, call: Call, tmp_path: Path) -> Path:
    """A submission of it."""
    code, out, err = call(
        "submit", base.path.absolute(), "--name", "Group X", "--url", "https://example.org/x",
        "--output", "sent", "--results", "none",
    )  # fmt: skip
    assert (code, err) == (0, ""), err
    assert out.startswith("sent: 1 run written")
    return tmp_path / "sent"

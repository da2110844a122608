"""The comparison of plans with runs: a study is calibrated, planned and run."""

import subprocess
import sys
import time

from benchmarks.plan_accuracy import KINDS, StudyKind, compared, processor_seconds


def test_a_study_is_planned_and_run(on_fake_engine, tmp_path):
    clock = time.monotonic
    row = compared(
        StudyKind("oppu_cd", "news_headline", 2, {"decoding.alpha": (0.1, 0.3)}),
        "bundled-small", tmp_path,
    )  # fmt: skip
    assert time.monotonic is clock, "the clock of the processor is for the calibration only"
    assert row["runs"] == 2 and row["ratio"] > 0
    assert [stage for _, stage, _ in row["stages"]].count("predict") == 2
    assert len(list((tmp_path / "results").rglob("manifest.json"))) == 2


def test_seconds_are_those_of_children_too():
    before = processor_seconds()
    code = "import time\nwhile time.process_time() < 0.5: pass"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert processor_seconds() - before >= 0.5


def test_eight_kinds_are_compared():
    assert len(set(map(str, KINDS))) == 8
    assert any(kind.grid for kind in KINDS) and any(kind.workers > 1 for kind in KINDS)

"""Runs as pandas frames and as tables in a notebook."""

from lampbench.record.frames import html, query_frame, run_frame


def test_one_row_per_query(record):
    run = record("base")
    frame = query_frame(run)
    assert list(frame.columns[:4]) == ["user", "query", "prediction", "reference"]
    assert list(frame["user"]) == ["a", "a", "b"]
    assert list(frame["rouge1"]) == [row["rouge1"] for row in run.scores]


def test_one_row_per_run(record):
    runs = [record("base"), record("tam", seed=1, overrides={"decoding.alpha": 0.5})]
    frame = run_frame(runs)
    assert list(frame["method"]) == ["base", "tam"] and list(frame["seed"]) == [0, 1]
    assert list(frame["overrides"]) == ["", "decoding.alpha=0.5"]
    assert list(frame["rouge1"]) == [run.manifest.mean("rouge1") for run in runs]


def test_texts_are_escaped_and_no_runs_are_said(record):
    shown = html([record("<script>alert(1)</script>")])
    assert "<script>" not in shown and "&lt;script&gt;" in shown
    assert html([]) == "<p>no runs</p>"

"""Scoring in several processes: the same scores, and no process that is left behind."""

import os
import signal
from dataclasses import replace
from types import SimpleNamespace

import pytest

from lampbench.scoring import iter_scores, score_predictions
from lampbench.scoring import score_in_processes as module
from lampbench.scoring.score import score_rows
from lampbench.util.machine import usable_cores
from tests.metrics.scored_texts import python, row, texts


@pytest.fixture
def elsewhere(monkeypatch):
    """Everything after the first prediction is scored by two other processes."""
    monkeypatch.setattr(module, "_TRIAL", 0.0)
    monkeypatch.setattr(module, "_STARTING", -1.0)
    monkeypatch.setattr(module, "usable_cores", lambda: 2)


def test_other_processes_give_the_same_scores_in_the_same_order(elsewhere, monkeypatch):
    rows = [row(*texts(n), user=f"u{n}", truncated=n % 3 == 0) for n in range(300)]
    expected = list(iter_scores(rows))
    real, started = module._elsewhere, []

    def noted(rows, n, *rest):
        started.append((len(rows), n))
        return real(rows, n, *rest)

    monkeypatch.setattr(module, "_elsewhere", noted)
    seen: list[int] = []
    assert list(score_predictions(rows, seen.append)) == expected
    assert seen == list(range(1, 301))
    assert started == [(299, 2)]


def test_an_error_elsewhere_is_the_same_error(elsewhere):
    with pytest.raises(ValueError, match="private run has no texts"):
        private = replace(
            row("a", "x"), prediction=None, prediction_sha256="0", prediction_length=1
        )
        score_predictions([row("a", "b"), private])


def test_few_predictions_start_no_process(monkeypatch):
    """That the first score loads the libraries is no sign of slow scores."""
    now = 1.0

    def timed(*arguments):
        nonlocal now
        for seconds, scores in zip([100.0] + [0.001] * 199, score_rows(*arguments), strict=True):
            now += seconds
            yield scores

    monkeypatch.setattr(module, "score_rows", timed)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(module, "_elsewhere", None)
    assert len(score_predictions([row("a b", "b a")] * 200)) == 200


LONG = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
from lampbench.scoring import PredictionRow, score_in_processes as module
module._TRIAL, module._STARTING = 0.0, -1.0
module.usable_cores = lambda: 2
text = "the cat sat on the mat " * 50
row = PredictionRow("u", "q", text, text, truncated=False)
try:
    module.score_predictions([row] * 200_000, lambda n: print(n, flush=True))
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.parametrize("scored", [1, 200])
def test_ctrl_c_ends_all_processes_quietly(scored):
    """As a terminal does it: every process of the group gets the signal."""
    running = python(LONG)
    _until(running, scored)
    os.killpg(running.pid, signal.SIGINT)
    _, err = running.communicate(timeout=900)
    assert (running.returncode, err) == (130, "")


def test_no_process_outlives_a_killed_run():
    running = python(LONG)
    _until(running, 200)
    running.kill()
    running.communicate(timeout=900)  # ends when nobody holds the other end any more


def _until(running, scored):
    while int(running.stdout.readline()) < scored:
        pass


def test_cores_are_those_this_process_may_use(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 5}, raising=False)
    assert usable_cores() == 2
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores() == 1

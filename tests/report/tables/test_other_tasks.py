"""Tasks outside the paper: a table of their own, by their own metrics; the main tables stay."""

import math
from typing import Any

import numpy as np
import pytest

from lampbench.report.pooled import pooled_interval
from lampbench.scoring import METRICS, PredictionRow, Scoring, score_predictions
from tests.shared.recorded import record_rows

SETUP = "bundled, preset small, data bundled"
SCALE = ("1", "2", "3", "4", "5")
TAGS = ("sci-fi", "comedy", "classic")
OWN = {"ratings": ("mae", "rmse", "unparsed"), "tags": ("accuracy", "macro_f1", "unparsed")}


@pytest.fixture
def judged(tmp_path):
    """Record a run of a task with choices: answers of `users` users, `queries` each."""

    def record(method, kind, answer, *, users=12, queries=4, seed=0, key=None, title="Other"):
        choices = SCALE if kind == "ratings" else TAGS
        rng = np.random.default_rng(users)
        rows = []
        for user in range(users):
            for query in range(queries):
                place = int(rng.integers(len(choices)))
                text = answer(choices, place, user, query)
                rows.append(
                    PredictionRow(f"u{user}", f"q{query}", text, choices[place], truncated=False)
                )
        scoring = Scoring((*METRICS, *OWN[kind]), choices=choices)
        described = scoring.describe()
        return record_rows(
            tmp_path / "results", rows, score_predictions(rows, None, scoring),
            key=key or f"{method}-{kind}-{seed}", method=method, task=kind, seed=seed,
            task_title=title,
            scoring={"signatures": {}, "missing": {}, "versions": {},
                     "pooled": list(described.pooled)},
        )  # fmt: skip

    return record


def right(choices, place, user, query):
    return choices[place]


def near(choices, place, user, query):
    return choices[max(0, place - 1)] if (user + query) % 2 else choices[place]


def far(choices, place, user, query):
    return choices[-1 - place] if place != len(choices) // 2 else choices[0]


def mute(choices, place, user, query):
    return "no answer"


def test_the_lowest_error_is_the_best(judged, read, cells):
    judged("cope", "ratings", right)
    judged("oppu", "ratings", near)
    judged("tam", "ratings", far)
    table = cells(read("other-tasks"), SETUP, "Other", marks=True)
    assert table["CoPe"]["MAE"].startswith("**0.000**")
    assert "**" not in table["TAM"]["MAE"] + table["OPPU"]["MAE"]
    assert "MAE, RMSE, Unparsed: lower is better." in read("other-tasks")


def test_the_highest_accuracy_is_the_best(judged, read, cells):
    judged("cope", "tags", right)
    judged("oppu", "tags", far)
    table = cells(read("other-tasks"), SETUP, "Other", marks=True)
    assert table["CoPe"]["Accuracy"].startswith("**1.000**")
    assert "**" not in table["OPPU"]["Accuracy"]
    assert table["CoPe"]["F1 (macro)"].startswith("1.000 [")


def test_what_is_no_mean_has_an_interval_and_no_mark(judged, read, cells):
    judged("cope", "ratings", near)
    judged("oppu", "ratings", far)
    for row in cells(read("other-tasks"), SETUP, "Other", marks=True).values():
        assert "[" in row["RMSE"]
        assert "*" not in row["RMSE"] and "≈" not in row["RMSE"]
    assert "RMSE: no mean over queries" in read("other-tasks")


def test_unparsed_answers_are_said(judged, read, cells):
    judged("cope", "tags", mute)
    table = cells(read("other-tasks"), SETUP, "Other")
    assert table["CoPe"]["Unparsed"] == "1.000"
    assert table["CoPe"]["Accuracy"].startswith("0.000")


def test_no_word_overlap_for_labels(judged, read):
    judged("cope", "tags", right)
    assert "ROUGE" not in read("other-tasks")


def test_the_main_tables_are_about_the_papers_tasks(judged, record, read):
    record("cope", good=3)
    before = {name: read(name) for name in ("main", "gains", "power", "further-methods")}
    for method in ("cope", "oppu", "tam", "mine"):
        judged(method, "tags", right)
        judged(method, "ratings", right)
    for name, text in before.items():
        assert read(name) == text, name


def test_they_are_on_the_page_where_nothing_else_is(judged, read):
    judged("cope", "tags", right)
    page = read("leaderboard")
    assert "No run of the paper's methods is recorded." in page
    assert "F1 (macro)" in page


class TestIntervals:
    def test_the_root_of_an_interval_of_squares(self, judged):
        """A root keeps the order: the interval is the root of that of the mean squared error."""
        run = judged("cope", "ratings", near, users=20)
        found = pooled_interval("rmse", [run])
        assert found is not None
        squares = np.asarray(run.scores.columns["rmse"], float).reshape(20, 4).mean(axis=1)
        drawn = np.random.default_rng(0).integers(20, size=(20_000, 20))
        spread = np.sqrt(squares[drawn].mean(axis=1))
        assert found.mean == pytest.approx(run.manifest.scores["rmse"].queries)
        assert found.low < np.quantile(spread, 0.025) < found.mean
        assert found.mean < np.quantile(spread, 0.975) < found.high
        assert found.high - found.low < 1.5 * (
            np.quantile(spread, 0.975) - np.quantile(spread, 0.025)
        )

    def test_seeds_are_averaged(self, judged):
        runs = [
            judged("cope", "tags", answer, seed=seed) for seed, answer in enumerate((near, far))
        ]
        numbers = [run.manifest.scores["macro_f1"].queries for run in runs]
        found = pooled_interval("macro_f1", runs)
        assert found is not None
        assert found.mean == pytest.approx(sum(numbers) / 2)

    def test_one_user_and_one_query(self, judged):
        one = judged("cope", "ratings", near, users=1, queries=6)
        found = pooled_interval("rmse", [one])
        assert found is not None
        assert math.isfinite(found.low) and found.low < found.high
        alone = judged("oppu", "ratings", near, users=1, queries=1)
        assert pooled_interval("rmse", [alone]) is None

    def test_a_metric_that_is_not_here_has_none(self, judged):
        run = judged("cope", "ratings", near)
        assert pooled_interval("nobodys", [run]) is None

    @pytest.mark.parametrize("users", [8, 30])
    def test_it_covers_the_truth(self, users, monkeypatch):
        """Of samples of users, about 9 in 10 have an interval that holds the population's number.

        Squared errors are skewed, so that it is less than 95 of 100 for few users.
        """
        from lampbench.report import pooled

        monkeypatch.setattr(pooled, "RESAMPLES", 200)

        class Fake:
            def __init__(self, values):
                places = [(f"u{u:02}", f"q{q}") for u in range(users) for q in range(4)]
                flat = tuple(float(v) for v in values.ravel())
                self._found = dict(zip(places, flat, strict=True))

            def query_scores(self, metric):
                return self._found

        rng = np.random.default_rng(users)
        truth, held, trials = math.sqrt(2.0), 0, 200
        for _ in range(trials):
            own = rng.normal(0, 1, (users, 1))
            errors = (own + rng.normal(0, 1, (users, 4))) ** 2
            made: Any = Fake(errors)
            found = pooled_interval("rmse", [made])
            assert found is not None
            held += found.low <= truth <= found.high
        assert 0.84 * trials <= held <= 0.99 * trials, held

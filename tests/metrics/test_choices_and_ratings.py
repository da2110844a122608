"""Metrics of tasks with a fixed set of answers, against naive code that follows LaMP's."""

import math
import random
from dataclasses import replace
from pathlib import Path

import pytest

from lampbench.record.recorded_run import Run
from lampbench.record.rescore import HistorySource, rescore
from lampbench.record.run_files import check_scores
from lampbench.record.runs import load_runs
from lampbench.registry import Registry
from lampbench.scoring import (
    PredictionRow,
    Scoring,
    ScoringDescription,
    aggregate,
    score_predictions,
)
from lampbench.util.errors import LampbenchError

TAGS = ("sci-fi", "classic", "comedy", "dark comedy", "violence")
SCALE = ("1", "2", "3", "4", "5")
LABELS = ("accuracy", "macro_f1", "unparsed", "reference_words")
RATINGS = ("mae", "rmse", "unparsed", "reference_words")


def scored(pairs, metrics, choices):
    """The run's numbers for (answer, reference) pairs of two users in turn."""
    rows = [
        PredictionRow(f"u{n % 2}", str(n), answer, wanted, truncated=False)
        for n, (answer, wanted) in enumerate(pairs)
    ]
    scoring = Scoring(metrics, choices=choices)
    return aggregate(score_predictions(rows, None, scoring), scoring.describe().pooled)


def naive_macro_f1(pairs, choices) -> float:
    """F1 of every label as sets of places, averaged; a label that nobody names has 0."""
    found = []
    for label in choices:
        said = {n for n, (answer, _) in enumerate(pairs) if answer == label}
        wanted = {n for n, (_, reference) in enumerate(pairs) if reference == label}
        both = len(said) + len(wanted)
        found.append(2 * len(said & wanted) / both if both else 0.0)
    return sum(found) / len(found)


def naive_rating(answer: str, reference: str) -> float:
    """As LaMP's `create_mapping`, but for numbers beyond the scale."""
    wanted = float(reference)
    try:
        said = float(answer)
    except ValueError:
        said = math.nan
    if not 1 <= said <= 5:
        said = 1.0 if abs(1 - wanted) > abs(5 - wanted) else 5.0
    return said - wanted


@pytest.mark.parametrize("seed", range(5))
def test_labels_are_scored_as_in_lamp(seed) -> None:
    draw = random.Random(seed)
    answers = [*TAGS[:4], "horror", ""]
    pairs = [(draw.choice(answers), draw.choice(TAGS[:3])) for _ in range(40)]
    found = scored(pairs, LABELS, TAGS)
    assert found["accuracy"].queries == sum(a == b for a, b in pairs) / len(pairs)
    assert found["macro_f1"].queries == pytest.approx(naive_macro_f1(pairs, TAGS), abs=1e-12)
    assert found["unparsed"].queries == sum(a not in TAGS for a, _ in pairs) / len(pairs)


@pytest.mark.parametrize("seed", range(5))
def test_ratings_are_scored_as_in_lamp(seed) -> None:
    draw = random.Random(seed)
    answers = [*SCALE, "4.5", "six", "7", "nan", "-1", "inf"]
    pairs = [(draw.choice(answers), draw.choice(SCALE)) for _ in range(40)]
    errors = [naive_rating(*pair) for pair in pairs]
    found = scored(pairs, RATINGS, SCALE)
    assert found["mae"].queries == pytest.approx(sum(map(abs, errors)) / len(errors))
    assert found["rmse"].queries == pytest.approx(
        math.sqrt(sum(error * error for error in errors) / len(errors))
    )
    wrong = [answer for answer, _ in pairs if answer in ("six", "7", "nan", "-1", "inf")]
    assert found["unparsed"].queries == len(wrong) / len(pairs)


def test_what_is_no_mean_has_no_mean_over_users() -> None:
    pairs = [("1", "1"), ("5", "1"), ("2", "2")]
    assert scored(pairs, RATINGS, SCALE)["rmse"].users is None
    assert scored([("classic", "comedy")], LABELS, TAGS)["macro_f1"].users is None
    assert scored(pairs, RATINGS, SCALE)["mae"].users == 2.0  # u0: 0, u1: 4


def test_the_number_is_that_of_all_answers_not_a_mean_of_parts() -> None:
    pairs = [("1", "1"), ("5", "1")]
    assert scored(pairs, RATINGS, SCALE)["rmse"].queries == pytest.approx(math.sqrt(8))
    assert scored(pairs, RATINGS, SCALE)["mae"].queries == 2.0


def test_white_space_aside_an_answer_is_written_as_the_task_writes_it() -> None:
    found = scored([(" classic\n", "classic"), ("Classic", "classic")], LABELS, TAGS)
    assert found["accuracy"].queries == 0.5
    assert found["unparsed"].queries == 0.5


def test_without_choices_they_are_null() -> None:
    found = scored([("1", "1")], (*LABELS, "mae", "rmse"), ())
    assert {name for name, means in found.items() if means.queries is None} == {
        "macro_f1", "unparsed", "mae", "rmse",
    }  # fmt: skip


def test_withheld_references_leave_only_what_needs_none() -> None:
    found = scored([("classic", None), ("other", None)], LABELS, TAGS)
    assert found["accuracy"].queries is None
    assert found["macro_f1"].queries is None
    assert found["unparsed"].queries == 0.5


def test_other_runs_are_not_scored_by_them() -> None:
    assert not {"accuracy", "macro_f1", "mae", "rmse", "unparsed"} & set(Scoring().metrics)


@pytest.fixture
def recorded(tmp_path: Path, on_fake_engine, monkeypatch):
    """A run of the recording engine on LaMP-3's format."""
    import lampbench
    from tests.shared.further_tasks import write_published

    monkeypatch.chdir(tmp_path)
    folder = write_published(tmp_path / "data", "product_rating")
    return lampbench.run("rag", "product_rating", data=f"lamp:{folder}")


def pooled(run: Run) -> tuple[str, ...]:
    assert run.manifest.scoring is not None
    return run.manifest.scoring.pooled


class TestRuns:
    def test_a_run_has_its_tasks_metrics(self, recorded, tmp_path) -> None:
        (run,), problems = load_runs(tmp_path / "results")
        assert not problems
        scores = run.manifest.scores
        assert scores["unparsed"].queries == 1.0
        assert pooled(run) == ("rmse",)
        errors = [naive_rating("none", row.reference or "") for row in run.predictions]
        assert scores["mae"].queries == pytest.approx(sum(map(abs, errors)) / len(errors))
        squares = [error * error for error in errors]
        assert scores["rmse"].queries == pytest.approx(math.sqrt(sum(squares) / len(squares)))

    def test_scoring_again_changes_nothing(self, recorded, tmp_path) -> None:
        (run,), _ = load_runs(tmp_path / "results")
        done = rescore(run, Scoring(), HistorySource(Registry()))
        assert not done.written
        assert not done.changed
        assert {"mae", "rmse"} & done.missing.keys() == set()

    def test_a_run_without_them_gets_them(self, recorded, tmp_path) -> None:
        from dataclasses import replace

        from lampbench.record.write import write_run

        (run,), _ = load_runs(tmp_path / "results")
        columns = {n: c for n, c in run.scores.columns.items() if n not in ("mae", "rmse")}
        assert run.manifest.scoring is not None
        older = replace(run.manifest.scoring, pooled=())
        write_run(
            tmp_path / "results", replace(run.manifest, scoring=older), run.predictions,
            replace(run.scores, columns=columns), replace=True,
        )  # fmt: skip
        (bare,), _ = load_runs(tmp_path / "results")
        assert "rmse" not in bare.manifest.scores
        rescore(bare, Scoring(), HistorySource(Registry()))
        (again,), problems = load_runs(tmp_path / "results")
        assert not problems
        assert again.manifest.scores == run.manifest.scores
        assert pooled(again) == ("rmse",)

    def test_a_forged_number_is_found(self, recorded, tmp_path) -> None:
        from lampbench.record.run_files import read_scores
        from lampbench.scoring import Means

        (run,), _ = load_runs(tmp_path / "results")
        forged = replace(run.manifest, scores={**run.manifest.scores, "rmse": Means(0.1, None)})
        read_scores(run.path, run.manifest)
        with pytest.raises(ValueError, match="not the means"):
            read_scores(run.path, forged)


MIDRANGE = '''
from lampbench.plugin import Metric, register_metric


@register_metric("midrange")
class Midrange(Metric):
    """Half of the sum of the shortest and the longest answer, in characters."""

    title = "Midrange"
    high = None

    def score(self, answer):
        return len(answer.text)

    def summary(self, values, weights):
        drawn = [value for value, weight in zip(values, weights) if weight]
        return (min(drawn) + max(drawn)) / 2
'''


def test_a_plugins_summary_is_kept_and_read_without_the_plugin(tmp_path, recorded) -> None:
    plugin = tmp_path / "midrange.py"
    plugin.write_text(MIDRANGE)
    (run,), _ = load_runs(tmp_path / "results")
    rescore(run, Scoring(("midrange",), (plugin,)), HistorySource(Registry((plugin,))))
    (again,), problems = load_runs(tmp_path / "results")
    assert not problems
    lengths = [len((row.prediction or "").strip()) for row in run.predictions]
    assert again.manifest.scores["midrange"].queries == (min(lengths) + max(lengths)) / 2
    assert again.manifest.scores["midrange"].users is None
    assert set(pooled(again)) == {"rmse", "midrange"}


@pytest.mark.parametrize("value", ["1e200", "10**400", "float('nan')", "'high'", "None"])
def test_a_summary_that_is_no_number_leaves_the_run_as_it_was(tmp_path, recorded, value) -> None:
    plugin = tmp_path / "midrange.py"
    plugin.write_text(MIDRANGE.replace("(min(drawn) + max(drawn)) / 2", value))
    (run,), _ = load_runs(tmp_path / "results")
    with pytest.raises(LampbenchError, match=r"midrange gave .* fix its summary\(\)"):
        rescore(run, Scoring(("midrange",), (plugin,)), HistorySource(Registry((plugin,))))
    (again,), problems = load_runs(tmp_path / "results")
    assert not problems and again.manifest == run.manifest


def test_a_score_that_could_not_be_read_again_leaves_the_run_as_it_was(tmp_path, recorded) -> None:
    plugin = tmp_path / "midrange.py"
    plugin.write_text(MIDRANGE.replace("len(answer.text)", "1e200"))
    (run,), _ = load_runs(tmp_path / "results")
    with pytest.raises(LampbenchError, match=r"midrange gave 1e\+200 for query"):
        rescore(run, Scoring(("midrange",), (plugin,)), HistorySource(Registry((plugin,))))
    (again,), problems = load_runs(tmp_path / "results")
    assert not problems and again.scores == run.scores


def test_what_is_no_code_of_a_choice_needs_no_memory() -> None:
    """As in the file of a damaged run: such a number says how many choices there are."""
    with pytest.raises(ValueError, match="no code of a reference"):
        Registry().metric("macro_f1").summary([2e6 + 1001, 1e18], [0.5, 0.5])


def test_scores_of_which_no_number_can_be_made_are_those_of_a_damaged_run(record) -> None:
    """So that tables leave the run out and name it."""
    run = record("cope")
    described = ScoringDescription({}, {}, {}, ("macro_f1",))
    columns = {**run.scores.columns, "macro_f1": [0.5] * len(run.scores)}
    with pytest.raises(ValueError, match="a value of macro_f1 is no code"):
        check_scores(replace(run.scores, columns=columns), replace(run.manifest, scoring=described))


def test_more_choices_than_a_code_tells_apart_are_refused():
    choices = tuple(str(number) for number in range(1000))
    assert scored([("998", "998")], LABELS, choices[:999])["macro_f1"].queries == 1 / 999
    with pytest.raises(LampbenchError, match="macro_f1 tells at most 999 choices apart"):
        scored([("998", "998")], LABELS, choices)

"""No interval holds numbers that a metric, or a difference of two, cannot be."""

import json
import math
import re

import pytest

from lampbench.plugin.metric import Metric
from lampbench.report import metric_range
from lampbench.report.metric_range import (
    difference_of_at_most,
    score_difference,
    score_interval,
    within_scores,
)
from lampbench.report.statistics import Interval, interval, paired

TWO_USERS = {("ann", "1"): 0.9, ("ann", "2"): 0.8, ("bob", "1"): 0.2}
OTHERS = {("ann", "1"): 0.1, ("ann", "2"): 0.4, ("bob", "1"): 0.3}
ENDS = re.compile(r"\[([+-]?\d+\.\d+), ([+-]?\d+\.\d+)\]")


def test_an_interval_ends_where_the_metric_does():
    wide, found = interval(TWO_USERS), score_interval("rougeL", TWO_USERS)
    assert wide.low < 0 and wide.high > 1, "or nothing is tested"
    assert found == Interval(wide.mean, 0.0, 1.0)
    words = score_interval("words", TWO_USERS)
    assert words == Interval(wide.mean, 0.0, wide.high), "a metric without an upper end"
    assert score_interval("of a plugin that is not here", TWO_USERS) == wide


def test_a_difference_is_at_most_as_large_as_the_range():
    wide = paired(TWO_USERS, OTHERS)
    assert wide.difference.low < -1 and wide.difference.high > 1, "or nothing is tested"
    found = score_difference("rougeL", TWO_USERS, OTHERS)
    assert found.difference == Interval(wide.difference.mean, -1.0, 1.0)
    assert (found.bootstrap, found.exchange) == (wide.bootstrap, wide.exchange)
    assert found.difference.excludes_zero == wide.difference.excludes_zero
    assert score_difference("words", TWO_USERS, OTHERS) == wide
    assert difference_of_at_most(math.inf, TWO_USERS, OTHERS) == wide


def test_bertscore_has_its_own_range():
    wide = interval(TWO_USERS)
    found = score_interval("bertscore", TWO_USERS)
    assert (found.low, found.high) == (max(wide.low, -1.0), 1.0)


def test_what_was_scored_with_another_range_keeps_its_interval():
    percent = Interval(45.0, -20.0, 110.0)
    assert within_scores("rougeL", percent) == percent
    open_ends = Interval(0.5, math.nan, math.nan)
    assert not within_scores("rougeL", open_ends).bounded


class Root(Metric):
    title = "root"
    high = 2.0

    def summary(self, values, weights):
        return super().summary(values, weights) ** 0.5


def test_a_metric_that_is_no_mean_has_the_range_of_its_summary(monkeypatch):
    class Known(Root):
        summary_range = (0.0, None)

    wide = Interval(0.5, -1.0, 3.0)
    monkeypatch.setattr(metric_range, "find_metric", lambda name: Root())
    assert within_scores("root", wide) == wide, "the range of its scores says nothing"
    monkeypatch.setattr(metric_range, "find_metric", lambda name: Known())
    assert within_scores("root", wide) == Interval(0.5, 0.0, 3.0)


@pytest.mark.parametrize(("metric", "ends"), [("macro_f1", (0.0, 1.0)), ("rmse", (0.0, 3.0))])
def test_built_in_metrics_that_are_no_means(metric, ends):
    assert within_scores(metric, Interval(0.5, -1.0, 3.0)) == Interval(0.5, *ends)


def test_no_table_and_no_comparison_shows_more(scored, call, tmp_path):
    mine, theirs = ({"ann": [0.9, 0.8], "bob": [0.2]}, {"ann": [0.1, 0.4], "bob": [0.3]})
    for seed in (0, 1):
        scored("cope", mine, seed=seed, key=f"c{seed}", rouge_l=1.0)
        scored("oppu", theirs, seed=seed, key=f"o{seed}", rouge_l=1.0 - 0.2 * seed)
    assert call("leaderboard")[0] == 0
    texts = [file.read_text("utf-8") for file in sorted(tmp_path.rglob("*.md"))]
    shown = [tuple(map(float, ends)) for text in texts for ends in ENDS.findall(text)]
    assert len(shown) > 10 and (0.0, 1.0) in shown
    # points of 0.01 or scores, and their differences
    assert all(-100 <= low <= high <= 100 for low, high in shown)
    assert all(-1 <= low <= high <= 1 or min(low, -high) == -100 for low, high in shown), shown
    compared = json.loads(call("compare", "c0", "o0", "--format", "json")[1])
    found = [one["paired"]["difference"] for one in compared["differences"]]
    found.append(compared["seeds"]["interval"])
    assert len(found) == 3
    assert all(-1 <= one["low"] <= one["high"] <= 1 for one in found), found

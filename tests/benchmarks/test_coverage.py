"""The simulation of intervals and tests: a small run, and what docs/statistics.md says of it."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.stats import binomtest, bootstrap

from benchmarks import coverage, coverage_page, interval_kinds
from benchmarks.interval_kinds import Drawn, Sample
from benchmarks.results_file import RESULTS
from lampbench.report.statistics import interval, paired

RECORDED = json.loads((RESULTS / "coverage.json").read_text(encoding="utf-8"))
PAGE = coverage_page.PAGE.read_text(encoding="utf-8")
FAIR = [
    (name, found)
    for name, found in RECORDED["results"].items()
    if "size_exchange" in found and "tenth" not in name
]
"""The worlds in which users scatter alike on both sides."""


def gaps(users, number=0):
    return coverage.experiment(np.random.default_rng(number), coverage.WORLDS[2], users)


def test_a_small_simulation_writes_its_shares(tmp_path):
    options = ["--experiments", "60", "--users", "8", "--output", str(tmp_path)]
    done = CliRunner().invoke(coverage.main, options)
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "coverage.json").read_text())["results"]
    assert list(found) == [
        *(f"8 users, {world.name}" for world in coverage.WORLDS),
        *(f"8 users, 3 seeds, seed sd {sd}" for sd in (0.0, 0.005, 0.02)),
    ]
    inside = round(0.6 * found["8 users, large user variance"]["covers"])
    assert binomtest(inside, 60, 0.93, alternative="less").pvalue > 0.01
    assert all(0 <= share <= 100 for world in found.values() for share in world.values())


@pytest.mark.parametrize("users", [12, 32])
def test_the_second_implementation_agrees_with_lampbenchs(users):
    drawn = Drawn.of(users)
    for number in range(5):
        scores = gaps(users, number)
        ours = paired(scores, dict.fromkeys(scores, 0.0))
        sample = Sample.of(scores)
        ends = interval_kinds.expanded(sample, drawn)
        tolerance = 0.1 * ours.difference.half_width  # other draws
        assert ends == pytest.approx((ours.difference.low, ours.difference.high), abs=tolerance)
        assert interval_kinds.exchange(sample, drawn) == pytest.approx(ours.exchange, abs=0.02)


def test_plain_percentiles_and_bca_are_scipys():
    scores = gaps(20)
    sample, drawn = Sample.of(scores), Drawn.of(20)
    for name, ends in (("percentile", interval_kinds.percentile), ("BCa", interval_kinds.bca)):
        peer = bootstrap(
            (sample.sums, sample.sizes),
            lambda sums, sizes, axis=-1: sums.sum(axis=axis) / sizes.sum(axis=axis),
            paired=True,
            n_resamples=9_999,
            method=name,
            rng=np.random.default_rng(0),
        ).confidence_interval
        tolerance = 0.05 * (peer.high - peer.low)
        assert ends(sample, drawn) == pytest.approx((peer.low, peer.high), abs=tolerance)


@pytest.mark.parametrize("users", [6, 9, 32])
def test_the_inverted_exchange_test_ends_where_the_test_rejects(users):
    sample, drawn = Sample.of(gaps(users)), Drawn.of(users)
    for end in interval_kinds.inverted_exchange(sample, drawn):
        for shift, rejected in ((0.999, False), (1.001, True)):
            to = sample.mean + shift * (end - sample.mean)
            sums = sample.sums - to * sample.sizes
            at = Sample(sample.sizes, sums, sample.mean - to, sample.left)
            assert (interval_kinds.exchange(at, drawn) <= 0.05) == rejected


def test_queries_drawn_again_make_the_interval_wider():
    """By the old recipe: the spread within users counts twice where users are alike."""
    rng = np.random.default_rng(0)
    scores = coverage.experiment(rng, coverage.WORLDS[0], 32)
    low, high = interval_kinds.two_step(scores, rng)
    found = interval(scores)
    assert high - low > 1.2 * (found.high - found.low)


def test_the_page_has_the_recorded_tables():
    assert coverage_page.with_block(PAGE, coverage_page.block(RECORDED)) == PAGE, (
        "run `python -m benchmarks.coverage_page`"
    )


def test_a_page_without_a_place_for_them_is_refused():
    with pytest.raises(ValueError, match="no lines"):
        coverage_page.with_block("# Page", "tables")


def span(name, users=("6", "32", "100")):
    found = [world[name] for title, world in FAIR if title.split()[0] in users]
    return f"{min(found)}% to {max(found)}%"


def test_the_pages_sentences_are_the_recorded_numbers():
    said = " ".join(PAGE.split())
    assert f"holds the truth in {span('covers')} of experiments" in said
    assert f"finds something in {span('size_exchange', ('32', '100'))} of experiments" in said
    assert f"with 6 users in {span('size_exchange', ('6',))}" in said
    assert f"disagree** in {span('disagree', ('100',))} of experiments with 100 users" in said
    assert f"in {span('disagree', ('32',))} with 32" in said
    assert f"in {span('disagree', ('6',))} with 6 users" in said
    again = [f["covers_two_step"] for n, f in FAIR if "large" not in n]
    assert f"drawn again it was {min(again)}% to {max(again)}% for users who differ little" in said
    tenth = [f for n, f in RECORDED["results"].items() if "tenth" in n]
    sizes = [f"{round(found['size_exchange'])}%" for found in tenth]
    assert f"errs in {', '.join(sizes[:2])} and {sizes[2]} of experiments" in said
    warned = [round(found["warned"]) for found in tenth]
    assert f"With 32 users {warned[1]}% of the false findings" in said
    assert f"with 100 users {warned[2]}%" in said


def test_coverage_is_near_95_percent_where_users_scatter_alike():
    """Of the recorded runs, which need minutes: the promise of docs/statistics.md."""
    assert len(FAIR) == 9
    assert all(92.5 <= found["covers"] <= 96.5 for _, found in FAIR)
    assert all(found["size_exchange"] <= 6 for _, found in FAIR)
    seeds = [f for n, f in RECORDED["results"].items() if "seed sd" in n]
    assert all(94 <= found["covers_for_users_and_seeds"] <= 97 for found in seeds)

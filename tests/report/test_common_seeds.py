"""The one rule on which seeds are compared, and that tables follow it."""

import pytest

from lampbench.report.cell_scores import score_cell
from lampbench.report.common_seeds import common_seeds, gaps_by_seed, on_common_seeds
from lampbench.report.draws import draws
from lampbench.report.setups import column_of, setup_of
from lampbench.util.errors import LampbenchError

STEADY = {"adaptation": None, "decoding": {"part": "greedy"}}
"""Parts of a method that draws nothing."""


@pytest.fixture
def group(scored):
    """A function that gives runs of one method, one for each seed."""

    def make(method, *seeds, steady=False, shift=0.0):
        parts = {"method_parts": STEADY} if steady else {}
        return [
            scored(method, {f"u{i}": [0.5 + shift + 0.01 * (i + seed)] for i in range(8)},
                   seed=seed, stages=[{"stage": "predict", "key": f"{method}{seed}"}], **parts)
            for seed in seeds
        ]  # fmt: skip

    return make


def seeds_of(groups):
    return [[run.manifest.seed for run in runs] for runs in on_common_seeds(groups)]


@pytest.mark.parametrize(
    ("seeds", "common", "kept"),
    [
        (((0, 1, 2), (1, 2, 3)), [1, 2], [[1, 2], [1, 2]]),
        (((0, 1), (1, 2), (1,)), [1], [[1], [1], [1]]),
        (((0, 1), (2, 3)), [], [[0, 1], [2, 3]]),
    ],
)
def test_groups_that_draw_are_compared_on_the_seeds_that_all_have(group, seeds, common, kept):
    groups = [group(f"m{place}", *each) for place, each in enumerate(seeds)]
    assert common_seeds(groups) == common
    assert seeds_of(groups) == kept


def test_a_group_that_draws_nothing_has_the_seeds_of_the_others(group):
    groups = [group("steady", 0, steady=True), group("one", 1, 2), group("two", 2, 3)]
    assert common_seeds(groups) == [2]
    assert seeds_of(groups) == [[0], [2], [2]]


def test_one_seed_stands_for_all_where_nothing_is_drawn(group):
    groups = [group("one", 3, 5, steady=True), group("two", 0, steady=True)]
    assert common_seeds(groups) == [3]
    assert seeds_of(groups) == [[3, 5], [0]]


@pytest.mark.parametrize("engine", ["openai", "vllm", "mine"])
def test_answers_of_a_server_may_differ_however_they_are_asked_for(scored, engine):
    known = {"method_parts": STEADY, "stages": [{"stage": "predict", "key": "k"}]}
    assert not draws(scored("here", {"u": [0.5]}, **known))
    assert not draws(scored("alone", {"u": [0.5]}, model_details={"engine": "reference"}, **known))
    assert draws(scored("served", {"u": [0.5]}, model_details={"engine": engine}, **known))


def test_values_that_draw_keep_their_seeds_beside_one_that_does_not(scored, read, cells):
    """What contrastive decoding contrasts with is trained, and drawn, or the model as it is."""
    for method, part, seeds in (("cope", {"part": "own_weights"}, (0,)),
                                ("mine", {"part": "task_sft"}, (0, 1, 2))):  # fmt: skip
        decoding = {"part": "contrastive", "against": part}
        for seed in seeds:
            scored(method, {f"u{i}": [0.2 + 0.1 * seed] for i in range(8)}, seed=seed,
                   method_parts={"prompting": {"part": "plain"}, "adaptation": None,
                                 "decoding": decoding},
                   stages=[{"stage": "predict", "key": f"{method}{seed}"}])  # fmt: skip
    table = cells(read("sensitivity"), "News Headline, CoPe: base model")
    assert {name: (row["ROUGE-1"], row["Seeds"]) for name, row in table.items()} == {
        "own_weights (default)": ("0.200", "1"),
        "task_sft": ("0.300", "3"),
    }


def test_a_gain_without_a_common_seed_says_so(group, read, cells):
    group("cope", 0, 1, shift=0.1)
    group("oppu", 2, 3)
    page = read("gains")
    row = cells(page, "CoPe over OPPU")["News Headline"]
    assert (row["Seeds"], row["By seed"], row["Points"]) == ("none common", "n/a", "+4.00")
    assert "means over each method's own seeds" in page and "Seeds 1:" not in page
    assert "no seed in common" in read("leaderboard") and "one seed" not in read("leaderboard")


def test_more_runs_of_a_method_that_draws_nothing_tell_nothing_of_seeds(group, read):
    def row():
        return next(line for line in read("variance").splitlines() if "| TAM " in line)

    group("tam", 0, steady=True)
    alone = row()
    group("tam", 1, 2, steady=True)
    assert row() == alone and "n/a" in alone


@pytest.mark.parametrize("more", ["ours", "theirs"])
def test_differences_by_seed_are_of_the_same_queries(scored, more):
    """Queries that only one of two methods has a score of are not left out in silence."""
    few = {f"u{i}": [0.5] for i in range(8)}
    runs = [
        scored(name, {**few, "other": [0.1]} if name == more else few)
        for name in ("ours", "theirs")
    ]
    cells = [score_cell(setup_of(run), column_of(run), [run])[0] for run in runs]
    with pytest.raises(LampbenchError, match="scores of different queries cannot be compared"):
        gaps_by_seed(*cells)

"""Runs that differ from the defaults in one value."""

import pytest

CONTRASTIVE = {"part": "contrastive", "against": {"part": "task_sft"}}
CHOICES = {"prompting": {"part": "plain"}, "adaptation": None, "decoding": CONTRASTIVE}


def parts(alpha=0.3, beta=3.0, tau=0.1):
    values = {"decoding.alpha": alpha, "user_dpo.beta": beta, "decoding.tau": tau}
    return {path: {"value": value, "source": "somewhere"} for path, value in values.items()}


def one_value():
    """What sets a run apart that changes one value."""
    return {"hyperparameters": parts(alpha=1.0), "overrides": {"decoding.alpha": 1.0}}


@pytest.fixture
def swept(scored):
    """A function that records CoPe with the settings given, on scores all equal to `score`."""

    def make(score, *, override=None, **settings):
        scores = {f"u{i}": [score, score + 0.001 * i] for i in range(8)}
        changes = {"hyperparameters": parts(**settings), "key": f"k{score}"}
        return scored("cope", scores, overrides=override or {}, **changes)

    return make


def test_values_stand_in_order_with_the_default_marked(swept, read, cells):
    swept(0.5)
    swept(0.4, alpha=1.0, override={"decoding.alpha": 1.0})
    swept(0.6, alpha=0.05, override={"decoding.alpha": 0.05})
    text = read("sensitivity")
    table = cells(text, "News Headline, CoPe: decoding.alpha", marks=True)
    assert list(table) == ["0.05", "0.3 (default)", "1.0"]
    assert [row["ROUGE-1"][:9] for row in table.values()] == ["**0.602**", "0.502 [0.", "0.402 [0."]
    assert "No run is recorded" in read("excluded-runs")
    assert "0.602" not in read("main")


def test_each_setting_has_a_table_of_its_own(swept, read, cells):
    swept(0.5)
    swept(0.4, beta=0.1, override={"user_dpo.beta": 0.1})
    swept(0.2, beta=10.0, override={"user_dpo.beta": 10.0})
    swept(0.3, tau=0.0, override={"decoding.tau": 0.0})
    assert list(cells(read("sensitivity"), "News Headline, CoPe: user_dpo.beta")) == [
        "0.1", "3.0 (default)", "10.0"
    ]  # fmt: skip
    assert list(cells(read("sensitivity"), "News Headline, CoPe: decoding.tau")) == [
        "0.0",
        "0.1 (default)",
    ]


def test_without_a_default_run_none_is_marked(swept, read, cells):
    swept(0.4, alpha=1.0, override={"decoding.alpha": 1.0})
    assert list(cells(read("sensitivity"), "News Headline, CoPe: decoding.alpha")) == ["1.0"]
    assert "No run with the default is recorded" in read("sensitivity")


def test_synthetic_data_are_marked_without_a_default_run_too(scored, read):
    scored("mine", {"a": [0.5]}, **one_value(),
           dataset={"synthetic": True}, method_title="Mine", model="m2")  # fmt: skip
    section = read("sensitivity")
    assert "## m2, preset small, data bundled" in section
    assert "### News Headline †, Mine: decoding.alpha" in section
    assert "† Synthetic data" in section


@pytest.mark.parametrize(
    ("settings", "override", "said"),
    [
        ({"alpha": 1.0, "tau": 0.0}, {"decoding.alpha": 1.0, "decoding.tau": 0.0}, "tau=0.0"),
        ({"alpha": 1.0, "beta": 9.0}, {"decoding.alpha": 1.0}, "user_dpo.beta 9.0 (now 3.0)"),
        ({"alpha": 0.3}, {"decoding.alpha": 0.3}, "decoding.alpha=0.3"),
        ({}, {"user_sft.rank": 4}, "user_sft.rank=4"),
    ],
)
def test_what_differs_in_more_or_in_nothing_is_no_sweep(
    swept, read, cells, settings, override, said
):
    swept(0.5)
    swept(0.4, override=override, **settings)
    text = read("sensitivity")
    assert "No run is recorded" in text
    assert (
        said
        in cells(read("excluded-runs"), "Runs in no other table")["News Headline"]["What differs"]
    )


def test_users_set_aside_are_no_sweep(scored, read):
    scored("cope", {"a": [0.5]}, **one_value(),
           failed_users={"b": "user_sft: nan"}, dataset={"test_users": 2})  # fmt: skip
    assert "No run is recorded" in read("sensitivity")


def test_runs_of_another_version_are_no_sweep(scored, read, cells):
    scored("cope", {"a": [0.5]}, **one_value(), key="o",
           versions={"lampbench": "0.0.1"}, created="2020-01-01T00:00:00+00:00")  # fmt: skip
    scored("cope", {"a": [0.5]}, hyperparameters=parts(), versions={"lampbench": "0.1.0"})
    text = read("sensitivity")
    assert "No run is recorded" in text
    assert (
        "0.0.1"
        in cells(read("excluded-runs"), "Runs in no other table")["News Headline"]["What differs"]
    )


def test_base_models_are_methods_that_differ_in_the_contrast_alone(scored, read, cells):
    against = {"cope": {"part": "task_sft"}, "mine": None,
               "theirs": {"part": "user_sft", "start": {"part": "task_sft"}}}  # fmt: skip
    for place, (method, part) in enumerate(against.items()):
        decoding = {"part": "contrastive", **({"against": part} if part else {})}
        scored(
            method, {"a": [0.1 * place], "b": [0.5]}, method_parts={**CHOICES, "decoding": decoding}
        )
    scored(
        "rag", {"a": [0.1], "b": [0.5]}, method_parts={**CHOICES, "decoding": {"part": "greedy"}}
    )
    other = {**CHOICES, "prompting": {"part": "retrieval_augmented"}}
    scored("other", {"a": [0.1], "b": [0.5]}, method_parts=other)
    table = cells(read("sensitivity"), "News Headline, CoPe: base model")
    assert list(table) == [
        "task_sft (default)", "user_sft(start=task_sft)", "none (the untouched model)"
    ]  # fmt: skip
    assert [row["ROUGE-1"] for row in table.values()] == ["0.250", "0.350", "0.300"]
    alone = {"prompting": {"part": "plain"}, "decoding": {"part": "greedy"}}
    for method, title, adaptation in [
        ("tam", "TAM", {"part": "task_sft"}),
        ("oppu", "OPPU", {"part": "user_sft", "start": {"part": "task_sft"}}),
        ("twin", "OPPU", {"part": "user_dpo"}),
    ]:
        scored(method, {"a": [0.2], "b": [0.5]}, method_title=title,
               method_parts={**alone, "adaptation": adaptation})  # fmt: skip
    table = cells(read("sensitivity"), "News Headline, CoPe: base model")
    assert list(table) == ["TAM (default)", "OPPU", "none (the untouched model)"]
    assert [row["ROUGE-1"] for row in table.values()] == ["0.250", "0.350", "0.300"]


def test_values_are_compared_on_the_seeds_that_all_have(scored, read, cells):
    def make(score, seed, alpha=0.3, override=None):
        scored("cope", {f"u{i}": [score] for i in range(8)}, seed=seed, key=f"k{score}",
               hyperparameters=parts(alpha=alpha), overrides=override or {})  # fmt: skip

    make(0.5, 0)
    make(0.9, 1)
    make(0.4, 0, alpha=1.0, override={"decoding.alpha": 1.0})
    table = cells(read("sensitivity"), "News Headline, CoPe: decoding.alpha")
    assert table["0.3 (default)"]["ROUGE-1"].startswith("0.500")
    assert {row["Seeds"] for row in table.values()} == {"1"}

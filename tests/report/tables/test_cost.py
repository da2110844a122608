"""What methods cost, from the stages of their manifests."""

import pytest


def stage(name, seconds, trained=0, read=0, written=0):
    return {"stage": name, "key": name, "units": 1, "cached": 0, "seconds": seconds,
            "prompt_tokens": read, "new_tokens": written, "trained_tokens": trained,
            "prompts_shortened": 0}  # fmt: skip


@pytest.fixture
def recorded(scored):
    def record(method, seed, stages):
        scored(method, {"a": [0.4, 0.3], "b": [0.4]}, seed=seed, stages=stages)

    return record


def test_stages_are_added_up_and_averaged_over_seeds(recorded, read, cells):
    recorded("base", 0, [stage("predict", 5, read=300, written=40)])
    for seed, more in ((0, 0), (1, 100)):
        recorded("oppu", seed, [
            stage("task_sft", 20, trained=1000),
            stage("user_sft", 10 + more, trained=500 + more, read=7),
            stage("predict", 4, read=300, written=30),
        ])  # fmt: skip
    table = cells(read("cost"), "News Headline")
    header = ["Method", "Tokens trained on", "Tokens read", "Tokens written",
              "Seconds, made before", "Seconds, answers"]  # fmt: skip
    assert list(table["OPPU"].items()) == list(
        zip(header, ["OPPU", "1550", "307", "30", "80", "4"], strict=True)
    )
    assert [table["Base"][name] for name in header[1:]] == ["0", "300", "40", "0", "5"]


def test_a_run_that_says_nothing_of_its_cost_has_no_number(recorded, read, cells):
    recorded("base", 0, [])
    assert set(cells(read("cost"), "News Headline")["Base"].values()) == {"Base", "n/a"}

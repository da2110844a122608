"""`examples` and `overview` show given runs, and say which runs they do not show and why."""

import json

import pytest

SCORES = {"ann": [0.1, 0.5], "bob": [0.2, 0.3]}


@pytest.fixture
def runs(scored):
    base = scored("base", SCORES, key="aaaa1111base")
    default = scored("cope", SCORES, key="bbbb2222cope")
    swept = scored(
        "cope", {"ann": [0.3, 0.4], "bob": [0.2, 0.1]}, key="cccc3333swept",
        overrides={"decoding.alpha": 0.9}, hyperparameters={"decoding.alpha": {"value": 0.9}},
    )  # fmt: skip
    few = scored("oppu", {"ann": [0.3, 0.4]}, key="dddd4444few",
                 dataset={"fingerprint": "other", "query_fingerprint": "other"})  # fmt: skip
    return base, default, swept, few


@pytest.mark.parametrize("command", ["examples", "overview"])
def test_runs_that_are_recorded_but_not_shown_are_named(runs, call, command):
    code, _, err = call(command, "--task", "news_headline", "--method", "base", "--method", "oppu")
    assert code == 2 and len(err.splitlines()) == 1
    assert "has no run of oppu with default settings on data of news_headline" in err
    assert "recorded but not shown: dddd4444 (oppu: on other data or users: model bundled" in err
    assert "1 users" in err and "--run KEY" in err


def test_only_runs_with_other_settings(scored, call):
    for key, alpha in (("cccc3333", 0.9), ("eeee5555", 0.8)):
        scored("cope", SCORES, key=key, overrides={"decoding.alpha": alpha, "decoding.tau": 0.2})
    for command in ("examples", "overview"):
        code, _, err = call(command, "--task", "news_headline", "--method", "cope",
                            "--method", "base")  # fmt: skip
        assert code == 2
        assert "cccc3333 (cope: decoding.alpha=0.9, decoding.tau=0.2)" in err
        assert "eeee5555 (cope: decoding.alpha=0.8" in err


@pytest.mark.parametrize("command", ["examples", "overview"])
def test_given_runs_are_shown_side_by_side(runs, call, command):
    swept = runs[2]
    code, out, err = call(command, "--run", "aaaa", "--run", "cccc")
    assert (code, err) == (0, "")
    assert "CoPe cccc3333 (decoding.alpha=0.9)" in out and "base to" in out and "cope to" in out
    code, out, _ = call(command, "--run", "bbbb", "--run", swept.path, "--format", "json")
    assert code == 0
    assert "cope bbbb2222" in out and "cope cccc3333" in out
    assert json.loads(out)["task"] == "news_headline"


def test_given_runs_of_other_data_are_shown_apart(runs, call):
    code, out, _ = call("examples", "--run", "aaaa", "--run", "dddd")
    assert code == 0 and out.count("## News Headline") == 2
    code, _, err = call("overview", "--run", "aaaa", "--run", "dddd")
    assert code == 2 and "no data, model and preset in common" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name a task with --task, or runs with --run"),
        (("--run", "zzzz", "--run", "yyyy"), "neither"),
    ],
)
@pytest.mark.parametrize("command", ["examples", "overview"])
def test_bad_input_is_one_line(runs, call, command, arguments, said):
    code, _, err = call(command, *arguments)
    assert code == 2 and len(err.splitlines()) == 1
    assert said in err

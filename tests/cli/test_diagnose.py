"""`lampbench diagnose`: the numbers of a diagnosis as text and as JSON."""

import json
import math

import pytest

from lampbench.report.statistics import paired
from lampbench.study import diagnose as study
from lampbench.study.chosen_tokens import Changes, Choosing
from lampbench.study.swapped_adapters import Swap


@pytest.fixture
def diagnosed(call, monkeypatch):
    gain = paired({("a", "1"): 0.5, ("b", "1"): 0.25}, {("a", "1"): 0.0, ("b", "1"): 0.5})
    alone = paired({("a", "1"): 0.5}, {("a", "1"): 0.0})
    found = study.Diagnosis(
        (study.Likelihood("model", 3.25, None), study.Likelihood("task_sft", 3.0, gain)),
        (Swap("user_sft", 3.0, 2.5, 2.75, gain),),
        (study.Preferring("user_dpo", "test queries", 1.5, 0.75, 8),),
        (Choosing("user's model alone", 0.25, None), Choosing("contrast", 0.5, alone)),
        Changes(100, 10, 4, 5),
    )
    monkeypatch.setattr(study, "diagnose_plan", lambda plan: found)
    return lambda *arguments: call(
        "diagnose", "--method", "cope", "--task", "news_headline", "--users", "2", *arguments
    )


def test_text_names_units_and_tests(diagnosed):
    code, out, err = diagnosed()
    assert (code, err) == (0, "")
    assert "cope on news_headline, bundled, seed 0" in out
    text = " ".join(out.split())
    assert "stage nats per token gain over stage before p users better / worse" in text
    assert "at 10 of 100 positions: 4 were correct before, 5 are correct after." in text
    assert "adapter of without own another's own over another's p users better / worse" in text
    assert "user_sft 3.000 2.500 2.750 +0.125 [" in text
    assert "+0.125" in text and "1 / 1" in text
    assert "contrast 0.500 +0.500 1.0000 1 / 0" in text  # one query: no interval


def test_json_has_null_where_one_query_leaves_an_interval_open(diagnosed):
    code, out, err = diagnosed("--format", "json")
    assert (code, err) == (0, "")
    (found,) = json.loads(out, parse_constant=pytest.fail)["diagnoses"]
    assert (found["method"], found["task"], found["seed"]) == ("cope", "news_headline", 0)
    assert found["likelihoods"][1]["gain"]["difference"]["mean"] == 0.125
    (swap,) = found["swaps"]
    assert (swap["stage"], swap["own"], swap["another"]) == ("user_sft", 2.5, 2.75)
    assert (swap["without"], swap["gain"]["better"], swap["gain"]["worse"]) == (3.0, 1, 1)
    assert found["choices"][1]["gain"]["difference"]["low"] is None
    assert found["changes"] == {"tokens": 100, "changed": 10, "before": 4, "after": 5}
    assert math.isclose(found["preferences"][0]["right"], 0.75)

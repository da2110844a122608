"""The smallest difference that a task's queries can tell, in the tables of the data."""

import json

import pytest

from lampbench.report.statistics import paired

OURS = {"a": [0.5, 0.7], "b": [0.6], "c": [0.1]}
THEIRS = {"a": [0.3, 0.4], "b": [0.2], "c": [0.2]}


def flat(scores):
    return {(u, f"q{i}"): value for u, values in scores.items() for i, value in enumerate(values)}


def entry(call):
    return json.loads(call("table", "power", "--format", "json")[1])[0]


def test_cope_over_oppu_where_both_have_run(scored, call, cells, read):
    scored("cope", OURS)
    scored("oppu", THEIRS)
    scored("base", THEIRS)
    scored("mine", OURS)
    found = paired(flat(OURS), flat(THEIRS))
    assert found.detectable is not None
    row = cells(call("table", "power")[1], "Smallest differences")["News Headline"]
    assert (row["Pair"], row["Test users"], row["Queries"]) == ("CoPe over OPPU", "3", "4")
    assert row["ROUGE-1 detectable"] == f"{found.detectable:.4f}"
    assert row["ROUGE-1 half width"] == f"{found.difference.half_width:.4f}"
    assert row["ROUGE-L detectable"] == f"{found.detectable / 2:.4f}"
    assert cells(read("power"), "Smallest differences") == {"News Headline": row}
    one = entry(call)
    assert (one["power_method"], one["power_baseline"]) == ("cope", "oppu")
    assert one["detectable_rouge1"] == pytest.approx(found.detectable)
    assert one["half_width_rougeL"] == pytest.approx(found.difference.half_width / 2)


def test_whichever_pair_is_there(scored, call):
    scored("tam", OURS)
    scored("mine", THEIRS)
    scored("base", THEIRS)
    one = entry(call)
    assert (one["power_method"], one["power_baseline"]) == ("tam", "base")


def test_a_method_alone_tells_nothing(scored, call, cells):
    scored("cope", OURS)
    row = cells(call("table", "power")[1], "Smallest differences")["News Headline"]
    assert (row["Pair"], row["ROUGE-L detectable"]) == ("n/a", "n/a")
    one = entry(call)
    assert (one["power_method"], one["detectable_rougeL"]) == (None, None)


def test_one_query_leaves_it_open(scored, call):
    scored("cope", {"a": [0.5]})
    scored("oppu", {"a": [0.4]})
    one = entry(call)
    assert (one["power_method"], one["detectable_rougeL"]) == ("cope", None)

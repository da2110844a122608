"""`lampbench compare`."""

import json
import shutil
import subprocess
import sys

import pytest

from lampbench.report.statistics import paired

OURS = {"ann": [0.5, 0.9], "bob": [0.4], "cem": [0.3]}
THEIRS = {"ann": [0.5, 0.1], "bob": [0.5], "cem": [0.3]}


@pytest.fixture
def two(scored):
    stages = [{"stage": "user_sft", "key": "s1"}, {"stage": "predict", "key": "p"}]
    ours = scored("cope", OURS, key="aa11", stages=stages, versions={"torch": "2.1"},
                  dataset={"statistics": {"train": 3}, "source": "lamp:/elsewhere"},
                  hyperparameters={"decoding.alpha": {"value": 0.3, "source": "x"}})  # fmt: skip
    stages = [{"stage": "user_sft", "key": "s2"}, {"stage": "predict", "key": "q"}]
    theirs = scored("oppu", THEIRS, key="ab22", stages=stages, versions={"torch": "2.2"},
                    hyperparameters={"decoding.alpha": {"value": 0.5, "source": "y"}})  # fmt: skip
    return ours, theirs


def flat(scores):
    return {(u, f"q{i}"): value for u, values in scores.items() for i, value in enumerate(values)}


def test_differences_are_paired(two, call):
    code, out, _ = call("compare", "aa", "ab", "--format", "json", "--metric", "rouge1")
    assert code == 0
    found = json.loads(out)
    one, other = found["differences"]
    assert (one["metric"], other["metric"]) == ("rouge1", "rougeL")
    expected = paired(flat(OURS), flat(THEIRS))
    assert one["paired"]["difference"]["mean"] == pytest.approx(0.7 / 4)
    assert one["paired"]["difference"]["low"] == expected.difference.low
    ends = one["paired"]["difference"]
    assert ends["half_width"] == (ends["high"] - ends["low"]) / 2
    assert one["paired"]["detectable"] == expected.detectable > ends["half_width"]
    assert one["paired"]["exchange"] == expected.exchange
    assert one["holm"] == min(1, 2 * expected.exchange)
    assert [one["paired"][name] for name in ("better", "equal", "worse")] == [1, 1, 1]
    assert [(c["user"], c["queries"]) for c in found["users"]] == [("ann", 2), ("bob", 1)]
    assert [(c["user"], c["query"]) for c in found["queries"]] == [("ann", "q1"), ("bob", "q0")]
    assert found["users"][0]["ours"] == pytest.approx(0.7)
    turned = json.loads(call("compare", "ab", "aa", "--format", "json")[1])
    assert [(c["user"], c["query"]) for c in turned["queries"]] == [("ann", "q1"), ("bob", "q0")]


def test_what_differs_is_what_may_explain(two, call):
    found = json.loads(call("compare", "aa", "ab", "--format", "json")[1])
    assert [(c["path"], c["ours"], c["theirs"]) for c in found["causes"]] == [
        ("method", "cope", "oppu"),
        ("hyperparameters.decoding.alpha", "0.3", "0.5"),
        ("stages.user_sft", "s1", "s2"),
        ("versions.torch", "2.1", "2.2"),
    ]


def test_as_text(two, call):
    _, out, _ = call("compare", two[0].path, "ab22", "--metric", "rouge1", "--most", "1")
    assert "A: cope news_headline bundled, seed 0, aa11" in out
    assert "+0.175" in out and "+50.00%" in out
    assert "cope to 1" in out and "oppu to 1" in out
    assert f"{paired(flat(OURS), flat(THEIRS)).detectable:.3f}" in out.splitlines()[5]
    assert "bob" not in out
    assert "SYNTHETIC" not in out


def test_hostile_texts_stay_on_their_line(scored, call):
    for method in ("a\x1b[2J", "b\ud83d"):
        scored(
            method, {"u\n": [len(method) / 10]}, key=f"k{len(method)}", dataset={"synthetic": True}
        )
    code, out, err = call("compare", "k2", "k5")
    assert (code, err) == (0, "")
    assert "\x1b" not in out
    assert "SYNTHETIC" in out


def test_one_query_leaves_open_what_it_detects(scored, call):
    for key, score in (("k1", 0.5), ("k2", 0.25)):
        scored("cope", {"ann": [score]}, key=key)
    one = json.loads(call("compare", "k1", "k2", "--format", "json")[1])["differences"][0]
    assert one["paired"]["difference"]["half_width"] is None
    assert one["paired"]["detectable"] is None
    assert "n/a" in call("compare", "k1", "k2")[1].splitlines()[5]


def test_equal_scores(scored, call):
    scored("cope", OURS, key="k1")
    scored("oppu", OURS, key="k2")
    code, out, _ = call("compare", "k1", "k2")
    assert code == 0
    assert "changed most" not in out


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"task": "topic_writing"}, "different tasks, news_headline and topic_writing"),
        ({"dataset": {"query_fingerprint": "z"}}, "different data (query fingerprints)"),
        ({"dataset": {"fingerprint": "z"}}, "data (fingerprints), news_headline-data and z"),
        ({"scores": {"ann": [0.5, 0.1], "cem": [0.3]}, "failed_users": {"bob": "nan"},
          "dataset": {"test_users": 3}},
         "different queries: 1 only in the first, 0 only in the second (failed users: bob)"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_refused(scored, call, changes, said):
    scored("cope", OURS, key="aa")
    scored("oppu", changes.pop("scores", THEIRS), key="bb", **changes)
    code, out, err = call("compare", "aa", "bb")
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert said in err


def test_runs_that_cannot_be_found(two, call, tmp_path):
    for name, said in (
        ("zz", "neither a run's folder nor the beginning of a key"),
        ("a", "the beginning of the keys of 2 runs: results/news_headline/bundled/cope/aa11, "),
        ("", "is empty; give a value"),
        ("aa11", "both names refer to this run"),
    ):
        code, _, err = call("compare", name, "aa")
        assert code == 2 and said in err and len(err.splitlines()) == 1
    (two[1].path / "predictions.json.gz").write_text("edited")
    for name in ("ab", two[1].path):
        code, _, err = call("compare", "aa", name)
        assert code == 2 and "predictions.json.gz was changed" in err
    shutil.copytree(two[0].path, tmp_path / "moved")
    code, _, err = call("compare", tmp_path / "moved", "aa")
    assert code == 2 and "cannot be moved" in err


def test_a_metric_that_was_not_computed(two, call):
    code, _, err = call("compare", "aa", "ab", "--metric", "meteor")
    assert code == 2 and "has no meteor: choose rouge1 or rougeL" in err


def shifted(shift):
    return {user: [value + shift for value in row] for user, row in THEIRS.items()}


def test_other_seeds_of_both_runs_are_compared_too(scored, call):
    """ROUGE-L is half of each shift."""
    for seed, shift in enumerate((0.08, 0.1, 0.12)):
        scored("cope", shifted(shift), seed=seed, key=f"c{seed}")
        scored("oppu", THEIRS, seed=seed, key=f"o{seed}")
    scored("cope", shifted(0.3), seed=3, key="c3")  # the other has no such seed
    scored("cope", shifted(0.4), seed=4, key="c4", overrides={"decoding.alpha": 0.5})
    scored("oppu", THEIRS, seed=4, key="o4")
    for method in ("cope", "oppu"):  # recorded after a user had been removed from the others
        scored(method, {**THEIRS, "more": [0.2]}, seed=5, key=f"{method[0]}5")
    found = json.loads(call("compare", "c1", "o1", "--format", "json")[1])
    assert found["seeds"]["spread"]["seeds"] == [0, 1, 2]
    assert found["seeds"]["spread"]["differences"] == pytest.approx([0.04, 0.05, 0.06])
    far = 4.302653 * 0.01 / 3**0.5
    assert found["seeds"]["interval"]["low"] == pytest.approx(0.05 - far)
    said = "+0.040 (seed 0), +0.050 (seed 1), +0.060 (seed 2); mean +0.050 [+0.025, +0.075]"
    assert said in call("compare", "c1", "o1")[1]


def test_one_seed_is_said_to_be_one(two, scored, call):
    assert (
        "one seed: how much A - B varies between seeds is unknown" in call("compare", "aa", "ab")[1]
    )
    scored("cope", THEIRS, key="ac33", seed=1,
           hyperparameters={"decoding.alpha": {"value": 0.3, "source": "x"}})  # fmt: skip
    # two seeds of one method differ in nothing else: that is the spread itself
    assert json.loads(call("compare", "aa", "ac", "--format", "json")[1])["seeds"] is None


def test_few_users_who_carry_a_difference_are_named(scored, call):
    theirs = {f"u{n:02}": [0.2, 0.3 + n / 1000] for n in range(40)}
    ours = {user: [v + (0.3 if user < "u04" else 0.001) for v in row]
            for user, row in theirs.items()}  # fmt: skip
    scored("cope", ours, key="k1")
    scored("oppu", theirs, key="k2")
    said = "4 of 40 users carry 97% of what users differ by in this direction"
    assert f"ROUGE-L: {said}" in call("compare", "k1", "k2")[1]
    assert json.loads(call("compare", "k1", "k2", "--format", "json")[1])["warnings"] == {
        "rouge1": [said], "rougeL": [said]
    }  # fmt: skip


def test_without_torch(two, tmp_path):
    script = (
        "import sys\nfrom lampbench.cli.main import main\n"
        "try:\n main(['compare', 'aa', 'ab'])\nexcept SystemExit as left:\n assert not left.code\n"
        "print('HEAVY', sorted({'torch', 'transformers', 'datasets', 'nltk'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == "HEAVY []", done.stderr


def test_equal_scores_as_json_have_no_share_that_few_carry(scored, call):
    scored("cope", OURS, key="k1")
    scored("oppu", OURS, key="k2")
    out = call("compare", "k1", "k2", "--format", "json")[1]
    found = json.loads(out, parse_constant=pytest.fail)["differences"][0]["paired"]
    assert found["concentration"]["share"] is None
    assert (found["bootstrap"], found["exchange"]) == (1, 1)

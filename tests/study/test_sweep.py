"""Grids and the paper's plan: every point is its own run, and nothing is computed twice."""

import json
import shutil
from collections import Counter

import pytest

from lampbench.api.settings import EXPERIMENTS
from lampbench.cli.main import main
from lampbench.engine.models import resolve_model
from lampbench.paper.cast import cast
from lampbench.paper.published import paper
from lampbench.record.runs import load_runs
from lampbench.study.sweep import read_grid
from lampbench.util.errors import LampbenchError


@pytest.fixture
def lampbench(on_fake_engine, monkeypatch, tmp_path, capsys):
    """The command line on two bundled users, with an engine that only records."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in (*arguments, "--users", 2)])
        return left.value.code or 0, capsys.readouterr()

    return run


SWEEP = ["sweep", "--method", "cope", "--task", "news_headline", "--param"]


def recorded(folder):
    runs, problems = load_runs(folder / "results")
    assert not problems
    return runs


def test_every_point_is_recorded_and_shares_what_does_not_depend_on_it(lampbench, engine, tmp_path):
    """Three strengths of the contrast need one training of everything."""
    code, said = lampbench(*SWEEP, "decoding.alpha=0,0.1,0.7")
    assert code == 0, said.err
    runs = recorded(tmp_path)
    values = {run.manifest.hyperparameters["decoding.alpha"].value: run for run in runs}
    assert values.keys() == {0.0, 0.1, 0.7}
    assert len(engine.trained) == 1 + 2 + 2  # TAM, and of each user SFT and DPO
    assert values[0.1].manifest.overrides == {}  # the default: CoPe's own run
    assert values[0.7].manifest.overrides == {"decoding.alpha": 0.7}
    asked = Counter(request.spec.contrast.alpha for request in engine.generated
                    if request.spec.contrast)  # fmt: skip
    assert len(asked) == 3 and len(set(asked.values())) == 1
    rows = [line.split() for line in said.out.splitlines() if line.startswith("0")]
    assert [row[0] for row in rows] == ["0", "0.1", "0.7"]


def test_a_sweep_for_programs_and_one_that_is_forced(lampbench, engine, tmp_path):
    asked = [*SWEEP, "decoding.alpha=0,0.7", "--format", "json"]
    planned = json.loads(lampbench(*asked, "--dry-run")[1].out)
    assert planned["grid"] == {"decoding.alpha": [0, 0.7]}
    assert [plan["recorded"] for plan in planned["plans"]] == [False, False]
    code, said = lampbench(*asked)
    document = json.loads(said.out)
    assert code == 0 and document["grid"] == planned["grid"]
    assert [run["point"] for run in document["runs"]] == [
        {"decoding.alpha": 0.0}, {"decoding.alpha": 0.7},
    ]  # fmt: skip
    assert {run["path"] for run in document["runs"]} == {plan["path"] for plan in planned["plans"]}
    answered, trained = len(engine.generated), len(engine.trained)
    assert json.loads(lampbench(*asked)[1].out) == document and len(engine.generated) == answered
    assert lampbench(*asked, "--force")[0] == 0
    assert len(engine.generated) > answered and len(engine.trained) == trained


def test_rewards_are_recorded_where_asked_for(lampbench, engine, tmp_path):
    lampbench("run", *SWEEP[1:-1], "--rewards")
    assert {r.spec.rewards for r in engine.generated if r.spec.contrast} == {True}
    (run,) = recorded(tmp_path)
    assert {(row.tokens, row.rewards) for row in run.predictions} == {
        (("a", "b"), (0.5, -1.235)),
    }  # fmt: skip


def test_a_swept_training_value_trains_again_from_there_on(lampbench, engine):
    lampbench(*SWEEP, "user_dpo.beta=0.1,0.3")
    assert sorted(Counter(job.dpo.beta for job in engine.trained if job.dpo).items()) == [
        (0.1, 2), (0.3, 2),
    ]  # fmt: skip
    assert sum(job.dpo is None for job in engine.trained) == 1 + 2


def test_a_sweep_goes_on_where_it_ended(lampbench, engine, tmp_path):
    lampbench(*SWEEP, "decoding.alpha=0,0.3")
    before = len(engine.generated), len(engine.trained)
    code, said = lampbench(*SWEEP, "decoding.alpha=0,0.3")
    assert (code, (len(engine.generated), len(engine.trained))) == (0, before)
    assert said.err.count("already recorded") == 2


def test_what_is_recorded_costs_nothing_more_wherever_the_artifacts_are(lampbench):
    lampbench(*SWEEP, "decoding.alpha=0,0.3")
    _, said = lampbench(*SWEEP, "decoding.alpha=0,0.3", "--cache-dir", "empty", "--dry-run")
    assert said.out.splitlines()[2].split()[2:] == ["2", "2", "0", "0", "0", "0"]


def test_a_grid_is_every_combination_and_its_cost_is_said_once(lampbench, engine, tmp_path):
    code, said = lampbench(
        *SWEEP, "decoding.alpha=0,0.3", "--param", "decoding.tau=0.1,0.2", "--dry-run"
    )
    assert code == 0 and not engine.generated and not (tmp_path / "results").exists()
    line = next(line for line in said.out.splitlines() if line.startswith("the grid"))
    alone = lampbench("run", *SWEEP[1:-1], "--dry-run")[1].out
    trained = sum(int(row.split()[5].replace(",", "")) for row in alone.splitlines()
                  if row.startswith(("task_sft", "user_sft", "user_dpo")))  # fmt: skip
    cells = line.replace(",", "").split()
    assert cells[2:4] == ["4", "0"] and int(cells[5]) == trained > 0


def test_a_method_that_the_value_does_not_touch_runs_once(lampbench, tmp_path):
    lampbench("sweep", "--method", "base", "--method", "oppu_cd", "--task", "news_headline",
              "--param", "decoding.alpha=0,0.5")  # fmt: skip
    assert Counter(run.manifest.method for run in recorded(tmp_path)) == {
        "base": 1, "oppu_cd": 2,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("params", "said"),
    [
        (["alpha=1"], "write SECTION.NAME=V1,V2"),
        (["decoding.alpha"], "write SECTION.NAME=V1,V2"),
        (["decoding.alpha=1,"], "write SECTION.NAME=V1,V2"),
        (["decoding.alpha=1,1"], "a value is given twice"),
        (["decoding.alpha=1", "decoding.alpha=2"], "decoding.alpha is given twice"),
    ],
)
def test_bad_grids(params, said):
    with pytest.raises(LampbenchError, match=said):
        read_grid(params)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("decoding.alfa=1", "did you mean decoding.alpha"),
        ("decoding.alpha=0,-1", "decoding.alpha=-1 (from sweep): must be at least 0"),
    ],
)
def test_a_bad_point_stops_the_sweep_before_it_begins(lampbench, engine, value, said):
    code, captured = lampbench(*SWEEP, value)
    assert code == 2 and said in captured.err and not engine.generated


def test_a_value_that_is_swept_is_not_set_too(lampbench, engine):
    code, said = lampbench(*SWEEP, "decoding.alpha=0,0.1", "--set", "decoding.alpha=0.5")
    assert code == 2 and "decoding.alpha is both set (--set) and varied (--param)" in said.err
    assert not engine.generated


REPRODUCE = ["reproduce", "paper", "--data", "bundled", "--model", "bundled"]


def test_the_paper_is_six_methods_on_five_tasks_and_its_models(lampbench, engine, tmp_path):
    twin = shutil.copytree(resolve_model("bundled").location, tmp_path / "twin")
    code, said = lampbench(
        *REPRODUCE, "--model", twin, "--experiment", "main", "--experiment", "cross-model"
    )
    assert code == 0, said.err
    rows = [line.split() for line in said.out.splitlines()]
    runs = {row[0]: row[1] for row in rows if row and row[0] in ("main", "cross-model", "all")}
    assert runs == {"main": "30", "cross-model": "30", "all": "60"}
    assert "Nothing was run" in said.out and not engine.generated
    assert len(paper().models) == 4 and set(cast().main) < set(paper().methods)


def test_shared_artifacts_are_counted_in_the_first_part_that_needs_them(lampbench):
    _, said = lampbench(*REPRODUCE, "--task", "news_headline", "--speed", "1000,100,10")
    rows = {line.split()[0]: line.replace(",", "").split() for line in said.out.splitlines()
            if line.startswith(("main", "ablation", "sensitivity", "all"))}  # fmt: skip
    trained = {name: int(row[4]) for name, row in rows.items()}
    # the ablation adds one DPO-free row and shares the rest; each beta is a DPO of its own
    assert trained["ablation"] == 0 < trained["sensitivity"] < trained["main"]
    assert sum(trained[n] for n in ("main", "ablation", "sensitivity")) == trained["all"]
    read, written = int(rows["all"][3]), int(rows["all"][5])
    hours = (read / 1000 + trained["all"] / 100 + written / 10) / 3600
    assert float(rows["all"][-1]) == pytest.approx(hours, abs=0.051)


def test_a_method_of_some_experiments_is_planned_in_these(lampbench):
    code, said = lampbench(*REPRODUCE, "--method", "base", "--method", "cope_init")
    assert code == 0, said.err
    rows = [line.split()[:2] for line in said.out.splitlines()]
    assert [row for row in rows if row and row[0] in EXPERIMENTS] == [
        ["main", "5"], ["cross-model", "0"], ["ablation", "0"], ["sensitivity", "1"],
    ]  # fmt: skip


def test_a_slice_runs_and_is_recorded(lampbench, engine, tmp_path):
    code, said = lampbench(*REPRODUCE, "--experiment", "sensitivity", "--run")
    assert code == 0, said.err
    found = {(run.manifest.method, json.dumps(run.manifest.overrides))
             for run in recorded(tmp_path)}  # fmt: skip
    assert {method for method, _ in found} == {"cope", "cope_init", "cope_oppu"}
    assert len(found) == 3 + 4 + 3  # the defaults alpha 0.1 and beta 3.0 are CoPe's own run
    against = {len(r.spec.contrast.against) for r in engine.generated if r.spec.contrast}
    assert against == {0, 1, 2}  # init, TAM, OPPU on TAM


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["reproduce", "paper", "--model", "bundled", "--task", "news_headline"], "--lamp"),
        ([*REPRODUCE, "--speed", "1,2"], "three numbers above 0"),
        ([*REPRODUCE, "--speed", "1,2,x"], "three numbers above 0"),
        ([*REPRODUCE, "--experiment", "table1"], "table1"),
        (["reproduce", "cat"], "cat"),
        ([*REPRODUCE, "--method", "copy_recent"], "--method copy_recent: is no method of the"),
        ([*REPRODUCE, "--experiment", "ablation", "--method", "opu"], "did you mean oppu?"),
        ([*REPRODUCE, "--task", "tweet_paraphrasing"], "--task tweet_paraphrasing: is no task of"),
        (
            [*REPRODUCE, "--method", "cope_init", "--task", "scholarly_title"],
            "runs none of the methods cope_init on any of the tasks scholarly_title",
        ),
    ],
)
def test_bad_choices_are_one_line(lampbench, arguments, said):
    code, captured = lampbench(*arguments)
    assert code == 2 and said in captured.err
    assert len(captured.err.strip().splitlines()) == 1

"""The face for Python, as a script or a notebook uses it."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy
import pandas
import pytest

import lampbench
from lampbench.plugin import Method, Prediction, Query, Record, Task, User
from lampbench.record.recorded_run import Run
from lampbench.record.runs import Runs
from lampbench.study.replan import Replanner
from lampbench.util.errors import LampbenchError


@pytest.fixture(autouse=True)
def folder(on_fake_engine, monkeypatch, tmp_path):
    """An empty folder to work in, and an engine that only records."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


class FirstWords(Method):
    """A method made where no registry looks."""

    title = "First words"

    def predict(self, context, users):
        for user in users:
            for query in user.queries:
                yield Prediction(user.id, query.id, " ".join(query.fields["text"].split()[:5]))


def test_a_run_knows_its_answers_scores_and_manifest():
    run = lampbench.run("cope", "news_headline", users=2)
    assert isinstance(run, Run) and run.path.is_dir()
    assert run.manifest.method == "cope" and run.manifest.dataset.test_users == 2
    assert len(run.predictions) == len(run.scores) == run.manifest.counts.queries > 2
    assert "lampbench.run_all(['cope'], ['news_headline']" in run.manifest.command

    frame = run.frame()
    assert isinstance(frame, pandas.DataFrame) and len(frame) == len(run.predictions)
    assert {"user", "query", "prediction", "reference", "rougeL"} <= set(frame.columns)
    assert frame["rougeL"].mean() == pytest.approx(run.manifest.mean("rougeL"))
    assert run._repr_html_().count("<tr") == 2 and "cope" in run._repr_html_()


def test_what_is_recorded_is_read_and_not_computed_again(engine):
    before = lampbench.run("base", "news_headline", users=2)
    asked = len(engine.generated)
    assert lampbench.run("base", "news_headline", users=2).path == before.path
    assert len(engine.generated) == asked
    lampbench.run("base", "news_headline", users=2, force=True)
    assert len(engine.generated) == 2 * asked


def test_a_class_from_a_notebook_runs_unregistered():
    run = lampbench.run(FirstWords, "news_headline", users=2)
    assert run.manifest.method == "first_words" and run.manifest.method_title == "First words"
    assert run.manifest.plugins.keys() == {"method"}
    assert lampbench.run(FirstWords(), "news_headline", users=2).path == run.path
    texts = [row.prediction for row in run.predictions if row.prediction is not None]
    assert len(texts) == len(run.predictions)
    assert all(len(text.split()) <= 5 for text in texts)


def test_a_class_may_not_take_a_built_in_name():
    no_method: Any = int
    taken = type("Base", (Method,), {"__module__": __name__})
    with pytest.raises(LampbenchError, match="'base' is registered already; set another `name`"):
        lampbench.run(taken, "news_headline", users=2)
    with pytest.raises(LampbenchError, match="must be a subclass of Method"):
        lampbench.run(no_method, "news_headline", users=2)


class Shout(Task):
    """A task made where no registry looks."""

    name = "shout"
    title = "Shout"
    family = "lamp"
    fields = ("text",)
    target_name = "shout"
    shorten = "text"
    system = "You shout."
    template = "Shout: {text}"
    example = "{text} {target}"
    max_new_tokens = 8


def test_a_task_from_a_notebook_runs_on_data_in_our_own_layout(folder):
    from lampbench.core.dataset import Dataset
    from lampbench.data.write_dataset import write_dataset

    users = [
        User(
            name,
            (Record("r", {"text": "hush"}, "HUSH"),),
            (Query(f"q-{name}", {"text": "a"}, "A"),),
        )
        for name in ("ann", "bob")
    ]
    write_dataset(Dataset("shout", "made", (), tuple(users)), folder / "data")
    run = lampbench.run("base", Shout, data=f"lampbench:{folder / 'data'}")
    assert run.manifest.task == "shout" and run.manifest.counts.queries == 2


def test_many_runs_are_one_frame():
    found = lampbench.run_all(["base", "tam"], ["news_headline"], seeds=[0, 1], users=2)
    assert isinstance(found, Runs) and len(found) == 4
    assert list(found.frame()["method"]) == ["base", "tam", "base", "tam"]
    assert found._repr_html_().count("<tr") == 5
    assert {run.path for run in lampbench.runs()} == {run.path for run in found}


def test_a_sweep_is_a_run_per_point_and_a_plan_computes_nothing(engine):
    grid = {"decoding.alpha": [0.0, 0.1]}
    plans = lampbench.plan(["cope"], ["news_headline"], grid=grid, users=2)
    assert len(plans) == 2 and not engine.generated and not any(plan.done for plan in plans)
    found = lampbench.sweep(["cope"], ["news_headline"], grid, users=2)
    assert [run.manifest.hyperparameters["decoding.alpha"].value for run in found] == [0.0, 0.1]
    assert [run.path for run in found] == [plan.folder for plan in plans]


def test_iterators_are_read_as_lists_are():
    study: Any = [(name for name in ["base", "tam"]), map(str, ["news_headline"])]
    more: Any = {"models": iter(["bundled"]), "seeds": iter([0, 1]), "max_history": iter([1, None])}
    found = lampbench.run_all(*study, users=2, **more)
    assert len(found) == 8
    assert found[0].manifest.command == (
        "lampbench.run_all(['base', 'tam'], ['news_headline'], ['bundled'], [0, 1], "
        "users=2, max_history=[1, None])"
    )
    study = [iter(["cope"]), "news_headline", {"decoding.alpha": iter([0.0, 0.1])}]
    found = lampbench.sweep(*study, users=2)
    assert [run.manifest.hyperparameters["decoding.alpha"].value for run in found] == [0.0, 0.1]
    assert "grid={'decoding.alpha': [0.0, 0.1]}" in found[0].manifest.command
    length: Any = iter([1])
    run = lampbench.run("base", "news_headline", users=2, max_history=length)
    assert run.manifest.dataset.max_history == 1


@pytest.mark.parametrize(
    "empty", [{"methods": []}, {"tasks": ()}, {"models": []}, {"seeds": []},
              {"grid": {"decoding.alpha": []}}],
)  # fmt: skip
def test_a_call_that_names_nothing_to_run_is_an_error(empty):
    study: Any = {"methods": "cope", "tasks": "news_headline", "users": 2, **empty}
    called: Any = lampbench.sweep if "grid" in empty else lampbench.run_all
    for function in (called, lampbench.plan):
        with pytest.raises(LampbenchError, match=r"=\[\]: there is nothing to run; give at least"):
            function(**study)


@pytest.mark.parametrize("given", [["decoding.alpha=0.5"], "decoding.alpha=0.5", {1: 2}, 3])
def test_hyperparameters_are_given_by_name(given):
    with pytest.raises(lampbench.LampbenchError, match=r"^hyperparameters=.*give a mapping"):
        lampbench.plan("cope", "news_headline", users=2, hyperparameters=given)
    with pytest.raises(lampbench.LampbenchError, match=r"^grid=.*give a mapping of names"):
        lampbench.sweep("cope", "news_headline", given, users=2)


def test_nothing_that_is_installed_is_an_error(monkeypatch):
    monkeypatch.setattr(lampbench.api.running, "installed_plans", lambda *_: [])
    with pytest.raises(LampbenchError, match="nothing is left to run; install what"):
        lampbench.run_all("all", "news_headline", users=2)


def test_several_lengths_of_histories_are_runs_of_their_own(engine):
    lengths = [1, 2, None, 1000]
    found = lampbench.run_all("rag", "news_headline", users=2, max_history=lengths)
    datasets = [run.manifest.dataset for run in found]
    assert [one.max_history for one in datasets] == [1, 2, None], "1000 records are all"
    assert {one.cut_from for one in datasets[:2]} == {datasets[2].fingerprint}
    assert list(found.frame()["max_history"].fillna(0)) == [1, 2, 0]
    assert lampbench.run("rag", "news_headline", users=2).path == found[2].path
    again = lampbench.run("rag", "news_headline", users=2, max_history=1)
    assert again.path == found[0].path
    lengths = lampbench.table("history")["max_history"]
    assert set(lengths[lengths.notna()]) == {1, 2} and lengths.isna().any()


def test_a_recorded_length_is_planned_again_as_it_was(tmp_path):
    run = lampbench.run("oppu", "news_headline", users=2, max_history=3)
    plan = Replanner(tmp_path / "cache").plan(run.manifest, run.path.parents[3])
    assert plan.folder == run.path and plan.spec.dataset.max_history == 3


def test_a_run_is_one_line_where_python_prints_it(tmp_path):
    run = lampbench.run("base", "news_headline", users=2)
    assert repr(run) == f"<Run: base on news_headline, model bundled, seed 0, in {run.path}>"


@pytest.mark.parametrize("given", [0, -1, "4", 1.5, True, [2, 0]])
def test_lengths_of_histories_are_whole_numbers(given):
    with pytest.raises(LampbenchError, match=r"^max_history=.*: give a whole number from 1 to"):
        lampbench.plan("rag", "news_headline", max_history=given)


def test_one_run_has_one_length_of_histories():
    for function in (lampbench.run, lampbench.diagnose):
        with pytest.raises(LampbenchError, match=r"max_history=\[1, 2\]: this is for one run"):
            function("oppu", "news_headline", max_history=[1, 2])


def test_one_run_has_one_seed():
    misspelled: Any = {"seeds": 3}
    for function in (lampbench.run, lampbench.diagnose, lampbench.show_prompt):
        with pytest.raises(LampbenchError, match="seeds=3: this is for one run; give one seed, or"):
            function("oppu", "news_headline", **misspelled)


@pytest.mark.parametrize("name", ["method", "task", "model", "seed"])
def test_one_run_has_one_of_each(name):
    given: Any = {"method": "oppu", "task": "news_headline", name: ["a", "b"]}
    for function in (lampbench.run, lampbench.diagnose, lampbench.show_prompt):
        with pytest.raises(LampbenchError, match=f"^{name}=.*: this is for one run; give one"):
            function(**given)


def test_a_table_is_a_frame_and_the_leaderboard_is_written(folder):
    lampbench.run_all(["base", "tam"], ["news_headline"], users=2)
    table = lampbench.table("main")
    assert {"method", "task", "metric", "mean", "low", "high"} <= set(table.columns)
    assert set(table["method"]) >= {"base", "tam"}
    pages = lampbench.leaderboard()
    assert (folder / "leaderboard.md").read_text() == pages[lampbench.api.LEADERBOARD]
    with pytest.raises(LampbenchError, match="did you mean main"):
        lampbench.table("mian")


def test_runs_are_compared_and_diagnosed():
    first = lampbench.run("base", "news_headline", users=2)
    second = lampbench.run("cope", "news_headline", users=2)
    assert lampbench.compare(first, second.manifest.key).ours.path == first.path
    assert lampbench.diagnose("cope", "news_headline", users=2).likelihoods


def test_a_damaged_run_is_named_and_hides_no_other(folder):
    damaged = lampbench.run("base", "news_headline", users=2)
    sound = lampbench.run("tam", "news_headline", users=2)
    (damaged.path / "manifest.json").write_text("{}")
    with pytest.warns(UserWarning, match=r"base.*format null.*restore it, or delete it and give"):
        found = lampbench.runs()
    assert [run.manifest.method for run in found] == [sound.manifest.method]
    assert [problem.path for problem in found.problems] == [damaged.path]
    with pytest.raises(LampbenchError, match="restore it, or delete it"):
        lampbench.run("base", "news_headline", users=2)
    plans = lampbench.plan(["base", "tam"], ["news_headline"], users=2)
    both = lampbench.api.execute_all(plans, "results", "again")
    assert [run.path for run in both] == [sound.path] and len(both.problems) == 1


def test_reproduce_plans_the_paper(engine):
    plans = lampbench.reproduce(["ablation"], models=["bundled"], data="bundled", users=2)
    assert {plan.method.name for plan in plans["ablation"]} >= {"oppu", "cope", "oppu_cd"}
    assert not engine.trained


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hyperparameters": {"decoding.alfa": 1}}, "did you mean decoding.alpha"),
        ({"hyperparameters": {"decoding.alpha": "x"}}, "give a number"),
        ({"hyperparameters": {"user_sft.epochs": 1.5}}, "give a whole number"),
        ({"data": "nowhere"}, "nowhere"),
        ({"data": Path("data")}, "give the source as text"),
        ({"user": 2}, "did you mean users"),
        ({"users": "2"}, "whole number from 1"),
        ({"users": True}, "whole number from 1"),
        ({"batch_size": 0}, "whole number from 1"),
        ({"preset": "papr"}, "choose one of"),
        ({"fidelity": "x"}, "choose one of 'paper', 'reference'"),
        ({"dtype": "fp16"}, "choose one of 'float32'"),
        ({"engine": "many"}, "there are batched, openai, reference, vllm"),
        ({"rewards": "yes"}, "give True or False"),
        ({"config": "nowhere.toml"}, "nowhere.toml"),
        ({"model": "no-such"}, "no-such"),
    ],
)
def test_a_bad_option_is_one_line(settings, message):
    with pytest.raises(LampbenchError, match=message):
        lampbench.run("cope", "news_headline", **{"users": 2, **settings})


def test_importing_lampbench_loads_no_torch_and_no_pandas(root):
    code = (
        "import sys, lampbench; lampbench.run; lampbench.table; import lampbench.api;"
        "heavy = {'torch', 'transformers', 'pandas', 'numpy', 'datasets', 'peft', 'scipy'};"
        "print(sorted(heavy & set(sys.modules)), callable(lampbench.run))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[] True"


def test_every_public_name_is_documented():
    for name in lampbench.__all__:
        if name != "__version__":
            assert getattr(lampbench, name).__doc__, name
            assert name in dir(lampbench)


def test_a_single_value_is_a_list_of_one():
    found = lampbench.run_all("base", "news_headline", models="bundled", seeds=1, users=2)
    assert [run.manifest.method for run in found] == ["base"]
    (plan,) = lampbench.plan("cope", "news_headline", grid={"decoding.alpha": 0.2}, users=2)
    assert plan.settings["decoding.alpha"].value == 0.2


def test_an_experiment_that_the_paper_does_not_have_is_refused():
    with pytest.raises(LampbenchError, match="did you mean main"):
        lampbench.reproduce(["mian"], models=["bundled"], data="bundled")


class Faulty(Method):
    """Fails where its author made a mistake."""

    def predict(self, context, users):
        yield Prediction("x", "y", str(users[0].nothing))


class Nothing(Method):
    """Yields what is not a prediction."""

    def predict(self, context, users):
        yield None


def test_a_fault_of_a_method_is_told_as_its_own():
    line = Faulty.predict.__code__.co_firstlineno + 1
    with pytest.raises(LampbenchError, match=rf"method faulty failed .*test_api\.py:{line}: Attr"):
        lampbench.run(Faulty, "news_headline", users=2)
    with pytest.raises(LampbenchError, match="returned None, which is not a Prediction"):
        lampbench.run(Nothing, "news_headline", users=2)


def test_plans_and_comparisons_are_short_in_a_notebook():
    (plan,) = lampbench.plan("tam", "news_headline", users=2)
    assert repr(plan).startswith("<Plan: tam on news_headline, model bundled, seed 0, to be ")
    assert "<td>task_sft</td><td>1</td><td>0</td>" in plan._repr_html_()
    runs = lampbench.run_all(["base", "tam"], "news_headline", users=2)
    assert "seed 0, recorded in" in repr(plan)
    assert "<td>task_sft</td><td>1</td><td>1</td>" in plan._repr_html_()
    (base,) = lampbench.plan("base", "news_headline", users=2)
    assert "nothing is trained" in base._repr_html_() and "&lt;" not in base._repr_html_()
    found = lampbench.compare(*runs)
    assert repr(found).startswith("<Comparison: base news_headline bundled seed 0 against tam ")
    assert "rougeL" in repr(found) and len(repr(found)) < 200
    assert found._repr_html_().count("<tr") == 1 + len(found.differences)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"seed": -1}, "seed=-1: give a whole number from 0 to 2,147,483,647"),
        ({"seed": 10**5000}, "seed=a value of type int: give"),
        ({"batch_size": 10**20}, "batch_size=1"),
        ({"chat_template": "nope"}, "no chat template is called 'nope'"),
        ({"device": "warp"}, "no device is called 'warp'"),
        ({"assignments": "decoding.max_new_tokens=1\nx = 2"}, "give a value on one line"),
        ({"hyperparameters": {"decoding.max_new_tokens": 10**30}}, "must be at most"),
        ({"hyperparameters": {"decoding.max_new_tokens": 10**6}}, "no room for a prompt"),
        ({"hyperparameters": {"decoding.penalty_on": "x\ny"}}, "give one line"),
    ],
)
def test_a_plan_refuses_what_a_run_would(folder, settings, said):
    seeds = {"seeds": settings.pop("seed")} if "seed" in settings else {}
    with pytest.raises(LampbenchError, match=re.escape(said)):
        lampbench.plan("base", "news_headline", users=2, **seeds, **settings)
    assert not (folder / "results").exists()


def test_numpys_integers_are_integers():
    plans = lampbench.plan(
        "base", "news_headline",
        users=numpy.int64(2), seeds=numpy.arange(2, dtype=numpy.int32),  # type: ignore[arg-type]
    )  # fmt: skip
    assert [plan.spec.seed for plan in plans] == [0, 1]
    assert {type(plan.spec.seed) for plan in plans} == {int}

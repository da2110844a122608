"""A user whose training fails is reported and left out; the others go on."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from lampbench.execution.run_shard import execute_shard
from lampbench.execution.runner import execute
from lampbench.execution.shard import Shard
from lampbench.plugin.borrowing import another_user
from lampbench.record.recorded_run import read_run
from lampbench.record.runs import load_runs
from lampbench.report.contents import arrange
from lampbench.report.leaderboard import pages
from lampbench.report.run_summary import print_summary
from lampbench.util.errors import LampbenchError


def run(plan):
    return execute(plan, "lampbench run", plan.folder.parents[3])


def test_the_others_go_on_to_the_end(planner, engine, capsys):
    engine.diverging = {"bob"}
    recorded = read_run(run(planner("cope")))
    assert {row.user for row in recorded.predictions} == {"ann", "../../mallory"}
    assert recorded.manifest.failed_users == {"bob": "user_sft: the loss is nan at step 1"}
    stages = {stage.stage: stage.units for stage in recorded.manifest.stages}
    assert stages["task_sft"] == 1
    assert stages["user_sft"] == stages["negatives"] == stages["user_dpo"] == 2
    assert not any("bob" in request.prompt.text for request in engine.generated)
    said = capsys.readouterr().err
    assert said.count("user bob of news_headline failed in user_sft: the loss is nan") == 1


def test_a_user_lost_later_keeps_what_stood(planner, engine):
    """The LoRA is there; DPO fails, for one user."""
    run(planner("oppu"))
    engine.diverging = {"ann"}
    recorded = read_run(run(planner("cope")))
    assert recorded.manifest.failed_users == {"ann": "user_dpo: the loss is nan at step 1"}
    assert "ann" not in {row.user for row in recorded.predictions}


def test_such_a_run_is_marked_and_competes_in_no_cell(planner, engine, tmp_path):
    engine.diverging = {"bob"}
    folder = run(planner("oppu"))
    run(planner("tam"))
    runs, problems = load_runs(tmp_path / "results")
    assert not problems
    made = pages(arrange(runs), Path("page.md"), Path("tables"))
    note = "scored on 2 of 3 users; failed: bob in user_sft"
    assert made[Path("tables/excluded-runs.md")].count(note) == 1
    lines = made[Path("page.md")].splitlines()
    assert any("| TAM" in line for line in lines)
    assert not any("| OPPU |" in line for line in lines)
    shown = CliRunner().invoke(_command(folder)).output
    assert "scored on 2 of 3 users" in shown
    assert "bob: user_sft: the loss is nan at step 1" in shown


def _command(folder):
    import click

    @click.command()
    def show():
        print_summary([folder])

    return show


def test_the_same_command_tries_again(planner, engine):
    engine.diverging = {"bob"}
    run(planner("oppu"))
    engine.diverging = set()
    engine.trained.clear()
    plan = planner("oppu", "user_sft.epochs=2")  # the same key, as the default is 2
    execute(plan, "lampbench run", plan.folder.parents[3], force=True)
    assert [job.id for job in engine.trained] == ["bob"]
    assert read_run(plan.folder).manifest.failed_users == {}


def test_a_failed_task_adapter_ends_the_run(planner, engine):
    engine.diverging = {"news_headline"}
    with pytest.raises(LampbenchError, match="training task_sft of news_headline: the loss is nan"):
        run(planner("tam"))


def test_nobody_left_ends_the_run(planner, engine):
    engine.diverging = {"ann", "bob", "../../mallory"}
    with pytest.raises(LampbenchError, match="every user failed in user_sft"):
        run(planner("oppu"))


def test_who_borrows_from_a_failed_user_fails_too(planner, engine):
    """Somebody answers with bob's weights, which there are not."""
    engine.diverging = {"bob"}
    plan = planner("oppu_swapped")
    ids = {user.id for user in plan.spec.dataset.test_users}
    (borrower,) = [
        user.id
        for user in plan.spec.dataset.test_users
        if another_user(plan.spec.dataset, plan.spec.seed, user).id == "bob"
    ]
    recorded = read_run(run(plan))
    failed = recorded.manifest.failed_users
    assert set(failed) == {"bob", borrower}
    assert failed[borrower] == (
        "predict: it needs the data of user bob, who failed in user_sft: the loss is nan at step 1"
    )
    assert {row.user for row in recorded.predictions} == ids - {"bob", borrower}


def test_who_is_assembled_from_a_failed_user_fails_too(planner, engine):
    engine.diverging = {"bob"}
    recorded = read_run(run(planner("per_pcs", "assembled.sharers=1")))
    failed = recorded.manifest.failed_users
    assert len(failed) == 2 and len({row.user for row in recorded.predictions}) == 1
    assert [why for user, why in failed.items() if user != "bob"] == [
        "assembled: it needs the data of user bob, who failed in user_sft: the loss is nan at "
        "step 1"
    ]


def test_shards_report_the_same_borrowers(planner, engine, tmp_path):
    engine.diverging = {"bob"}
    plan = planner("oppu_swapped")
    expected = read_run(run(plan)).manifest.failed_users
    shutil.rmtree(plan.folder)
    shutil.rmtree(tmp_path / "cache")
    results = plan.folder.parents[3]
    shards = [Shard(index, 2) for index in range(2)]
    *_, folder = [execute_shard(planner("oppu_swapped"), one, "x", results) for one in shards]
    assert folder is not None
    assert read_run(folder).manifest.failed_users == expected


def test_a_mean_of_all_users_names_the_failed(planner, engine):
    engine.diverging = {"bob", "ann"}
    with pytest.raises(LampbenchError, match="needs every user, and training failed for") as error:
        run(planner("oppu_mean"))
    said = str(error.value)
    assert "ann, bob" in said and "user_sft: the loss is nan" in said and "\n" not in said

"""A user whose training fails is reported and left out; the others go on."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from lampbench.execution.runner import execute
from lampbench.record.runs import load_runs, read_run
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

"""What a loader found about the data is shown wherever scores on these data are."""

import csv
import html
import io
import json
from typing import Any

import pytest

from lampbench.report.contents import CONTENTS
from lampbench.report.run_summary import print_summary
from lampbench.scoring import PredictionRow
from tests.shared.recorded import record_rows

LEAKED = "leak: test users who are also training users: 1"
REMARK = "duplicates dropped: 2"
ABOUT = "a third party's quantisation"
WITHOUT_RUNS = {"history", "paper"}  # tables that show none of these runs


@pytest.fixture
def runs(scored, tmp_path):
    """Runs that fill every table."""
    told: dict[str, Any] = {
        "dataset": {"notes": [REMARK, LEAKED]},
        "model_details": {"notes": [ABOUT]},
    }
    made = [
        scored(method, {"ann": [good, good], "bob": [0.2, 0.3]}, **told)
        for method, good in [("base", 0.1), ("cope", 0.4), ("oppu", 0.3), ("tam", 0.3),
                             ("oppu_cd", 0.5), ("oppu_dpo", 0.4), ("tam_head", 0.3), ("mine", 0.6),
                             ("oppu_mean", 0.5)]
    ]  # fmt: skip
    made.append(scored("cope", {"ann": [0.1, 0.2], "bob": [0.2, 0.3]}, key="other", model="m2",
                       **told))  # fmt: skip
    scored("base", {"ann": [0.1, 0.2], "bob": [0.2, 0.3]}, key="base2", model="m2", **told)
    scored("cope", {"ann": [0.1, 0.2], "bob": [0.2, 0.3]}, key="sw", **told,
           overrides={"decoding.alpha": 0.9},
           hyperparameters={"decoding.alpha": {"value": 0.9}})  # fmt: skip
    scored("oppu_head", {"ann": [0.1, 0.2], "bob": [0.2, 0.3]}, key="penalty", **told,
           overrides={"decoding.repetition_penalty": 7.0},
           hyperparameters={"decoding.repetition_penalty": {"value": 7.0}})  # fmt: skip
    scored("cope", {"ann": [0.1, 0.2], "bob": [0.2, 0.3]}, key="odd", **told,
           overrides={"decoding.alpha": 0.7, "decoding.tau": 0.2})  # fmt: skip
    rows = [PredictionRow("ann", "q0", "w", "w"), PredictionRow("ann", "q1", "x", "w")]
    for task in ("review_writing", "diary"):
        record_rows(tmp_path / "results", rows, key="all", method="tam", task=task,
                    **told)  # fmt: skip
    return made


@pytest.mark.parametrize("name", sorted(CONTENTS.keys() - WITHOUT_RUNS))
def test_every_table_in_every_format(runs, call, name):
    for form in ("markdown", "latex"):
        _, out, _ = call("table", name, "--format", form)
        assert LEAKED in " ".join(out.split()), (name, form)
        assert REMARK in " ".join(out.split()), (name, form)
        assert ABOUT in " ".join(out.split()).replace("\u2019", "'"), (name, form)
    _, out, _ = call("table", name, "--format", "json")
    entries = json.loads(out)
    assert all(entry["data_findings"] == [LEAKED, REMARK] for entry in entries)
    assert all(entry["model_notes"] == [ABOUT] for entry in entries)
    _, out, _ = call("table", name, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert len(rows) == len(entries) > 0
    assert {row["data_findings"] for row in rows} == {f"{LEAKED}; {REMARK}"}


def test_the_leaderboard_and_the_page(runs, call, read, tmp_path):
    assert LEAKED in read("leaderboard")
    call("report", "--output", "page.html")
    page = (tmp_path / "page.html").read_text()
    head = html.unescape(page.split("<h3")[0])
    assert LEAKED in head and ABOUT in head, "under the heading of the section"


def test_commands_that_show_scores(runs, call, capsys):
    for command in (
        ("overview", "--task", "news_headline", "--method", "base", "--method", "cope"),
        ("examples", "--task", "news_headline", "--method", "base", "--method", "cope"),
        ("compare", runs[0].path, runs[1].path),
    ):
        _, out, _ = call(*command)
        assert LEAKED in " ".join(out.split()) and ABOUT in " ".join(out.split()), command
        _, out, _ = call(*command, "--format", "json")
        assert LEAKED in out and ABOUT in out, command
    capsys.readouterr()
    print_summary([runs[0].path, runs[1].path])
    out = capsys.readouterr().out
    lines = [line for line in out.splitlines() if "data:" in line]
    assert lines == [
        "LEAK in the data: test users who are also training users: 1",
        "data: duplicates dropped: 2",
    ]
    assert f"model: {ABOUT}" in out.splitlines()


def test_data_without_findings_have_no_note(scored, call):
    scored("base", {"ann": [0.1, 0.2], "bob": [0.2, 0.3]})
    _, out, _ = call("table", "main")
    assert "Data of" not in out and "Model " not in out

"""One table in four formats, and the command that prints them."""

import csv
import io
import json
import re
from typing import Any

import pytest

from lampbench.report.contents import CONTENTS
from lampbench.util.terminal import visible

FIELDS = {"method", "task", "model", "metric", "mean", "low", "high", "users", "queries", "seeds",
          "published"}  # fmt: skip


@pytest.fixture
def three(scored):
    scored("cope", {"a": [0.5, 0.7], "b": [0.6]})
    scored("oppu", {"a": [0.3, 0.4], "b": [0.2]})
    scored("oppu", {"a": [0.5, 0.4], "b": [0.4]}, seed=1)


def rows(out):
    return {(e["method"], e["task"], e["metric"]): e for e in json.loads(out)}


def test_json_is_a_record_a_cell(three, call):
    code, out, _ = call("table", "main", "--format", "json")
    assert code == 0
    found = rows(out)
    assert all(entry.keys() >= FIELDS for entry in found.values())
    cope = found["cope", "news_headline", "rouge1"]
    assert cope["mean"] == pytest.approx(0.6) and cope["low"] <= 0.6 <= cope["high"]
    assert (cope["users"], cope["queries"], cope["seeds"]) == (2, 3, [0])
    assert (cope["published"], cope["best"]) == (None, True)
    oppu = found["oppu", "news_headline", "rouge1"]
    assert (oppu["seeds"], oppu["runs"], oppu["best"]) == ([0, 1], ["oppu-0", "oppu-1"], False)
    assert oppu["p_best"] == 0.5
    assert ("base", "news_headline", "rouge1") not in found


def test_an_open_interval_is_null(scored, call):
    scored("cope", {"a": [0.5]})
    entry = rows(call("table", "main", "--format", "json")[1])["cope", "news_headline", "rouge1"]
    assert (entry["mean"], entry["low"], entry["high"]) == (0.5, None, None)


def test_the_papers_figures_come_with_their_model(scored, call):
    model = {"location": "Qwen/Qwen2.5-1.5B-Instruct", "fingerprint": "q"}
    scored("cope", {"a": [0.5]}, model="qwen", model_details=model)
    found = rows(call("table", "main", "--format", "json")[1])
    cope = found["cope", "news_headline", "rouge1"]
    assert (cope["published"], cope["published_table"]) == (0.147, 6)
    assert cope["published_model"] == model["location"]
    absent = found["base", "news_headline", "rougeL"]
    assert (absent["model"], absent["mean"], absent["low"]) == (None, None, None)
    assert (absent["seeds"], absent["published"]) == ([], 0.104)
    printed = json.loads(call("table", "paper", "--format", "json")[1])
    assert len(printed) == 148 and all(entry["mean"] is None for entry in printed)


def test_csv_holds_the_same(three, scored, call):
    scored("oppu_cd", {"a": [0.5, 0.7], "b": [0.6]})
    scored("cope", {"a": [0.5, 0.7], "b": [0.6]}, model="other", key="o")
    for table in ("main", "gains", "ablation", "cross-model", "data", "power", "scores", "paper"):
        listed = list(csv.DictReader(io.StringIO(call("table", table, "--format", "csv")[1])))
        found = json.loads(call("table", table, "--format", "json")[1])
        assert len(listed) == len(found) > 0
        for line, entry in zip(listed, found, strict=True):
            for name, value in entry.items():
                text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
                assert line[name] == {"None": "", "True": "true", "False": "false"}.get(text, text)


@pytest.mark.parametrize("table", CONTENTS)
def test_markdown_is_the_pages_own(three, record, scored, call, table, read):
    scored("cope", {"a": [0.1, 0.2], "b": [0.3]}, key="x", overrides={"decoding.alpha": 1.0},
           hyperparameters={"decoding.alpha": {"value": 1.0}})  # fmt: skip
    scored("oppu_cd", {"a": [0.5, 0.7], "b": [0.6]})
    scored("mine", {"a": [0.5, 0.7], "b": [0.6]})
    scored("tam_head", {"a": [0.5, 0.7], "b": [0.6]})
    scored("oppu_mean", {"a": [0.5, 0.7], "b": [0.6]})
    scored("cope", {"a": [0.5, 0.7], "b": [0.6]}, model="other", key="o")
    scored("cope", {"a": [0.5, 0.7], "b": [0.6]}, overrides={"user_sft.rank": 4}, key="rank")
    scored("cope", {"a": [0.5, 0.7], "b": [0.6]}, "topic_writing")
    record("cope", "review_writing")
    record("cope", "diary")
    scored("tam", {"a": [0.1, 0.2], "b": [0.3]}, key="penalty",
           overrides={"decoding.repetition_penalty": 7.0},
           hyperparameters={"decoding.repetition_penalty": {"value": 7.0}})  # fmt: skip
    options: dict[str, Any] = {"data": "bundled", "users": None, "min_history": 1, "seed": 0,
                               "split_by": None, "splits": [], "max_history": 4}  # fmt: skip
    record("cope", key="cut", dataset={"options": options, "fingerprint": "cut"})
    page = read(table)
    code, out, _ = call("table", table)
    lines = [line for line in out.splitlines() if line and not line.startswith("#")]
    assert code == 0 and len(lines) >= 3
    assert [line for line in lines if line not in page] == []


def test_latex_keeps_every_row_whole(three, scored, call):
    evil = r"50% & \input{x} [1] $y_1$ ~^#"
    scored("mine", {"a": [0.1, 0.2], "b": [0.3]}, method_title=evil)
    code, out, _ = call("table", "further-methods", "--format", "latex")
    assert code == 0
    assert r"\usepackage{adjustbox, booktabs}" in out
    body = re.findall(r"\\midrule\n(.*?)\\bottomrule", out, re.DOTALL)
    assert len(body) == 2
    for text, columns in zip(body, re.findall(r"\\begin\{tabular\}\{(\w+)\}", out), strict=True):
        for line in text.splitlines():
            assert line.endswith(r" \\")
            assert len(re.findall(r"(?<!\\)&", line)) == len(columns) - 1
    bare = re.sub(r"\\[{}]", "", out)
    assert bare.count("{") == bare.count("}")
    row = next(line for line in out.splitlines() if line.startswith("50"))
    assert row.startswith(
        r"50\% \& \textbackslash{}input\{x\} {[}1{]} \$y\_1\$ \textasciitilde{}\textasciicircum{}\#"
    )
    assert r"\textbf{0.600} {\scriptsize [" in out
    assert len(set(re.findall(r"\\label\{(.*?)\}", out))) == 2


def test_gains_over_a_baseline_of_choice(three, scored, call):
    scored("tam", {"a": [0.1, 0.1], "b": [0.1]})
    found = rows(call("table", "gains", "--baseline", "tam", "--format", "json")[1])
    assert {method for method, *_ in found} == {"cope", "oppu"}
    cope = found["cope", "news_headline", "rouge1"]
    assert (cope["baseline"], cope["relative"]) == ("tam", pytest.approx(500))
    assert (cope["points"], cope["users_better"]) == (pytest.approx(50), 2)
    assert "OPPU over TAM" in call("table", "gains", "--baseline", "tam")[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing"], "there is no 'nothing': did you mean"),
        (["main", "--format", "yaml"], "yaml"),
        ([], "NAME"),
        (["main", "--baseline", "tam"], "lampbench table gains"),
        (["gains", "--baseline", "cop"], "did you mean cope?"),
        (["main", "--results", "nowhere"], "nowhere: no such folder"),
    ],
)
def test_bad_input_is_one_line(three, call, arguments, said):
    code, out, err = call("table", *arguments)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert said in err


def test_damaged_runs_are_named_and_left_out(three, scored, call):
    run = scored("tam", {"a": [0.1, 0.1], "b": [0.1]})
    (run.path / "scores.json.gz").write_text("")
    code, out, err = call("table", "main", "--format", "json")
    assert code == 0 and "scores.json.gz was changed" in err
    assert ("cope", "news_headline", "rouge1") in rows(out)
    assert ("tam", "news_headline", "rouge1") not in rows(out)


def test_a_table_without_runs_says_so(three, call):
    code, out, err = call("table", "sensitivity")
    assert (code, out) == (0, "") and "no run is recorded for this table" in err
    assert json.loads(call("table", "sensitivity", "--format", "json")[1]) == []


def test_statistics_of_the_data(scored, call, cells):
    spread = {"mean": 1234.5, "sd": 6.7, "count": 8}
    known = {"unit": "word", "train": 4321, "train_in": spread, "train_out": spread,
             "profile": spread, "profile_in": spread,
             "profile_out": {"mean": 0.0, "sd": 0.0, "count": 0}}  # fmt: skip
    scored("cope", {"a": [0.5]}, dataset={"statistics": known})
    scored("cope", {"a": [0.5]}, "topic_writing")
    out = call("table", "data")[1]
    table = cells(out, "Statistics")
    ours = table["News Headline"]
    assert (ours["#Train"], ours["L_in"]) == ("4,321", "1,234.5 ± 6.7")
    assert (ours["L_out (user)"], ours["Test users"]) == ("n/a", "1")
    assert table["News Headline, paper"]["L_in (user)"] == "92.2 ± 11.3"
    assert table["topic_writing"]["#Train"] == "3"
    (first, second) = json.loads(call("table", "data", "--format", "json")[1])
    assert {first["task"], second["task"]} == {"news_headline", "topic_writing"}
    by_task = {entry["task"]: entry for entry in (first, second)}
    assert by_task["news_headline"]["train_in_mean"] == 1234.5
    assert by_task["news_headline"]["published_train"] == 7275
    assert by_task["topic_writing"]["train"] == 3


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t"])
def test_csv_holds_no_formula(start, scored, call):
    """Only texts are changed: a negative number stays a number."""
    text = f'{start}HYPERLINK("http://evil.example","x")'
    scored("base", {"ann": [0.5, 0.4]}, model=text)
    scored("cope", {"ann": [0.1, 0.2]}, model=text, dataset={"notes": [text]})
    _, out, _ = call("table", "gains", "--baseline", "base", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert rows and all(row["model"] == f"'{visible(text)}" for row in rows)
    assert all(float(row["points"]) < 0 for row in rows)
    for row in rows:
        for value in row.values():
            assert not value.startswith(("=", "+", "@", "\t"))
            assert not value.startswith("-") or float(value) < 0

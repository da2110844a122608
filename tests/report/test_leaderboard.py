"""The page made from runs."""

import json
import re
import shutil

import pytest

from lampbench.record.runs import load_runs
from lampbench.report.leaderboard import leaderboard, page

MAIN = ("Main table", "bundled, preset small, data bundled")


@pytest.fixture
def read(tmp_path):
    return lambda: leaderboard(tmp_path / "results")[0]


def test_main_table_stands_beside_the_papers(record, read, cells):
    record("cope", good=6)
    record("oppu", good=3)
    table = cells(read(), *MAIN, "ROUGE-L")
    assert list(table) == ["Base", "RAG", "PAG", "TAM", "OPPU", "CoPe"]
    assert table["CoPe"]["News Headline"] == "0.400"
    assert table["CoPe"]["News Headline, paper"] == "0.184"
    assert table["OPPU"]["News Headline"] == "0.200"
    assert table["OPPU"]["News Headline, paper"] == "0.182 \\*"
    assert table["TAM"]["News Headline"] == "no run"
    assert table["TAM"]["Scholarly Title"] == "no run"
    assert table["TAM"]["Scholarly Title, paper"] == "0.456"
    assert "0.181 for the same cell of Table 3" in read()


def test_controls_show_both_means_length_clipping_and_seeds(record, read, cells):
    record("cope", good=6)
    record("cope", good=6, seed=1)
    row = cells(read(), *MAIN, "Controls")["News Headline"]
    assert (row["ROUGE-1"], row["ROUGE-1, by user"]) == ("0.400", "0.300")
    assert (row["Words"], row["Words of reference"]) == ("10.0", "10.0")
    # "x" ten times repeats 6 of 7 4-grams, "x x x x" once nothing: 6/7 of one query in three
    assert (row["Clip rate"], row["Repetition"], row["Seeds"]) == ("0.000", "0.286", "2")


def test_ablation(record, read, cells):
    record("cope", good=3)
    record("oppu_dpo", good=6)
    record("oppu_dpo", "review_writing", good=6)
    text = read()
    table = cells(text, "Ablation: contrastive decoding (CD) and DPO", "ROUGE-L")
    assert list(table) == ["OPPU", "OPPU + CD", "OPPU + DPO", "CoPe"]
    assert [(row["CD"], row["DPO"]) for row in table.values()] == [
        ("no", "no"),
        ("yes", "no"),
        ("no", "yes"),
        ("yes", "yes"),
    ]
    assert table["OPPU + DPO"]["News Headline"] == "0.400"
    assert table["CoPe"]["News Headline"] == "0.200"
    assert table["OPPU"]["News Headline"] == "no run"
    assert table["OPPU + DPO"]["Review Writing"] == "0.400"
    assert "Topic Writing" not in table["OPPU"]
    assert table["OPPU"]["News Headline, paper"] == "0.181 \\*"
    assert table["OPPU + CD"]["Abstract Generation, paper"] == "0.232"


def test_across_models(record, read, cells):
    record("cope", good=6)
    info = {"location": "Qwen/Qwen2.5-1.5B-Instruct", "fingerprint": "q"}
    record("cope", good=3, model="qwen", model_details=info)
    table = cells(read(), "Across models", "News Headline, ROUGE-L")
    assert list(table["CoPe"].items()) == [
        ("Method", "CoPe"),
        ("bundled", "0.400"),
        ("Mistral-7B-Instruct-v0.3", "no run"),
        ("Mistral-7B-Instruct-v0.3, paper", "0.184"),
        ("Llama-3.1-8B-Instruct", "no run"),
        ("Llama-3.1-8B-Instruct, paper", "0.190"),
        ("Gemma-3-4B-it", "no run"),
        ("Gemma-3-4B-it, paper", "0.151"),
        ("qwen", "0.200"),
        ("qwen, paper", "0.131"),
    ]
    own = cells(read(), "Main table", "qwen, preset small, data bundled", "ROUGE-L")
    assert own["CoPe"]["News Headline, paper"] == "0.131"


def test_setups_of_one_model_are_told_apart(record, read):
    record("cope")
    record("cope", key="bf", model_details={"fingerprint": "w0", "dtype": "bfloat16"})
    text = read()
    assert "### bundled (dtype bfloat16), preset small" in text
    assert "### bundled (dtype float32), preset small" in text


def test_other_data_never_share_a_column(record, read, cells):
    record("base", good=3)
    record("cope", good=6, dataset={"fingerprint": "fewer-users", "query_fingerprint": "other"})
    table = cells(read(), *MAIN, "ROUGE-1")
    assert table["Base"]["News Headline (data news_hea)"] == "0.200"
    assert table["CoPe"]["News Headline (data news_hea)"] == "no run"
    assert table["CoPe"]["News Headline (data fewer-us)"] == "0.400"


def test_synthetic_data_are_marked_in_every_table(record, read):
    record("oppu_cd", "review_writing", good=6, dataset={"synthetic": True})
    info = {"fingerprint": "w1", "dtype": "float32"}
    record("cope", "review_writing", key="k2", dataset={"synthetic": True}, model_details=info)
    record("base", "review_writing", dataset={"synthetic": True}, overrides={"x.y": 1})
    text = read()
    sections = [part for part in text.split("\n#") if re.search(r"\| +Review Writing", part)]
    headed = [part for part in text.split("\n#") if part.lstrip("# ").startswith("Review Writing")]
    assert len(sections) >= 11
    assert len(headed) == 2
    for part in sections + headed:
        assert "Review Writing †" in part
        assert "† Synthetic data" in part
    assert text.replace("Review Writing †", "").count("Review Writing") == 0


def test_other_runs_are_listed_with_what_differs(record, read, cells):
    record("cope", good=6, overrides={"decoding.max_new_tokens": 5})
    text = read()
    table = cells(text, "Runs in no table above")
    row = table["News Headline"]
    assert (row["Method"], row["Run"]) == ("CoPe", "cope-0")
    assert row["What differs"] == "decoding.max_new_tokens=5"
    assert row["ROUGE-1"] == "0.400"
    assert "0.400" not in text.split("## Runs in no table above")[0]


def test_other_methods_and_tasks_follow_on_equal_terms(record, read, cells):
    record("zeta", good=3, method_title="Zeta")
    record("alpha", "diary", good=6, task_title="Diary", method_title="ω | <b>bold</b> *x*")
    table = cells(read(), *MAIN, "ROUGE-1")
    assert list(table)[-2:] == ["ω \\| \\<b\\>bold\\</b\\> \\*x\\*", "Zeta"]
    assert table["Zeta"]["Diary"] == "no run"
    assert list(table["Zeta"])[-1] == "Diary"


def test_no_runs_at_all(tmp_path, cells):
    text, problems = leaderboard(tmp_path / "results")
    assert problems == []
    table = cells(text, "Main table", "No run recorded", "ROUGE-1")
    assert table["CoPe"]["Topic Writing"] == "no run"
    assert table["CoPe"]["Topic Writing, paper"] == "0.281"
    assert "Qwen2.5-1.5B-Instruct" in text
    assert "### Abstract Generation, ROUGE-1" in text


def test_the_page_is_the_same_to_the_byte(record, read, tmp_path, monkeypatch):
    for method in ("base", "cope", "oppu_cd", "other"):
        for task in ("news_headline", "review_writing"):
            record(method, task, good=7)
    text = read()
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    shutil.copytree(tmp_path / "results", tmp_path / "elsewhere")
    assert leaderboard(tmp_path / "elsewhere")[0] == text
    runs, _ = load_runs(tmp_path / "results")
    assert page(runs[::-1]) == text
    assert text.endswith("\n") and "\r" not in text
    assert all(line == line.rstrip() for line in text.splitlines())


def test_altered_runs_are_left_out(record, read, tmp_path):
    run = record("cope", good=6)
    manifest = json.loads((run.path / "manifest.json").read_text())
    manifest["scores"]["rougeL"]["queries"] = 0.999
    (run.path / "manifest.json").write_text(json.dumps(manifest))
    text, problems = leaderboard(tmp_path / "results")
    assert "0.999" not in text
    assert "manifest.json was changed" in str(problems[0])

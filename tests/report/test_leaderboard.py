"""The pages made from runs: what each holds, and that the same runs give the same bytes."""

import json
import shutil

import pytest

from lampbench.paper.cast import cast
from lampbench.record.runs import load_runs
from lampbench.report.contents import CONTENTS, arrange

SETUP = "bundled, preset small, data bundled"
QWEN = {"location": "Qwen/Qwen2.5-1.5B-Instruct", "fingerprint": "q"}
TASKS = ("abstract_generation", "review_writing", "topic_writing", "news_headline",
         "scholarly_title")  # fmt: skip


@pytest.fixture
def everything(record):
    """A run of every built-in method on every task of the paper, and one that is excluded."""
    for task in TASKS:
        for place, method in enumerate(cast().methods()):
            record(method, task, good=1 + place % 9)
            if method in cast().main:
                record(method, task, good=9 - place % 9, key=f"{method}-s", model="small")
    record("cope", overrides={"user_sft.rank": 4}, key="other")
    record("cope", overrides={"decoding.alpha": 0.5}, key="swept",
           hyperparameters={"decoding.alpha": {"value": 0.5}})  # fmt: skip
    record("tam", overrides={"decoding.repetition_penalty": 7.0}, key="penalty",
           hyperparameters={"decoding.repetition_penalty": {"value": 7.0}})  # fmt: skip


def test_the_main_table_has_the_six_methods_and_the_tasks_that_have_run(record, read, cells):
    record("cope", good=6)
    record("oppu", good=3)
    record("mine", "topic_writing")
    table = cells(read("main"), SETUP, "ROUGE-L")
    assert list(table) == ["Base", "RAG", "PAG", "TAM", "OPPU", "CoPe"]
    assert list(table["CoPe"]) == ["Method", "News Headline"]
    assert table["CoPe"]["News Headline"] == "0.400"
    assert table["OPPU"]["News Headline"] == "0.200"
    assert table["TAM"]["News Headline"] == "no run"
    page = read("leaderboard")
    assert cells(page, "Main results, ROUGE-L") == table


def test_a_pretrained_model_heads_the_page_once_the_six_have_run(record, read, cells):
    for method in cast().main:
        record(method, good=6)
        record(method, "topic_writing", good=6)
    for method in cast().main[:-1]:
        record(method, good=3, key=f"{method}-q", model="qwen", model_details=QWEN)
    assert f"Model {SETUP}" in read("leaderboard")
    record(cast().main[-1], good=3, key="last-q", model="qwen", model_details=QWEN)
    page = read("leaderboard")
    assert "Model qwen, preset small" in page
    assert cells(page, "Main results, ROUGE-L")["Base"]["News Headline"] == "0.200"
    behind = cells(page, "Bundled model bundled, ROUGE-L")
    assert behind["Base"]["News Headline"] == "0.400"
    assert page.index("Main results") < page.index("Bundled model bundled")


def test_the_papers_figures_stand_only_beside_its_own_models(record, read, cells):
    record("cope", good=6)
    record("oppu", good=6)
    for name in ("leaderboard", "main", "gains", "cross-model", "ablation"):
        assert not [line for line in read(name).splitlines() if "paper" in line and "|" in line]
    record("cope", good=3, key="q", model="qwen", model_details=QWEN)
    record("oppu", good=6, key="q", model="qwen", model_details=QWEN)
    own = cells(read("main"), "qwen, preset small, data bundled", "ROUGE-L")
    assert own["CoPe"]["News Headline"] == "0.200"
    assert own["CoPe"]["News Headline, paper"] == "0.131"
    assert "| paper" not in read("main").partition("## qwen")[0]
    table = cells(read("cross-model"), "News Headline, ROUGE-L")
    assert list(table["CoPe"].items()) == [
        ("Method", "CoPe"), ("bundled", "0.400"), ("qwen", "0.200"), ("qwen, paper", "0.131"),
    ]  # fmt: skip
    gains = read("gains").partition("## qwen")[2].partition("### CoPe over OPPU")[2]
    printed = [line.split("|") for line in gains.splitlines() if "ROUGE-L" in line]
    assert "+3.15" in [cell.strip() for cell in printed[0]]  # 0.131 / 0.127


def test_what_the_paper_prints_has_a_page_of_its_own(read, cells):
    text = read("paper")
    main = cells(text, "Table 1: Main results", "ROUGE-L")
    assert main["CoPe"]["News Headline"] == "0.184"
    assert main["OPPU"]["News Headline"] == "0.182 \\*"
    assert "0.181 for the same cell of Table 3" in text
    ablated = cells(text, "Table 3: Ablation: contrastive decoding (CD) and DPO", "ROUGE-L")
    assert ablated["OPPU + CD"]["Abstract Generation"] == "0.232"
    other = cells(text, "Table 7: Compatibility of CoPe: ROUGE-L on News Headline", "ROUGE-L")
    assert other["TAM"]["Gemma-3-4B-it"] == "0.144"


def test_scores_in_full_show_both_means_length_truncation_and_seeds(record, read, cells):
    record("cope", good=6)
    record("cope", good=6, seed=1)
    row = cells(read("scores"), SETUP, "Scores")["News Headline"]
    assert (row["ROUGE-1"], row["ROUGE-1, by user"]) == ("0.400", "0.300")
    assert (row["Words"], row["Words of reference"]) == ("10.0", "10.0")
    # "x" ten times repeats 6 of 7 4-grams, "x x x x" once nothing: 6/7 of one query in three
    assert (row["Truncated"], row["Repetition"], row["Seeds"]) == ("0.000", "0.286", "2")


def test_the_ablation_has_the_tasks_on_which_an_ablated_method_has_run(record, read, cells):
    record("cope", good=3)
    record("oppu_dpo", good=6)
    record("oppu_dpo", "review_writing", good=6)
    record("cope", "topic_writing", good=6)
    table = cells(read("ablation"), SETUP, "ROUGE-L")
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
    assert "topic_writing" not in table["OPPU"]
    assert cells(read("leaderboard"), "Ablation, ROUGE-L") == table


def test_models_are_compared_where_two_have_run(record, read, cells):
    record("cope", good=6)
    record("oppu", good=6)
    record("cope", good=3, key="other", model="other")
    record("cope", "review_writing", good=3)
    table = cells(read("cross-model"), "News Headline, ROUGE-L")
    assert (table["CoPe"]["bundled"], table["CoPe"]["other"]) == ("0.400", "0.200")
    assert "Review Writing" not in read("cross-model")
    page = read("leaderboard").partition("## Across models, ROUGE-L")[2]
    lines = [line.split() for line in page.splitlines() if line.startswith("| News")]
    assert [line[4] for line in lines] == ["bundled", "other"]
    assert "**0.400**" in lines[0] and "0.200" in lines[1] and "—" not in page


def test_many_models_do_not_outgrow_the_page(record, read):
    for place in range(30):
        record("cope", good=1 + place % 9, key=f"k{place}", model=f"model-{place:02}")
    text = read("leaderboard")
    assert text.count("| News Headline | model-") == 20
    assert "The first 20 of 30 rows." in text and "Holm" not in text
    assert len(text.splitlines()) <= 100
    assert "model-29" in read("cross-model")


def test_setups_of_one_model_are_told_apart(record, read):
    record("cope")
    record("cope", key="bf", model_details={"fingerprint": "w0", "dtype": "bfloat16"})
    text = read("main")
    assert "## bundled (dtype bfloat16), preset small" in text
    assert "## bundled (dtype float32), preset small" in text


def test_other_data_never_share_a_column(record, read, cells):
    record("base", good=3)
    record("cope", good=6, dataset={"fingerprint": "fewer-users", "query_fingerprint": "other"})
    table = cells(read("main"), SETUP, "ROUGE-1")
    assert table["Base"]["News Headline (data news_hea)"] == "0.200"
    assert table["CoPe"]["News Headline (data news_hea)"] == "no run"
    assert table["CoPe"]["News Headline (data fewer-us)"] == "0.400"


def test_data_of_other_numbers_of_users_are_told_apart_by_these(record, scored, read, cells):
    record("base", good=3)
    fewer = {"fingerprint": "fewer-users", "query_fingerprint": "other"}
    scored("cope", {"a": [0.4, 0.6]}, dataset=fewer)
    table = cells(read("main"), SETUP, "ROUGE-1")
    assert table["Base"]["News Headline (2 users)"] == "0.200"
    assert table["CoPe"]["News Headline (1 user)"] == "0.500"
    scored("oppu", {"b": [0.1]}, dataset={"fingerprint": "others", "query_fingerprint": "third"})
    table = cells(read("main"), SETUP, "ROUGE-1")
    assert table["CoPe"]["News Headline (data fewer-us)"] == "0.500"


@pytest.mark.parametrize("name", ["leaderboard", *sorted(CONTENTS.keys() - {"history"})])
def test_synthetic_data_are_marked_in_every_table(record, read, name):
    made_up = {"dataset": {"synthetic": True}}
    for method in ("oppu", "oppu_cd", "cope", "tam", "tam_head", "oppu_mean", "mine"):
        record(method, "review_writing", good=6, **made_up)
    for alpha in (0.1, 0.5):
        record("cope", "review_writing", key=f"a{alpha}", overrides={"decoding.alpha": alpha},
               hyperparameters={"decoding.alpha": {"value": alpha}}, **made_up)  # fmt: skip
    record("tam", "review_writing", key="p", overrides={"decoding.repetition_penalty": 7.0},
           hyperparameters={"decoding.repetition_penalty": {"value": 7.0}}, **made_up)  # fmt: skip
    info = {"fingerprint": "w1", "dtype": "float32"}
    record("cope", "review_writing", key="k2", model_details=info, **made_up)
    record("base", "review_writing", overrides={"x.y": 1}, **made_up)
    record("cope", "diary", task_title="Diary of Review Writing", **made_up)
    text = read(name)
    if name == "paper":
        assert "†" not in text
        return
    tables = [part for part in text.split("\n#") if "Review Writing" in part]
    assert tables
    for part in tables:
        assert "Review Writing †" in part
        assert "† Synthetic data" in part or part.lstrip("# ").startswith("Leaderboard")
    assert text.replace("Review Writing †", "").count("Review Writing") == 0


def test_excluded_runs_are_listed_with_what_differs(record, read, cells):
    record("cope", good=6, overrides={"decoding.max_new_tokens": 5})
    row = cells(read("excluded-runs"), "Runs in no other table")["News Headline"]
    assert (row["Method"], row["Run"]) == ("CoPe", "cope-0")
    assert row["What differs"] == "decoding.max_new_tokens=5"
    assert row["ROUGE-1"] == "0.400"
    for name in CONTENTS.keys() - {"excluded-runs"}:
        assert "0.400" not in read(name)


def test_further_methods_stand_beside_the_six_on_equal_terms(record, read, cells):
    record("cope", good=3)
    record("base", "topic_writing", good=3)
    record("zeta", good=6, method_title="Zeta")
    record("alpha", "diary", good=6, task_title="Diary", method_title="ω | <b>bold</b> *x*")
    table = cells(read("further-methods"), SETUP, "ROUGE-1", marks=True)
    assert list(table)[-2:] == ["ω \\| \\<b\\>bold\\</b\\> \\*x\\*", "Zeta"]
    assert list(table["Zeta"]) == ["Method", "News Headline", "Diary"]
    assert table["Zeta"]["Diary"] == "no run"
    assert table["Zeta"]["News Headline"].startswith("**0.400**")
    assert table["CoPe"]["News Headline"].startswith("0.200")
    assert list(cells(read("main"), SETUP, "ROUGE-1"))[-1] == "CoPe"


def test_controls_and_variants_are_not_in_the_main_table(record, read, cells):
    for method in ("tam", "tam_head", "cope", "cope_init", "oppu_cd"):
        record(method, good=6)
    assert list(cells(read("main"), SETUP, "ROUGE-1")) == [
        "Base", "RAG", "PAG", "TAM", "OPPU", "CoPe",
    ]  # fmt: skip
    table = cells(read("control-methods"), SETUP, "ROUGE-1")
    assert list(table)[-1] == "tam_head"
    assert "cope_init" not in table and "OPPU + CD" not in table
    assert "No run is recorded" in read("further-methods")
    assert "| cope_init" in read("scores") and "| OPPU + CD" in read("scores")


def test_baselines_beyond_the_paper_have_a_table_of_their_own(record, read, cells):
    record("cope", good=3)
    for seed in (0, 1):
        record("oppu_swapped", good=6, seed=seed)
    record("best_of_n", good=5)
    record("oppu_rag", "topic_writing", good=3)
    table = cells(read("beyond-paper"), SETUP, "ROUGE-1")
    assert list(table)[-3:] == ["oppu_rag", "best_of_n", "oppu_swapped"]
    assert list(table)[:6] == ["Base", "RAG", "PAG", "TAM", "OPPU", "CoPe"]
    assert table["oppu_swapped"]["News Headline"].startswith("0.400")
    assert table["oppu_rag"]["News Headline"] == "no run"
    kinds = {name: row["Kind"] for name, row in table.items()}
    assert kinds["CoPe"] == "paper" and kinds["best_of_n"] == "baseline"
    assert kinds["oppu_swapped"] == "control for OPPU"
    assert table["oppu_swapped"]["Seeds"] == "0, 1" and table["TAM"]["Seeds"] == "n/a"
    assert "No run is recorded" in read("further-methods")
    assert list(cells(read("main"), SETUP, "ROUGE-1"))[-1] == "CoPe"


def test_no_runs_at_all(read):
    for name in ("leaderboard", *CONTENTS):
        text = read(name)
        assert ("No run" in text) == (name != "paper")
        assert "no run |" not in text


def test_the_index_names_every_page_and_says_which_are_empty(record, read):
    record("cope")
    index = read("README")
    for name, content in CONTENTS.items():
        (line,) = [line for line in index.splitlines() if f"]({name}.md)" in line]
        assert content.about in line
        assert ("(No run is recorded for it.)" in line) == ("No run is recorded" in read(name))


def test_the_leaderboard_is_two_screens_of_all_there_is_to_say(everything, read):
    text = read("leaderboard")
    assert len(text.splitlines()) <= 100
    assert text.count("\n## ") == 4
    for name in CONTENTS:
        assert f"](results/tables/{name}.md)" in text
    for name in CONTENTS.keys() - {"further-methods", "history", "other-tasks"}:
        assert "No run is recorded" not in read(name)


def test_every_page_is_the_same_to_the_byte(everything, read, tmp_path, monkeypatch):
    before = {name: read(name) for name in ("leaderboard", "README", *CONTENTS)}
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    shutil.copytree(tmp_path / "results", tmp_path / "elsewhere")
    assert {name: read(name, "elsewhere") for name in before} == before
    runs, _ = load_runs(tmp_path / "results")
    forward, backward = arrange(runs), arrange(runs[::-1])
    for content in CONTENTS.values():
        texts = [
            [(table.title, table.header, table.rows, table.notes)
             for section in content.make(arranged) for table in section.tables]
            for arranged in (forward, backward)
        ]  # fmt: skip
        assert texts[0] == texts[1]
    for text in before.values():
        assert text.endswith("\n") and not text.endswith("\n\n") and "\r" not in text
        assert all(line == line.rstrip() for line in text.splitlines())


def test_altered_runs_are_left_out(record, read, tmp_path):
    run = record("cope", good=6)
    manifest = json.loads((run.path / "manifest.json").read_text())
    manifest["scores"]["rougeL"]["queries"] = 0.999
    (run.path / "manifest.json").write_text(json.dumps(manifest))
    _, problems = load_runs(tmp_path / "results")
    assert "0.999" not in read("main")
    assert "manifest.json was changed" in str(problems[0])

"""The page's numbers, and the command that makes it."""

import json
import re
from dataclasses import asdict
from statistics import mean

import pytest
from click.testing import CliRunner

from lampbench.cli.report import report
from lampbench.record.runs import load_runs
from lampbench.report.metric_range import score_interval
from lampbench.report.page.build import encoded, report_files
from lampbench.report.statistics import paired
from lampbench.util.errors import LampbenchError
from tests.report.page.parsed import built, page_of


def scores(run, metric="rougeL"):
    return {(row["user"], row["query"]): row[metric] for row in run.scores}


def test_the_same_runs_give_the_same_bytes(record):
    runs = [record("cope"), record("base", good=3), record("base", task="review_writing")]
    assert page_of(runs, 12) == page_of(reversed(runs), 12)


def test_the_page_is_never_larger_than_it_may_be(record):
    runs = [record("base", task=task) for task in ("news_headline", "review_writing")]
    whole, bare = (len(encoded(report_files(runs, 12, largest=size)[0])) for size in (10**7, 0))
    for largest in (*range(whole - 60, whole + 1, 4), *range(bare + 600, whole, 1000)):
        assert len(encoded(report_files(runs, 12, largest=largest)[0])) <= largest
    assert len(encoded(report_files(runs, 12, largest=whole)[0])) == whole


def test_scores_are_means_over_seeds_with_their_intervals(record):
    one, two = record("cope", good=4), record("cope", good=8, seed=1)
    means = {query: (scores(one)[query] + scores(two)[query]) / 2 for query in scores(one)}
    found = score_interval("rougeL", means)
    assert built(one, two).row("CoPe")[1] == (
        f"best: {found.mean:.3f} {found.low:.3f}\N{EN DASH}{found.high:.3f}"
    )


def test_the_best_of_a_column_is_marked_once(record):
    page = built(record("cope", good=8), record("base", good=2))
    assert page.row("CoPe")[1].startswith("best: ")
    assert page.row("Base")[1].startswith("0.")


def test_differences_are_paired_with_the_first_method(record):
    base, cope = record("base", good=2), record("cope", good=8)
    found = paired(scores(cope), scores(base))
    (said,) = built(base, cope).labels("minus")
    assert f"CoPe {found.difference.mean:+.3f}" in said
    assert f"p {found.exchange:.3f}" in said


def test_differences_by_seed_are_drawn_beside_the_mean(record):
    runs = [record(m, good=g, seed=s) for m, g, s in
            (("base", 2, 0), ("base", 2, 1), ("cope", 6, 0), ("cope", 8, 1))]  # fmt: skip
    page = built(*runs)
    (said,) = page.labels("minus")
    gaps = [mean(scores(run).values()) - mean(scores(runs[0]).values()) for run in runs[2:]]
    assert f"by seed {gaps[0]:+.3f}, {gaps[1]:+.3f}" in said
    assert [v for n, v in page.attributes if n == "class"].count("part") == 2
    assert "by seed" not in built(*runs[::2]).labels("minus")[0]


def test_p_values_are_adjusted_for_the_comparisons_of_a_plot(record, amend):
    """Three users who all gain: 2 of 8 exchanges are as far from zero, and there are two tests."""

    def answered(words):
        def change(row):
            return {"user": row.user + row.query, "prediction": words}

        return change

    runs = [amend(record("base"), answered("w0")), amend(record("cope"), answered("w0 w1 w2"))]
    runs.append(amend(record("tam"), answered("w0 w1")))
    (said,) = built(*runs).labels("minus")
    assert said.count("p 0.500") == 2


def test_runs_on_other_queries_are_listed_apart(record, amend):
    base, cope = record("base"), record("cope")
    amend(base, lambda row: {"query": row.query + "x"})
    page = built(*load_runs(base.path.parents[3])[0])
    assert "answers other queries than the newest run of its column" in page.text
    assert ["Base"] not in [row[:1] for row in page.rows] and cope.path.exists()


def test_ablation_says_what_each_method_has(record):
    page = built(record("oppu", good=3), record("cope", good=6))
    assert ["CoPe", "yes", "yes"] in [row[:3] for row in page.rows]
    assert ["OPPU", "no", "no"] in [row[:3] for row in page.rows]
    assert "Fewer than two of the ablation's methods" in built(record("base")).text


def swept(record, good, seed=0, **overrides):
    parts = {"decoding.alpha": {"value": 0.3, "source": "paper 4.1"}, "other": {"value": 1}}
    for name, value in overrides.items():
        parts[name] = {"value": value, "source": "command"}
    key = "-".join(["cope", str(seed), *map(str, overrides.values())])
    return record("cope", good=good, seed=seed, key=key, hyperparameters=parts, overrides=overrides)


def test_sensitivity_takes_runs_that_change_one_setting(record):
    runs = [swept(record, 5), swept(record, 7, **{"decoding.alpha": 0.5})]
    runs.append(swept(record, 9, **{"decoding.alpha": 0.1}))
    runs.append(swept(record, 2, **{"decoding.alpha": 0.9, "other": 2}))
    (said,) = built(*runs).labels("gives")
    assert said == ("ROUGE-L by decoding.alpha: 0.1 gives 0.600; 0.3 gives 0.333; 0.5 gives 0.467")


def test_a_run_of_a_sweep_is_listed_once_with_what_it_changes(record):
    page = built(swept(record, 5), swept(record, 7, other=2))
    assert page.labels("ROUGE-L by other: 1 gives 0.333; 2 gives 0.467")
    assert "Excluded runs" not in page.text
    assert page.text.count("cope-0-2") == 1 and "other=2" in page.text


def test_a_sweep_without_a_table_is_listed_apart(record):
    page = built(record("base", model="big"), swept(record, 7, **{"decoding.alpha": 0.5}))
    assert not page.labels("gives")
    assert "decoding.alpha=0.5" in page.text.split("Runs in no table above:")[1]


def test_base_models_are_a_sweep_of_methods(record):
    decoding = [{"part": "contrastive", "against": {"part": "task_sft"}}, {"part": "contrastive"}]
    runs = [
        record(method, good=good, method_parts={"decoding": part})
        for method, good, part in zip(("cope", "mine"), (5, 8), decoding, strict=True)
    ]
    (said,) = built(*runs).labels("gives")
    assert said == (
        "ROUGE-L by base model: task_sft gives 0.333; none (the untouched model) gives 0.533"
    )


def test_setups_are_titled_as_in_the_leaderboard(record, read):
    runs = [record("cope"), record("base", preset="paper")]
    titles = re.findall(r"^## (bundled.*)$", read("main"), re.MULTILINE)
    text = built(*runs).text
    assert "bundled (preset paper), preset paper, data bundled" in titles
    assert [title for title in titles if title not in text] == []


def test_sensitivity_says_where_there_is_none(record):
    default, same = swept(record, 5), swept(record, 6, **{"decoding.alpha": 0.3})
    for runs in ([default], [default, same]):
        assert "No recorded run differs from the defaults in one setting only" in built(*runs).text


def stage(name, seconds, trained=0, read=0, written=0):
    return {"stage": name, "seconds": seconds, "trained_tokens": trained,
            "prompt_tokens": read, "new_tokens": written}  # fmt: skip


def test_costs_are_per_user(record):
    """Two users."""
    stages = [stage("task_sft", 10, trained=1000), stage("predict", 3, read=60, written=40)]
    page = built(record("tam", stages=stages))
    (row,) = [row for row in page.rows if row[:2] == ["News Headline", "TAM"]]
    assert row[3:] == ["500", "50", "5.00", "1.50"]


def test_costs_that_are_missing_are_said_to_be(record):
    (row,) = [row for row in built(record("tam")).rows if row[:2] == ["News Headline", "TAM"]]
    assert row[3:] == ["not recorded"] * 4


def test_manifests_are_whole(record):
    runs = [record("cope"), record("cope", seed=1), record("base")]
    (data,) = built(*runs).packed("manifests")
    found = [
        {name: data["values"][place] for name, place in numbered.items()}
        for numbered in data["manifests"]
    ]
    assert sorted(m["key"] for m in found) == ["base-0", "cope-0", "cope-1"]
    for run in runs:
        assert json.loads(json.dumps(asdict(run.manifest))) in found


def test_runs_in_no_table_are_listed_with_the_reason(record):
    page = built(record("cope"), record("tam", fidelity="reference"))
    assert "fidelity reference" in page.text
    assert "tam-0" in page.text


def test_links_lead_somewhere(record):
    page = built(record("cope"), record("base", preset="paper"), record("tam", fidelity="x"))
    places = {v[1:] for k, v in page.attributes if k == "href"}
    assert places <= {v for k, v in page.attributes if k == "id"}


def test_no_runs_make_a_page_that_says_so(record):
    assert "No run with a method's default settings" in built().text
    assert "fidelity reference" in built(record("tam", fidelity="reference")).text


def test_the_command_writes_and_names_what_it_left_out(record, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    broken = record("tam")
    (broken.path / "scores.json.gz").write_text("")
    record("cope")
    record("base")
    result = CliRunner().invoke(report, ["--output", "page.html"])
    written = [line.partition(",")[0] for line in result.output.splitlines()[-2:]]
    assert written == ["page.html: written", "page-comparisons.html: written"]
    assert 'href="page-comparisons.html#comparisons"' in (tmp_path / "page.html").read_text("utf-8")
    assert 'href="page.html"' in (tmp_path / "page-comparisons.html").read_text("utf-8")
    assert "scores.json.gz was changed" in result.stderr
    before = (tmp_path / "page.html").read_bytes()
    CliRunner().invoke(report, ["--output", "page.html"])
    assert (tmp_path / "page.html").read_bytes() == before
    assert b"cope-0" in before
    assert b"tam-0" not in before


@pytest.mark.parametrize("arguments", [["--results", "nowhere"], ["--output", "no/where.html"]])
def test_bad_input(record, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    record("cope")
    assert isinstance(CliRunner().invoke(report, arguments).exception, LampbenchError)


def test_the_command_needs_no_torch(record, tmp_path, python):
    record("cope")
    code = (
        "import sys; from lampbench.cli.report import report; "
        "report(sys.argv[1:], standalone_mode=False); "
        "print([m for m in ('torch', 'transformers', 'nltk') if m in sys.modules])"
    )
    options = ["--results", str(tmp_path / "results"), "--output", str(tmp_path / "page.html")]
    done = python("-c", code, *options)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr

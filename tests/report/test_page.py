"""The page's numbers and texts, as its file holds them."""

import json
import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser

import pytest
from click.testing import CliRunner

from lampbench.cli.report import report
from lampbench.errors import LampbenchError
from lampbench.report.page.build import encoded, render
from lampbench.report.statistics import interval, paired

HOSTILE = "</script><script>hacked=1</script><img src=x onerror=hacked=1>\u2028\u202e{{ 7*7 }}&lt;"


class Page(HTMLParser):
    """Elements, attributes, and the text inside tables, of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.rows, self.text = [], [], [], ""
        self.scripts, self._row, self._script = [], None, False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag == "script":
            self.scripts.append("")
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append("")
        if tag == "small" and self.rows and self.rows[-1]:
            self.rows[-1][-1] += " "
        self._script = tag == "script"
        self._cell = tag in ("th", "td") or (getattr(self, "_cell", False) and tag != "figure")

    def handle_endtag(self, tag):
        self._script = False
        if tag in ("th", "td"):
            self._cell = False

    def handle_data(self, data):
        if self._script:
            self.scripts[-1] += data
            return
        self.text += data
        if getattr(self, "_cell", False):
            self.rows[-1][-1] += data.strip("\n")

    def json(self, place):
        return json.loads(self.scripts[place])

    def row(self, label):
        return next(row for row in self.rows if row and row[0] == label)


def built(*runs, count=12):
    return Page(render(runs, count))


def scores(run, metric="rougeL"):
    return {(row["user"], row["query"]): row[metric] for row in run.scores}


def test_the_same_runs_give_the_same_bytes(record):
    runs = [record("cope"), record("base", good=3), record("base", task="review_writing")]
    assert render(runs, 12) == render(reversed(runs), 12)


def test_scores_are_means_over_seeds_with_their_intervals(record):
    one, two = record("cope", good=4), record("cope", good=8, seed=1)
    means = {query: (scores(one)[query] + scores(two)[query]) / 2 for query in scores(one)}
    found = interval(means)
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
    (said,) = [v for k, v in built(base, cope).attributes if k == "aria-label" and "less" in v]
    assert f"CoPe {found.difference.mean:+.3f}" in said
    assert f"p {found.exchange:.3f}" in said


def test_p_values_are_adjusted_for_the_comparisons_of_a_plot(record, amend):
    """Three users who all gain: 2 of 8 exchanges are as far from zero, and there are two tests."""

    def answered(words):
        def change(row):
            row.update(user=row["user"] + row["query"], prediction=words)

        return change

    runs = [amend(record("base"), answered("w0")), amend(record("cope"), answered("w0 w1 w2"))]
    runs.append(amend(record("tam"), answered("w0 w1")))
    (said,) = [v for k, v in built(*runs).attributes if k == "aria-label" and "less" in v]
    assert said.count("p 0.500") == 2


def test_runs_on_other_queries_are_refused_by_name(record, amend):
    base, cope = record("base"), record("cope")
    other = amend(cope, lambda row: row.update(query=row["query"] + "x"))
    with pytest.raises(LampbenchError, match=re.escape(str(other.path))):
        built(base, other)


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
    return record("cope", good=good, seed=seed, key=key, parts=parts, overrides=overrides)


def test_sensitivity_takes_runs_that_change_one_setting(record):
    runs = [swept(record, 5), swept(record, 7, **{"decoding.alpha": 0.5})]
    runs.append(swept(record, 9, **{"decoding.alpha": 0.1}))
    runs.append(swept(record, 2, **{"decoding.alpha": 0.9, "other": 2}))
    (said,) = [v for k, v in built(*runs).attributes if k == "aria-label" and "gives" in v]
    assert said == ("ROUGE-L by decoding.alpha: 0.1 gives 0.600; 0.3 gives 0.333; 0.5 gives 0.467")


def test_sensitivity_says_where_there_is_none(record):
    default, same = swept(record, 5), swept(record, 6, **{"decoding.alpha": 0.3})
    for runs in ([default], [default, same]):
        assert "No recorded run changes one setting alone" in built(*runs).text


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
    broken = record("tam", key="k", stages=[{"stage": "predict"}], created="2026-02-01")
    with pytest.raises(LampbenchError, match=r"manifest\.json: a stage lacks its cost"):
        built(broken)


def test_texts_of_runs_never_become_markup(record, amend):
    run = record(
        "cope",
        method_title=HOSTILE,
        task_title=HOSTILE,
        model=HOSTILE,
        command=HOSTILE,
        parts={HOSTILE: {"value": HOSTILE, "source": HOSTILE}},
        dataset={"source": HOSTILE},
    )
    plain = built(record("base"), record("tam"))

    def change(row):
        row.update(user=row["user"] + HOSTILE, prediction=HOSTILE, reference="none")

    base = record("base", task="review_writing")
    page = built(base, amend(run, change))
    other = built(base, amend(run, change, overrides={HOSTILE: HOSTILE}, key="other"))
    for tags in (page.tags, other.tags):
        assert "img" not in tags
        assert tags.count("script") == plain.tags.count("script") == 3
    assert not [name for name, _ in page.attributes + other.attributes if name.startswith("on")]
    shown = ["".join(a["pieces"]) for a in answers(page) if a["method"] == HOSTILE]
    assert shown == [HOSTILE] * 3
    assert "\u2028" not in "".join(page.scripts)


def answers(page):
    (setup, *rest) = page.json(0)
    tasks = [task for each in (setup, *rest) for task in each["tasks"]]
    return [answer for task in tasks for q in task["queries"] for answer in q["answers"]]


@pytest.mark.parametrize("odd", ["\0", "\ud83d", "\u202eabc", "\u2028", "", " \n"])
def test_odd_texts_are_kept(record, amend, odd):
    run = amend(record("cope"), lambda row: row.update(prediction=odd), method_title=f"M{odd}")
    page = Page(encoded(render([run], 12)).decode())
    assert {"".join(answer["pieces"]) for answer in answers(page)} == {odd}


def test_examples_are_bounded_and_chosen_without_scores(record, amend):
    run = record("cope")
    (task,) = built(run, count=2).json(0)[0]["tasks"]
    assert (len(task["queries"]), task["total"]) == (2, 3)
    other = amend(run, lambda row: row.update(prediction="w0 w1 w2"))
    (again,) = built(other, count=2).json(0)[0]["tasks"]
    assert [q["query"] for q in task["queries"]] == [q["query"] for q in again["queries"]]
    assert task["queries"] != again["queries"]


def test_which_example_is_shown_does_not_change(record, amend):
    """The choice is part of the page; it is not the first by name."""
    run = amend(record("cope"), lambda row: row.update(user=row["user"] + "c"))
    ((query,),) = [task["queries"] for task in built(run, count=1).json(0)[0]["tasks"]]
    assert (query["user"], query["query"]) == ("bc", "1")


def test_marked_words_are_the_matches_of_rouge1(record):
    run = record("cope", good=3)
    for answer, row in zip(answers(built(run)), run.scores, strict=True):
        shared = len(answer["pieces"]) // 2
        assert 2 * shared / 20 == pytest.approx(row["rouge1"])


def test_a_withheld_reference_marks_and_scores_nothing(record, amend):
    run = amend(record("cope"), lambda row: row.update(reference=None))
    page = built(run)
    assert [(a["scores"], len(a["pieces"])) for a in answers(page)] == [([], 1)] * 3
    assert "nothing could be scored" in page.text


def test_rewards_prompt_and_history_are_shown_where_recorded(record, amend):
    extra = {"tokens": ["w", "0"], "rewards": [0.25, -1], "prompt": "p" * 700, "history": ["h"]}
    run = amend(record("cope"), lambda row: row.update(extra))
    for answer in answers(built(run)):
        assert (answer["tokens"], answer["rewards"]) == (["w", "0"], [0.25, -1])
        assert (answer["prompt"], answer["history"]) == ("p" * 600 + "…", ["h"])
    for answer in answers(built(record("base"))):
        assert not {"tokens", "rewards", "prompt", "history"} & answer.keys()


@pytest.mark.parametrize(
    "extra",
    [
        {"tokens": ["a"]},
        {"tokens": ["a"], "rewards": [1, 2]},
        {"tokens": ["a"], "rewards": ["1"]},
        {"tokens": ["a"], "rewards": [True]},
        {"tokens": [1], "rewards": [1.0]},
        {"tokens": "a", "rewards": [1.0]},
        {"prompt": 3},
        {"history": "text"},
        {"prediction": "x", "reference": "x", "history": [1]},
    ],
)
def test_unsound_extras_are_named(record, amend, extra):
    run = amend(record("cope"), lambda row: row.update(extra))
    with pytest.raises(LampbenchError, match=r"predictions\.jsonl, query '1' of user 'a'"):
        built(run)


def test_manifests_are_whole(record):
    runs = [record("cope"), record("cope", seed=1), record("base")]
    data = built(*runs).json(1)
    found = [
        {name: data["values"][place] for name, place in numbered.items()}
        for numbered in data["manifests"]
    ]
    assert sorted(m["key"] for m in found) == ["base-0", "cope-0", "cope-1"]
    for run in runs:
        assert json.loads(json.dumps(run.manifest)) in found


def test_runs_in_no_table_are_listed_with_the_reason(record):
    page = built(record("cope"), record("tam", fidelity="reference"))
    assert "fidelity reference" in page.text
    assert "tam-0" in page.text


def test_nothing_is_fetched_and_nothing_else_runs(record):
    text = render([record("cope")], 12)
    page = Page(text)
    places = [v for k, v in page.attributes if k in ("href", "src", "action", "data")]
    assert places
    assert all(place.startswith("#") for place in places)
    (policy,) = [v for k, v in page.attributes if k == "content" and "default-src" in v]
    script = b64encode(sha256(page.scripts[2].encode()).digest()).decode()
    style = re.search("<style>(.*?)</style>", text, re.DOTALL)[1]
    assert f"script-src 'sha256-{script}'" in policy
    assert f"style-src 'sha256-{b64encode(sha256(style.encode()).digest()).decode()}'" in policy
    assert "default-src 'none'" in policy


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
    (broken.path / "scores.jsonl").write_text("")
    record("cope")
    result = CliRunner().invoke(report, ["--output", "page.html"])
    assert result.output.splitlines()[-1].startswith("page.html: written")
    assert "scores.jsonl was changed" in result.stderr
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

"""Texts of runs on the page: data, never markup."""

import re
from base64 import b64encode
from hashlib import sha256

import pytest

from lampbench.report.page.build import encoded
from lampbench.util.errors import LampbenchError
from tests.report.page.parsed import Page, built, page_of

HOSTILE = "</script><script>hacked=1</script><img src=x onerror=hacked=1>\u2028\u202e{{ 7*7 }}&lt;"


def test_texts_of_runs_never_become_markup(record, amend):
    run = record(
        "cope",
        method_title=HOSTILE,
        task_title=HOSTILE,
        model=HOSTILE,
        command=HOSTILE,
        hyperparameters={HOSTILE: {"value": HOSTILE, "source": HOSTILE}},
        dataset={"source": HOSTILE},
    )
    plain = built(record("base"), record("tam"))

    def change(row):
        return {"user": row.user + HOSTILE, "prediction": HOSTILE, "reference": "none"}

    base = record("base", task="review_writing")
    run = amend(run, change)
    page = built(base, run)
    other = built(base, amend(run, lambda row: {}, overrides={HOSTILE: HOSTILE}, key="other"))
    # examples and manifests of each setup, manifests of runs in no table, and the script
    for one, scripts in ((plain, 3), (page, 5), (other, 4)):
        assert "img" not in one.tags
        assert one.tags.count("script") == scripts
    assert not [name for name, _ in page.attributes + other.attributes if name.startswith("on")]
    shown = ["".join(a["pieces"]) for a in page.answers() if a["method"] == HOSTILE]
    assert shown == [HOSTILE] * 3
    assert "\u2028" not in "".join(page.scripts)


@pytest.mark.parametrize("odd", ["\0", "\ud83d", "\u202eabc", "\u2028", "", " \n"])
def test_odd_texts_are_kept(record, amend, odd):
    run = amend(record("cope"), lambda row: {"prediction": odd}, method_title=f"M{odd}")
    page = Page(encoded(page_of([run], 12)).decode())
    assert {"".join(answer["pieces"]) for answer in page.answers()} == {odd}


def test_examples_are_bounded_and_chosen_without_scores(record, amend):
    run = record("cope")
    (task,) = built(run, count=2).packed("examples")[0]
    assert (len(task["queries"]), task["total"]) == (2, 3)
    other = amend(run, lambda row: {"prediction": "w0 w1 w2"})
    (again,) = built(other, count=2).packed("examples")[0]
    assert [q["query"] for q in task["queries"]] == [q["query"] for q in again["queries"]]
    assert task["queries"] != again["queries"]


def test_which_example_is_shown_does_not_change(record, amend):
    """The choice is part of the page; it is not the first by name."""
    run = amend(record("cope"), lambda row: {"user": row.user + "c"})
    ((query,),) = [task["queries"] for task in built(run, count=1).packed("examples")[0]]
    assert (query["user"], query["query"]) == ("bc", "1")


def test_marked_words_are_the_matches_of_rouge1(record):
    run = record("cope", good=3)
    for answer, row in zip(built(run).answers(), run.scores, strict=True):
        shared = len(answer["pieces"]) // 2
        assert 2 * shared / 20 == pytest.approx(row["rouge1"])


def test_a_withheld_reference_marks_and_scores_nothing(record, amend):
    run = amend(record("cope"), lambda row: {"reference": None})
    page = built(run)
    assert [(a["scores"], len(a["pieces"])) for a in page.answers()] == [([], 1)] * 3
    assert "nothing could be scored" in page.text


def test_rewards_query_and_history_are_shown_where_recorded(record, amend, asked):
    extra = {"tokens": ["w", "0"], "rewards": [0.25, -1]}
    run = amend(record("cope"), lambda row: extra)
    for answer in built(run).answers():
        assert (answer["tokens"], answer["rewards"]) == (["w", "0"], [0.25, -1])
        assert answer["history"] == []
    (queries,) = [task["queries"] for task in built(run).packed("examples")[0]]
    assert [query["fields"] for query in queries] == [[]] * 3
    run = amend(run, lambda row: {"quoted": ["r2", "r1"]})
    run = asked(run, {"article": "p" * 700}, {"r1": "first", "r2": "second", "r3": "third"})
    (queries,) = [task["queries"] for task in built(run).packed("examples")[0]]
    for query in queries:
        assert query["fields"] == [["article", "p" * 600 + "…"]]
        assert query["answers"][0]["history"] == ["second", "first"]
    for answer in built(record("base")).answers():
        assert answer["history"] == [] and not {"tokens", "rewards"} & answer.keys()


def test_a_quoted_record_that_the_history_lacks_is_named(record, amend, asked):
    run = amend(record("cope"), lambda row: {"quoted": ["r1", "unknown"]})
    run = asked(run, {"article": "a"}, {"r1": "first"})
    with pytest.raises(LampbenchError, match=r"predictions\.json\.gz, query '1' of user 'a'"):
        built(run)


def test_nothing_is_fetched_and_nothing_else_runs(record):
    text = page_of([record("cope")], 12)
    page = Page(text)
    places = [v for k, v in page.attributes if k in ("href", "src", "action", "data")]
    assert places
    assert all(place.startswith("#") for place in places)
    (policy,) = [v for k, v in page.attributes if k == "content" and "default-src" in v]
    script = b64encode(sha256(page.scripts[-1].encode()).digest()).decode()
    styles = re.search("<style>(.*?)</style>", text, re.DOTALL)
    assert styles is not None
    assert f"script-src 'sha256-{script}'" in policy
    assert f"style-src 'sha256-{b64encode(sha256(styles[1].encode()).digest()).decode()}'" in policy
    assert "default-src 'none'" in policy

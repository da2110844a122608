"""`lampbench examples --format json`: the answers with what they share with the user's text."""

import json

import pytest


@pytest.fixture
def two(record, asked):
    runs = [record(method, good=good) for method, good in (("base", 2), ("cope", 5))]
    asked(runs[0], {"article": "About fish"}, {"r1": "An earlier headline"})


ASKED = ("examples", "--task", "news_headline", "--method", "base", "--method", "cope")


def test_json_has_answers_scores_and_shared_words(two, call):
    code, out, err = call(*ASKED, "--format", "json", "--count", "2")
    assert (code, err) == (0, "") and out.isascii()
    found = json.loads(out)
    assert (found["task"], found["pick"]) == ("news_headline", "drawn")
    (dataset,) = found["datasets"]
    assert (dataset["model"], dataset["data"]) == ("bundled", "bundled")
    assert len(dataset["examples"]) == 2
    example = next(each for each in dataset["examples"] if each["user"] == "a")
    assert example["fields"] == {"article": "About fish"}
    assert example["history"] == ["An earlier headline"]
    assert example["reference"] == " ".join(f"w{i}" for i in range(10))
    base, cope = example["answers"]
    assert (base["method"], base["shared_words"]) == ("base", ["w0", "w1"])
    assert cope["text"] == "w0 w1 w2 w3 w4 x x x x x"
    assert cope["rougeL"] == pytest.approx(0.5)


def test_text_and_json_show_the_same_queries(two, call):
    _, text, _ = call(*ASKED, "--pick", "gain", "--count", "1")
    (dataset,) = json.loads(call(*ASKED, "--pick", "gain", "--count", "1", "--format", "json")[1])[
        "datasets"
    ]
    (example,) = dataset["examples"]
    assert f"### {example['user']}, {example['query']}" in text


@pytest.mark.parametrize("command", ["examples", "overview"])
def test_data_that_one_of_the_methods_has_not_answered_is_left_out_and_named(
    two, record, call, command
):
    record("base", model="another", key="x")
    code, out, err = call(command, *ASKED[1:])
    assert code == 0, err
    (said,) = err.splitlines()
    assert said.startswith("left out: News Headline, another") and said.endswith("no run of cope")
    assert "another" not in out


def test_no_data_that_all_methods_answered_is_an_error(record, call):
    record("base")
    record("cope", model="another")
    code, _, err = call(*ASKED)
    assert code == 2 and "name other methods with --method" in err

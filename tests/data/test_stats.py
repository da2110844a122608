"""Table 4, and the commands that print it and import data."""

import json

import pytest
from click.testing import CliRunner

from lampbench.cli.data import data
from lampbench.data import DataOptions, load
from lampbench.data.stats import measure, spread, tokens_of, words
from lampbench.util.errors import LampbenchError


def run(*arguments):
    result = CliRunner().invoke(data, arguments)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_table_four_of_a_small_source(news, lamp):
    row = measure(load(news, f"lamp:{lamp}", DataOptions(users=2)), news, words, "word")
    assert (row.train, row.users, row.queries) == (3, 2, 2)
    assert (row.profile.mean, row.profile.sd, row.profile.count) == (7.0, 1.0, 2)
    # "You are a news headline generator." (6), the instruction (7), article:, headline: (2)
    assert (row.train_in.mean, row.train_in.sd) == (6 + 7 + 2 + 3, 0.0)  # "Asked text q1"
    assert row.train_out.mean == 2  # "Gold q1"
    assert (row.profile_in.mean, row.profile_in.count) == (6 + 7 + 2 + 4, 14)
    assert row.profile_out.mean == 4


def test_spread():
    assert (spread([1, 3]).mean, spread([1, 3]).sd) == (2.0, 1.0)
    assert str(spread([1000, 1001])) == "1,000.5 ± 0.5"
    assert str(spread([])) == "-"


def test_tokens_of_a_models_tokenizer(tmp_path):
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"a": 0, "-": 1, "?": 2}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Punctuation()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert tokens_of(tmp_path)("a-a") == 3
    with pytest.raises(LampbenchError, match=r"none.*no such tokenizer"):
        tokens_of(tmp_path / "none")
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(LampbenchError, match="is no tokenizer"):
        tokens_of(tmp_path)


def test_stats_command(lamp):
    source = ["--data", f"lamp:{lamp}", "--users", "2"]
    printed = run("stats", "--task", "news_headline", *source).output
    assert "7.0 ± 1.0" in printed
    assert "user split: train, dev" in printed
    both = run("stats", *source).output
    assert "no data: review_writing: " in both  # all tasks; the folder has one
    found = json.loads(run("stats", *source, "--format", "json").output)
    assert [row["task"] for row in found["datasets"]] == ["news_headline"]
    assert found["datasets"][0]["profile"] == {"mean": 7.0, "sd": 1.0, "count": 2}
    assert len(found["without_data"]) == 4
    only = json.loads(
        run("stats", *source, "--split", "train", "--users", "1", "--format", "json").output
    )
    assert only["datasets"][0]["train"] == 1


def test_stats_of_a_task_that_is_not_there(lamp):
    with pytest.raises(LampbenchError, match="LaMP_5"):
        run("stats", "--task", "scholarly_title", "--data", f"lamp:{lamp}")
    with pytest.raises(LampbenchError, match="no data of task"):
        run("stats", "--data", str(lamp.parent))


def test_findings_are_printed(lamp, tmp_path):
    path = lamp / "train_questions.json"
    questions = json.loads(path.read_text())
    questions[1]["profile"] = [questions[1]["profile"][0]] * 2
    path.write_text(json.dumps(questions))
    printed = run("stats", "--task", "news_headline", "--data", f"lamp:{lamp}").output
    assert "profile entries (of all users) that stand twice, one kept: 1" in printed
    assert "of 4 users 2 are tested" in printed


def test_import_command(news, lamp, tmp_path):
    output = tmp_path / "mine"
    arguments = ["import", "--task", "news_headline", "--data", f"lamp:{lamp}", "--users", "2"]
    result = run(*arguments, "--output", str(output))
    assert result.exit_code == 0
    assert f"--data lampbench:{output}" in result.output
    assert len(load(news, f"lampbench:{output}", DataOptions()).test_users) == 2
    with pytest.raises(LampbenchError, match="exists already"):
        run(*arguments, "--output", str(output))
    (lamp / "train_questions.json").write_text("[")
    with pytest.raises(LampbenchError, match="malformed JSON"):
        run(*arguments, "--output", str(tmp_path / "other"))
    assert not (tmp_path / "other").exists()


def test_audit_of_published_files(tmp_path, question, profile, write_lamp):
    """An article that two users of LaMP have: a leak where it is asked, else reported."""
    mine = profile("a", 6)
    twice = {**mine[0], "id": "elsewhere"}
    ask = "Generate a headline for the following article: "
    train = [question("q1", profile("b", 3), user_id="b", input=ask + mine[1]["text"])]
    train += [question("q2", profile("c", 2), user_id="c", input=ask + "Asked text q4")]
    dev = [
        question("q4", mine, user_id="a"),
        question("q5", [twice, *profile("d", 4)], user_id="d"),
    ]
    write_lamp(tmp_path / "lamp", "train", train)
    write_lamp(tmp_path / "lamp", "dev", dev)
    source = ["--task", "news_headline", "--data", f"lamp:{tmp_path / 'lamp'}", "--users", "2"]
    result = run("audit", *source, "--format", "json")
    assert result.exit_code == 1
    (found,) = json.loads(result.output)["datasets"]
    assert (found["leaks"], found["dev_users"]) == (1, 0)
    cases = {
        (f["what"], f["where"], f["leak"]): [case["what"] for case in f["cases"]]
        for f in found["findings"]
        if f["cases"]
    }
    assert cases == {
        ("test queries", "training records", True): ["query 'q4' of test user 'a'"],
        ("history of test users", "history of test users", False): [
            "record 'a0' of test user 'a'",
            "record 'elsewhere' of test user 'd'",
        ],
        ("history of test users", "training records", False): ["record 'a1' of test user 'a'"],
    }

"""Private runs hold no text of a user and none of the model, and say so."""

import gzip
import json
from hashlib import sha256

import pytest

from lampbench import api
from lampbench.record.private import PRIVATE, without_texts
from lampbench.record.runs import load_runs
from lampbench.scoring import PredictionRow
from lampbench.util.hashing import canonical
from tests.report.page.parsed import Page

RUN = ["run", "--method", "base", "--method", "tam", "--task", "news_headline", "--users", "2"]


@pytest.fixture
def lampbench(call, on_fake_engine):
    """The command line, with an engine that only records."""
    return call


def all_text(folder):
    """Everything that the files below a folder say, unpacked."""
    parts = []
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            data = file.read_bytes()
            parts.append(gzip.decompress(data) if file.suffix == ".gz" else data)
    return b"\n".join(parts).decode()


def test_no_text_is_recorded_and_every_score_is(lampbench, tmp_path):
    assert lampbench(*RUN, "--results", "open")[0] == 0
    assert lampbench(*RUN, "--results", "closed", "--private")[0] == 0
    (with_texts, _), _ = load_runs(tmp_path / "open")
    (private, _), problems = load_runs(tmp_path / "closed")
    assert problems == [] and private.manifest.private and not with_texts.manifest.private
    assert private.manifest.key == with_texts.manifest.key
    assert private.scores == with_texts.scores
    assert private.manifest.scores == with_texts.manifest.scores
    text = all_text(tmp_path / "closed")
    for row in with_texts.predictions:
        assert json.dumps(row.prediction)[1:-1] not in text
        assert json.dumps(row.reference)[1:-1] not in text
        for value in with_texts.queries[row.user, row.query].fields.values():
            assert json.dumps(value, ensure_ascii=False)[1:-1] not in text
    for records in with_texts.histories.values():
        for beginning in records.values():
            assert json.dumps(beginning, ensure_ascii=False)[1:-1] not in text
    assert private.manifest.prompt_head == ()


def test_hashes_and_lengths_are_recorded(lampbench, tmp_path):
    lampbench(*RUN, "--results", "open")
    lampbench(*RUN, "--results", "closed", "--private")
    (with_texts, _), _ = load_runs(tmp_path / "open")
    (private, _), _ = load_runs(tmp_path / "closed")
    for known, row in zip(with_texts.predictions, private.predictions, strict=True):
        assert row.prediction is None and row.reference is None
        assert known.prediction is not None
        assert row.prediction_sha256 == sha256(known.prediction.encode()).hexdigest()
        assert row.prediction_length == len(known.prediction)
        assert (row.user, row.query, row.new_tokens) == (known.user, known.query, known.new_tokens)
        asked = with_texts.queries[row.user, row.query]
        content = canonical([dict(asked.fields), asked.reference])
        found = private.queries[row.user, row.query]
        assert found.sha256 == sha256(content.encode()).hexdigest()
        assert (found.fields, found.reference) == ({}, None)


def test_every_command_says_that_the_texts_are_private(lampbench, tmp_path):
    lampbench(*RUN, "--private")
    keys = [run.manifest.key for run in load_runs(tmp_path / "results")[0]]
    names = ("--task", "news_headline", "--method", "base", "--method", "tam")
    for command in (("examples", *names), ("overview", *names),
                    ("compare", *keys, "--most", "2"), ("compare", *keys)):  # fmt: skip
        code, out, err = lampbench(*command)
        assert code == 0, (command, err)
        assert PRIVATE in out or command[-1] == keys[-1], command
    code, _, err = lampbench("report", "--output", "page.html")
    assert code == 0, err
    page = Page((tmp_path / "page.html").read_text())
    shown = page.answers()
    assert shown and all(PRIVATE in json.dumps(answer) for answer in shown)
    code, _, err = lampbench("export", keys[0], "out.json")
    assert code == 2 and "a private run, which recorded no answers" in err
    assert not (tmp_path / "out.json").exists()
    before = all_text(tmp_path / "results")
    code, out, err = lampbench("score")
    assert (code, err) == (0, "") and out.count("up to date") == 2
    assert all_text(tmp_path / "results") == before
    assert lampbench("leaderboard")[0] == 0


def test_a_metric_that_is_not_recorded_cannot_be_computed(lampbench, tmp_path):
    lampbench(*RUN, "--private")
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        "from lampbench.plugin import Metric, register_metric\n"
        "@register_metric('letters')\n"
        "class Mine(Metric):\n"
        "    title, high = 'Letters', None\n"
        "    def score(self, answer):\n        return len(answer.text)\n"
    )
    code, _, err = lampbench("score", "--metric", "letters", "--plugins", plugin)
    assert code == 0
    assert "letters is null in 2 runs: the run is private: it recorded no texts" in err


def test_a_record_with_texts_is_not_taken_for_a_private_one(lampbench, tmp_path):
    lampbench(*RUN)
    code, _, err = lampbench(*RUN, "--private")
    assert code == 2 and "recorded already, with its texts; add --force" in err
    (run, _), _ = load_runs(tmp_path / "results")
    words = run.queries[run.scores.places[0]].fields["text"]
    assert lampbench(*RUN, "--private", "--force")[0] == 0
    assert words not in all_text(tmp_path / "results"), "files that nobody names are deleted"
    assert load_runs(tmp_path / "results")[1] == []
    assert lampbench(*RUN, "--private")[0] == 0


@pytest.mark.parametrize("how", [(), ("--shard", "0/2")])
def test_a_private_record_is_not_taken_for_one_with_texts(lampbench, tmp_path, how):
    run = [*RUN[:3], *RUN[5:]]
    assert lampbench(*run, "--private")[0] == 0
    code, _, err = lampbench(*run, *how)
    (said,) = [line for line in err.splitlines() if "already recorded" in line]
    assert code == 0
    assert said.startswith("already recorded, without texts (--private): ")
    assert said.endswith("(--force runs it again and records them)")
    assert "without texts" not in lampbench(*run, *how, "--private")[2]
    planned = "recorded already, without texts (--force records it again): "
    assert planned in lampbench(*run, "--dry-run")[1]
    assert "texts" not in lampbench(*run, "--private", "--dry-run")[1]
    as_json = ("--private", "--dry-run", "--format", "json")
    (plan,) = json.loads(lampbench(*run, *as_json)[1])["plans"]
    assert (plan["recorded"], plan["recorded_texts"]) == (True, False)
    assert lampbench(*run, "--force")[0] == 0
    (with_texts,), _ = load_runs(tmp_path / "results")
    assert not with_texts.manifest.private
    assert all(row.prediction is not None for row in with_texts.predictions)
    planned = "recorded already, with its texts (--force records it again): "
    assert planned in lampbench(*run, "--private", "--dry-run")[1]
    assert "without texts" not in lampbench(*run, *how)[2]


def test_python_says_that_a_record_has_no_texts(lampbench, capsys):
    assert api.run("base", "news_headline", users=2, private=True).manifest.private
    capsys.readouterr()
    assert api.run("base", "news_headline", users=2).manifest.private
    assert "already recorded, without texts (--private)" in capsys.readouterr().err
    with_texts = api.run("base", "news_headline", users=2, force=True)
    assert with_texts.predictions[0].prediction is not None


def test_tokens_are_texts_too():
    row = PredictionRow("u", "q", "a b", "r", tokens=("a", "b"), rewards=(0.1, 0.2))
    found = without_texts(row)
    assert (found.tokens, found.rewards, found.prediction_length) == ((), (), 3)
    assert without_texts(found) == found


def test_a_record_without_rewards_is_not_taken_for_one_with_them(lampbench):
    run = ["run", "--method", "oppu_cd", "--task", "news_headline", "--users", "2"]
    assert lampbench(*run)[0] == 0
    code, _, err = lampbench(*run, "--rewards")
    assert code == 2 and "recorded already, without rewards; add --force" in err
    assert lampbench("run", "--method", "tam", *run[3:])[0] == 0
    assert lampbench("run", "--method", "tam", *run[3:], "--rewards")[0] == 0, "it has none to give"
    code, _, err = lampbench(*run, "--rewards", "--private")
    assert code == 2 and "--private and --rewards: " in err

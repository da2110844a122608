"""`lampbench import predictions` and `lampbench export`."""

import gzip
import json
import shutil
from dataclasses import replace

import pytest

from lampbench.record.runs import load_runs
from lampbench.record.write import write_run

OPTIONS = ["--method", "cope", "--task", "news_headline", "--model", "mistral-7b", "--users", "2"]


@pytest.fixture
def answers(bundled_news):
    """What somebody predicted: the reference and a word, an empty text, outer white space."""
    queries = [query for user in bundled_news.test_users for query in user.queries]
    golds = [{"id": query.id, "output": f" {query.reference} indeed\n"} for query in queries]
    golds[1]["output"] = ""
    return golds[::-1]


@pytest.fixture
def give(call, tmp_path):
    """Write a file of predictions and import it."""

    def run(golds, *options, task="LaMP_4", name="theirs.json"):
        held = golds if task is None else {"task": task, "golds": golds}
        text = held if isinstance(held, str) else json.dumps(held)
        (tmp_path / name).write_text(text)
        return call("import", "predictions", name, *OPTIONS, *options)

    return run


def only(tmp_path):
    (run,), problems = load_runs(tmp_path / "results")
    assert problems == []
    return run


@pytest.mark.parametrize("task", ["LaMP_4", "LaMP-4", None])
def test_predictions_are_scored_against_the_datasets_own_references(
    give, answers, bundled_news, tmp_path, task
):
    code, out, _ = give(answers, "--seed", "3", "--title", "CoPe", task=task)
    assert code == 0
    run = only(tmp_path)
    asked = [(user.id, q.id, q.reference) for user in bundled_news.test_users for q in user.queries]
    rows = run.predictions
    assert [(row.user, row.query, row.reference) for row in rows] == asked
    assert rows[0].prediction == f" {asked[0][2]} indeed\n"
    assert [row["rouge1"] for row in run.scores][1] == 0.0
    assert run.scores[0]["rouge1"] > 0.5
    assert run.scores[0]["style"] is not None
    assert run.scores[0]["truncated"] is None
    manifest = run.manifest
    assert (manifest.method, manifest.method_title, manifest.seed) == ("cope", "CoPe", 3)
    assert (manifest.preset, manifest.fidelity) == ("external", "external")
    assert manifest.external.file == "theirs.json"
    assert manifest.dataset.fingerprint == bundled_news.fingerprint
    assert manifest.model_details.location == "mistralai/Mistral-7B-Instruct-v0.3"
    assert str(run.path.relative_to(tmp_path)) in out


def test_a_round_trip(give, call, answers, tmp_path):
    give(answers)
    first = only(tmp_path)
    code, _, _ = call("export", first.path, "ours.json")
    assert code == 0
    held = json.loads((tmp_path / "ours.json").read_text())
    assert held["task"] == "LaMP_4"
    assert held["golds"] == answers[::-1]
    arguments = ["import", "predictions", "ours.json", *OPTIONS, "--results", "again"]
    assert call(*arguments)[0] == 0
    (second,), _ = load_runs(tmp_path / "again")
    assert second.predictions == first.predictions
    assert second.scores == first.scores
    assert second.manifest.files == first.manifest.files
    assert second.manifest.key == first.manifest.key
    assert call("export", first.manifest.key[:6], "by-key.json")[0] == 0
    assert (tmp_path / "by-key.json").read_bytes() == (tmp_path / "ours.json").read_bytes()


def test_what_is_exported_is_read_as_outputs_by_the_loader(give, call, answers, tmp_path):
    """The form of `{part}_outputs.json`, which LaMP's evaluation also reads."""
    from lampbench.data.loaders.references import read_references

    give(answers)
    call("export", only(tmp_path).path, "ours.json")
    found = read_references(tmp_path / "ours.json", "news_headline", "LaMP_4")
    assert found == {gold["id"]: gold["output"].strip() for gold in answers}


def test_the_same_file_is_recorded_once(give, answers, tmp_path):
    assert give(answers)[0] == 0
    code, _, err = give(answers)
    assert code == 2
    assert "recorded already" in err
    answers[0]["output"] = "other"
    assert give(answers)[0] == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda g: [*g, {"id": "nobody", "output": "x"}], "query 'nobody' is not among the"),
        (lambda g: [*g, g[0]], "a second prediction for query"),
        (lambda g: g[1:], "has no prediction for 1 of"),
        (lambda g: [], "has no records"),
        (lambda g: [{**g[0], "output": None}, *g[1:]], "output must be text, it is missing"),
        (lambda g: [{**g[0], "output": ["x"]}, *g[1:]], "output must be text, it is a list"),
        (lambda g: [{"output": "x"}, *g[1:]], "id is missing"),
        (lambda g: [{**g[0], "output": "a\0b"}, *g[1:]], "NUL"),
        (lambda g: [{**g[0], "output": "a\ud83d"}, *g[1:]], "lone surrogate"),
        (lambda g: ["x", *g], "must be a JSON object"),
    ],
)
def test_files_that_do_not_fit_are_refused(give, answers, tmp_path, change, said):
    code, _, err = give(change(answers))
    assert code == 2
    assert len(err.splitlines()) == 1, err
    assert said in err
    assert "theirs.json" in err
    assert not list(tmp_path.rglob("manifest.json"))


def test_another_tasks_file(give, answers, tmp_path):
    code, _, err = give(answers, task="LaMP_5")
    assert (code, len(err.splitlines())) == (2, 1)
    assert "theirs.json: holds 'LaMP_5', not LaMP_4 (news_headline)" in err


def test_other_users_than_were_predicted(give, answers, monkeypatch):
    monkeypatch.setattr(f"{__name__}.OPTIONS", [*OPTIONS[:-1], "3"])
    code, _, err = give(answers)
    assert code == 2
    assert "has no prediction for" in err and "--users" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["import", "predictions", "missing.json", *OPTIONS], "missing.json: no such file"),
        (["import", "predictions", ".", *OPTIONS], "is a folder"),
        (["export", "abc", "out.json"], "neither a run's folder nor the beginning of a key"),
        (["export", ".", "out.json"], "neither a run's folder nor"),
    ],
)
def test_bad_input_is_one_line(call, tmp_path, arguments, said):
    code, _, err = call(*arguments)
    assert code == 2
    assert len(err.splitlines()) == 1
    assert said in err
    assert not (tmp_path / "out.json").exists()


def test_an_export_overwrites_nothing(give, call, answers, tmp_path):
    give(answers)
    (tmp_path / "mine.json").write_text("mine")
    code, _, err = call("export", only(tmp_path).path, "mine.json")
    assert (code, "is there already" in err) == (2, True)
    assert (tmp_path / "mine.json").read_text() == "mine"
    code, _, err = call("export", only(tmp_path).path, "no/such/folder.json")
    assert (code, "cannot be written" in err) == (2, True)


def test_a_key_that_is_not_clear(give, call, answers, tmp_path):
    give(answers)
    run = only(tmp_path)
    for key in ("abc1", "abc2"):
        write_run(tmp_path / "results", replace(run.manifest, key=key), run.predictions, run.scores)
    code, _, err = call("export", "abc", "out.json")
    assert code == 2
    assert "is the beginning of the keys of 2 runs" in err
    assert call("export", "abc2", "out.json")[0] == 0


def test_external_runs_can_be_scored_again(give, call, answers, tmp_path):
    give(answers)
    code, out, _ = call("score")
    assert (code, "up to date" in out) == (0, True)
    assert only(tmp_path).manifest.external


def test_a_private_import_records_scores_and_no_text(give, answers, tmp_path):
    assert give(answers, "--results", "open")[0] == 0
    code, _, err = give(answers, "--private", "--results", "closed")
    assert code == 0, err
    (known,), _ = load_runs(tmp_path / "open")
    (private,), problems = load_runs(tmp_path / "closed")
    assert problems == [] and private.manifest.private
    assert private.manifest.key == known.manifest.key
    assert private.scores == known.scores
    lengths = [len(row.prediction or "") for row in known.predictions]
    assert [row.prediction_length for row in private.predictions] == lengths
    files = [file for file in (tmp_path / "closed").rglob("*") if file.is_file()]
    content = b"".join(
        gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        for file in files
    ).decode()
    for row in known.predictions:
        assert row.prediction == "" or json.dumps(row.prediction)[1:-1] not in content
        assert json.dumps(row.reference)[1:-1] not in content
        assert known.queries[row.user, row.query].fields["text"] not in content


def test_a_record_with_texts_is_not_taken_for_a_private_import(give, answers, tmp_path):
    assert give(answers)[0] == 0
    run = only(tmp_path)
    before = sorted(tmp_path.rglob("*.json.gz"))
    code, _, err = give(answers, "--private")
    assert code == 2 and len(err.splitlines()) == 1
    assert f"with their texts: delete {run.path.relative_to(tmp_path)} and give" in err
    assert sorted(tmp_path.rglob("*.json.gz")) == before, "nothing is left over"
    shutil.rmtree(run.path)
    assert give(answers, "--private")[0] == 0
    assert only(tmp_path).manifest.private
    text = only(tmp_path).queries
    assert all(query.fields == {} for query in text.values())
    assert len(list(tmp_path.rglob("*.queries.json.gz"))) == 1, "the file with texts is deleted"
    code, _, err = give(answers, "--private")
    assert code == 2 and "nothing is left to do" in err


def test_a_private_import_is_not_taken_for_a_record_with_texts(give, answers, tmp_path):
    assert give(answers, "--private")[0] == 0
    run = only(tmp_path)
    before = sorted(tmp_path.rglob("*.json.gz"))
    code, _, err = give(answers)
    assert code == 2 and len(err.splitlines()) == 1
    assert f"without their texts: delete {run.path.relative_to(tmp_path)} and give" in err
    assert sorted(tmp_path.rglob("*.json.gz")) == before, "no text is written"
    shutil.rmtree(run.path)
    assert give(answers)[0] == 0
    assert not only(tmp_path).manifest.private and only(tmp_path).predictions[0].prediction
    code, _, err = give(answers)
    assert code == 2 and "nothing is left to do" in err


def test_a_damaged_import_is_not_taken_for_a_sound_one(give, answers, tmp_path):
    assert give(answers)[0] == 0
    (only(tmp_path).path / "scores.json.gz").write_bytes(b"")
    code, _, err = give(answers)
    assert code == 2 and len(err.splitlines()) == 1
    assert "scores.json.gz was changed after the run" in err and "delete it and repeat" in err

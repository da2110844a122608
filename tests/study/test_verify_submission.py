"""`lampbench verify`: what is refused in a submission, and what cannot be checked."""

import gzip
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from lampbench.plugin.hyperparameter import SourcedValue
from lampbench.record.columns import to_text
from lampbench.record.forget import forget_in_results
from lampbench.record.gzip_text import compress
from lampbench.record.manifest import MANIFEST, PREDICTIONS, SCORES, Manifest
from lampbench.record.recorded_run import Run
from lampbench.record.runs import load_runs
from lampbench.record.submission import SUBMISSION
from lampbench.record.write import write_run
from lampbench.scoring.aggregate import aggregate
from lampbench.scoring.score_table import ScoreTable
from lampbench.study.submission_findings import VerifiedSubmission
from lampbench.study.verify_settings import _other_parts
from lampbench.study.verify_submission import verify_submission
from tests.shared.recorded_fixtures import Call

Change = Callable[[Manifest, ScoreTable], tuple[Manifest, ScoreTable]]
COMMITTED = "news_headline/bundled/base"


@pytest.fixture(scope="module")
def base(root: Path) -> Run:
    """A committed run, on bundled data and without a trained stage."""
    runs, _ = load_runs(root / "results")
    return next(run for run in runs if f"/{COMMITTED}/" in run.path.as_posix())


@pytest.fixture
def folder(base: Run, call: Call, tmp_path: Path) -> Path:
    """A submission of it."""
    code, out, err = call(
        "submit", base.path.absolute(), "--name", "Group X", "--url", "https://example.org/x",
        "--output", "sent", "--results", "none",
    )  # fmt: skip
    assert (code, err) == (0, ""), err
    assert out.startswith("sent: 1 run written")
    return tmp_path / "sent"


def run_folder(folder: Path) -> Path:
    (manifest,) = folder.rglob(MANIFEST)
    return manifest.parent


def refused(found: VerifiedSubmission) -> list[str]:
    return [*found.whole.refused, *(line for _, one in found.runs for line in one.refused)]


def forge(folder: Path, change: Change) -> None:
    """Change a run as somebody would who makes all digests and means fit again."""
    place = run_folder(folder)
    (run,), _ = load_runs(folder)
    manifest, scores = change(run.manifest, run.scores)
    columns = {"user": scores.users, "query": scores.queries, **scores.columns}
    content = compress(to_text(columns))
    (place / SCORES).write_bytes(content)
    files = {**manifest.files, SCORES: sha256(content).hexdigest()}
    manifest = replace(manifest, files=files, scores=aggregate(scores))
    (place / MANIFEST).write_bytes(manifest.to_json())


def better(manifest: Manifest, scores: ScoreTable) -> tuple[Manifest, ScoreTable]:
    values = (0.9, *scores.columns["rougeL"][1:])
    return manifest, replace(scores, columns={**scores.columns, "rougeL": values})


def test_a_sound_submission_holds_and_says_what_nobody_can_check(folder: Path, call: Call) -> None:
    code, out, _ = call("verify", "sent", "--format", "json")
    assert code == 0
    (found,) = json.loads(out)["submissions"]
    assert (found["holds"], found["submitted_by"]) == (True, "Group X")
    (run,) = found["runs"]
    assert run["refused"] == []
    checked = "\n".join(run["checked"])
    assert "all 324 queries" in checked and "are those of bundled" in checked
    assert "rouge1, rougeL" in checked and "style" in checked
    assert "key and stages are those of the stated settings" in checked
    assert any("only running it again shows that" in line for line in run["unchecked"])
    code, out, _ = call("verify", "sent")
    assert code == 0 and "nothing is refused" in out


def test_a_score_that_is_not_that_of_its_answer_is_refused(folder: Path, call: Call) -> None:
    forge(folder, better)
    (run,), problems = load_runs(folder)
    assert problems == [] and run.scores.columns["rougeL"][0] == 0.9  # all digests fit
    (line,) = refused(verify_submission(folder))
    assert line.startswith("rougeL: 1 of 324 values are not those of the answers, first 0.9")
    code, out, _ = call("verify", "sent")
    assert code == 1 and "REFUSED" in out and "1 claims are refused" in out


def _with_references_that_fit(folder: Path, removed_users: int = 0) -> None:
    """Change the references into the answers, which then have a perfect score."""
    (run,), _ = load_runs(folder)
    data, name = run.manifest.dataset, run.manifest.dataset.queries_file.name
    place = folder / "news_headline"
    columns = json.loads(gzip.decompress((place / name).read_bytes()))
    columns["reference"] = [row.prediction for row in run.predictions]
    text = to_text(columns)
    digest = sha256(text).hexdigest()
    (place / name).unlink()
    file = replace(data.queries_file, name=f"{digest[:16]}.queries.json.gz", sha256=digest)
    (place / file.name).write_bytes(compress(text))
    data = replace(data, queries_file=file, removed_users=removed_users)
    (run_folder(folder) / MANIFEST).write_bytes(replace(run.manifest, dataset=data).to_json())


@pytest.mark.parametrize("claimed", [0, 1])
def test_other_references_are_refused(folder: Path, claimed: int) -> None:
    """Also where the submission claims that a user was removed from it on request."""
    _with_references_that_fit(folder, claimed)
    found = verify_submission(folder)
    assert any("queries_file is" in line for line in refused(found))
    assert not any("references" in line for _, one in found.runs for line in one.checked)


def test_a_submission_from_which_a_user_was_removed_holds(folder: Path) -> None:
    (run,), _ = load_runs(folder)
    removed, left = forget_in_results(folder, run.scores.users[0], print)
    assert removed and not left
    found = verify_submission(folder)
    assert refused(found) == []
    ((_, one),) = found.runs
    assert any("references and histories of the users who are left" in x for x in one.checked)
    assert any(x.startswith("1 users were removed on request") for x in one.unchecked)


def test_settings_that_are_no_defaults_are_refused(folder: Path) -> None:
    def change(manifest: Manifest, scores: ScoreTable) -> tuple[Manifest, ScoreTable]:
        values = dict(manifest.hyperparameters)
        path = "decoding.repetition_penalty"
        values[path] = replace(values[path], value=1.5)
        return replace(manifest, hyperparameters=values), scores

    forge(folder, change)
    (line,) = refused(verify_submission(folder))
    assert "the stated settings have key" in line


@pytest.mark.parametrize(
    ("named", "field"),
    [
        ({"decoding": {"part": "contrastive"}}, "decoding"),
        ({"decoding": {}}, "decoding"),
        ({"decoding": None}, "decoding"),
        ({"prompting": {"part": "plain", "retriever": {"part": "bm25"}}}, "prompting"),
        ({"predict": {"part": "Mine"}}, "predict"),
    ],
)
def test_parts_that_the_method_does_not_have_are_refused(
    folder: Path, named: dict[str, Any], field: str
) -> None:
    """Tables of what a method contrasts with go by them."""

    def change(manifest: Manifest, scores: ScoreTable) -> tuple[Manifest, ScoreTable]:
        return replace(manifest, method_parts={**manifest.method_parts, **named}), scores

    forge(folder, change)
    (line,) = refused(verify_submission(folder))
    assert line.startswith("method_parts names") and f"as {field}, which method base" in line


@pytest.mark.parametrize("title", ["method_title", "task_title"])
def test_a_run_under_another_title_is_refused(folder: Path, title: str) -> None:
    """Tables name rows and columns by it."""
    forge(folder, lambda manifest, scores: (replace(manifest, **{title: "CoPe"}), scores))
    (line,) = refused(verify_submission(folder))
    assert line.startswith("method_title and task_title are") and "'CoPe'" in line


def test_parts_that_an_earlier_version_did_not_name_may_be_missing() -> None:
    now = {"prompting": {"part": "rag", "retriever": {"part": "bm25"}}, "adaptation": None}
    then = {**now, "prompting": {"part": "rag"}}
    assert _other_parts(then, now) == _other_parts(now, now) == ""
    assert _other_parts({"adaptation": None}, now) == "prompting"


def test_overrides_that_are_hidden_are_refused(folder: Path, base: Run) -> None:
    """The key of other settings is right, but the manifest says that they are the defaults."""
    from lampbench.study.replan import Replanner

    path = "decoding.repetition_penalty"
    values = {**base.manifest.hyperparameters}
    values[path] = replace(values[path], value=1.5)
    manifest = replace(base.manifest, hyperparameters=values)
    key = Replanner(folder.parent / "cache").plan(manifest, folder).folder.name
    shutil.rmtree(run_folder(folder))
    write_run(folder, replace(manifest, key=key), base.predictions, base.scores)
    _name(folder)
    (line,) = refused(verify_submission(folder))
    assert "not the defaults with the stated overrides" in line


def test_answers_that_are_left_out_are_refused(folder: Path, base: Run) -> None:
    """Without the queries that went badly, means are better."""
    scores = base.scores
    kept = [i for i, value in enumerate(scores.columns["rougeL"]) if value]
    fewer = ScoreTable(
        tuple(scores.users[i] for i in kept),
        tuple(scores.queries[i] for i in kept),
        {name: tuple(column[i] for i in kept) for name, column in scores.columns.items()},
    )
    rows = base.predictions
    write_run(folder, base.manifest, [rows[i] for i in kept], fewer, replace=True)
    assert any("queries are not answered" in line for line in refused(verify_submission(folder)))


@pytest.mark.parametrize("kept", [slice(None, -1), slice(None, None, -1), slice(0)])
def test_answers_to_other_queries_than_the_scores_are_refused(folder: Path, kept: slice) -> None:
    """No score can be computed again where one answer is missing; other answers would be scored."""
    place = run_folder(folder)
    columns = json.loads(gzip.decompress((place / PREDICTIONS).read_bytes()))
    content = compress(to_text({name: values[kept] for name, values in columns.items()}))
    (place / PREDICTIONS).write_bytes(content)
    manifest = Manifest.from_json((place / MANIFEST).read_bytes())
    files = {**manifest.files, PREDICTIONS: sha256(content).hexdigest()}
    (place / MANIFEST).write_bytes(replace(manifest, files=files).to_json())
    (line,) = refused(verify_submission(folder))
    assert "are not of the same queries in one order" in line
    removed, left = forget_in_results(folder, columns["user"][0], print)
    assert removed == [] and "are not of the same queries" in left[0], "nobody else's is touched"


def _name(folder: Path) -> None:
    """Let submission.json name the runs that are there."""
    file = folder / SUBMISSION
    content = json.loads(file.read_text())
    content["runs"] = [m.parent.relative_to(folder).as_posix() for m in folder.rglob(MANIFEST)]
    file.write_text(json.dumps(content))


def spoil(text: str) -> Callable[[Path], object]:
    return lambda folder: (run_folder(folder) / MANIFEST).write_text(text)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: (f / "x.py").write_text("1"), "x.py: no run needs this file"),
        (lambda f: (f / "x").symlink_to("/etc/passwd"), "x: is a link"),
        (lambda f: (f / SUBMISSION).write_text("{}"), "format null"),
        (lambda f: (f / SUBMISSION).unlink(), "submission.json cannot be read"),
        (lambda f: shutil.rmtree(run_folder(f)), "which is no sound run here"),
        (spoil("{}"), "format"),
        (lambda f: (run_folder(f) / SCORES).write_bytes(b"x"), "was changed after the run"),
    ],
)
def test_what_does_not_belong_is_refused(
    folder: Path, change: Callable[[Path], object], said: str
) -> None:
    change(folder)
    found = verify_submission(folder)
    assert not found.holds
    assert any(said in line for line in refused(found)), refused(found)


def test_what_a_manifest_names_is_never_read(folder: Path) -> None:
    """A submission may name any file of the machine that checks it."""

    def change(manifest: Manifest, scores: ScoreTable) -> tuple[Manifest, ScoreTable]:
        assert manifest.dataset.options
        options = replace(manifest.dataset.options, data="lampbench:/nowhere/at/all")
        return replace(manifest, dataset=replace(manifest.dataset, options=options)), scores

    forge(folder, change)
    found = verify_submission(folder)
    assert refused(found) == []
    (run,) = [one for _, one in found.runs]
    assert any("give its place with --data" in line for line in run.unchecked)
    assert any(line.startswith("style: reads histories") for line in run.unchecked)
    assert refused(verify_submission(folder, data="bundled")) == []


@pytest.mark.parametrize("place", ["hyperparameters", "overrides"])
def test_no_folder_that_a_setting_names_is_read(folder: Path, tmp_path: Path, place: str) -> None:
    """Such as that of an embedding model, whose content counts in the key."""

    def change(manifest: Manifest, scores: ScoreTable) -> tuple[Manifest, ScoreTable]:
        named: Any = str(tmp_path)
        if place == "hyperparameters":
            named = SourcedValue(named, "--set")
        changed: dict[str, Any] = {place: {**getattr(manifest, place), "embeddings.model": named}}
        return replace(manifest, **changed), scores

    forge(folder, change)
    (run,) = [one for _, one in verify_submission(folder).runs]
    assert any("embeddings.model names a folder" in line for line in run.unchecked)
    assert not run.refused


def test_a_setting_that_no_path_can_be_is_refused_as_a_setting(folder: Path) -> None:
    forge(
        folder,
        lambda manifest, scores: (
            replace(manifest, overrides={"embeddings.model": "x" * 400}), scores
        ),
    )  # fmt: skip
    assert any("cannot be planned" in line for line in refused(verify_submission(folder)))


@pytest.mark.parametrize(
    "engine", [{"engine": "vllm"}, {"stage_engines": {"predict": "vllm"}}], ids=["run", "stage"]
)
@pytest.mark.parametrize("command", ["verify", "cache gc"])
def test_no_program_that_a_submission_names_is_run(
    folder: Path, call: Call, tmp_path: Path, engine: dict[str, Any], command: str
) -> None:
    program, trace = tmp_path / "program", tmp_path / "trace"
    program.write_text(f"#!/bin/sh\ntouch {trace}\necho 0.32.0\n")
    program.chmod(0o755)

    def change(manifest: Manifest, scores: ScoreTable) -> tuple[Manifest, ScoreTable]:
        arguments = {"vllm": {"python": str(program)}}
        details = replace(manifest.model_details, engine_arguments=arguments, **engine)
        return replace(manifest, model_details=details), scores

    forge(folder, change)
    if command == "verify":
        (run,) = [one for _, one in verify_submission(folder).runs]
        assert any("engine vllm is not asked here" in line for line in run.unchecked)
    else:
        results = tmp_path / "results"
        shutil.copytree(folder, results / "submissions" / "group-x")
        (tmp_path / "cache" / "locks").mkdir(parents=True)
        code, _, err = call("cache", "gc", "--cache-dir", "cache", "--results", results)
        assert (code, err) == (0, "")
    assert not trace.exists()


def test_private_runs_say_that_their_scores_cannot_be_checked(
    base: Run, call: Call, tmp_path: Path
) -> None:
    call("submit", base.path.absolute(), "--name", "X", "--private", "--output", "sent")
    assert not (tmp_path / "sent" / ".locks").exists()
    found = verify_submission(tmp_path / "sent")
    assert refused(found) == []
    (run,) = [one for _, one in found.runs]
    assert any(line.startswith("scores: the run is private") for line in run.unchecked)
    assert any("are those of bundled" in line for line in run.checked)
    texts = b"".join(gzip.decompress(p.read_bytes()) for p in (tmp_path / "sent").rglob("*.gz"))
    assert base.predictions[0].prediction
    assert base.predictions[0].prediction.encode() not in texts

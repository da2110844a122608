"""`lampbench verify`: what is refused in a submission, and what cannot be checked."""

import gzip
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from lampbench.record.columns import to_text
from lampbench.record.forget import forget_in_results
from lampbench.record.gzip_text import compress
from lampbench.record.manifest import MANIFEST, PREDICTIONS, SCORES, Manifest
from lampbench.record.recorded_run import Run
from lampbench.record.runs import load_runs
from lampbench.record.submission import SUBMISSION
from lampbench.record.write import write_run
from lampbench.scoring.score_table import ScoreTable
from lampbench.study.verify_submission import verify_submission
from tests.shared.recorded_fixtures import Call
from tests.shared.submissions import forge, refused, run_folder


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

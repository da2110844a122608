"""`lampbench submit`: what is published, and where submitted runs appear."""

import errno
import gzip
import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pytest

from lampbench.record.runs import load_runs
from lampbench.study.verify_submission import verify_submission
from tests.shared.recorded_fixtures import Call, Recorder


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"command": "lampbench run --data /home/ann/x"}, "a path in somebody's home folder"),
        ({"command": "x --model-arg token=abc"}, "what looks like a secret"),
        (
            {"command": """x --engine-arg 'fields={"api_key":"SECRET"}'"""},
            "what looks like a secret",
        ),
        ({"overrides": {"prompting.api_key": "SECRET"}}, "what looks like a secret"),
        ({"failed_users": {"ann@example.org": "diverged"}}, "an e-mail address"),
    ],
)
def test_a_manifest_that_says_too_much_is_not_submitted(
    record: Recorder, call: Call, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    run = record("base", **changes)
    for option in ("--private", "--with-texts"):
        code, _, err = call("submit", run.path, "--name", "X", option)
        assert (code, len(err.splitlines())) == (2, 1)
        assert said in err
    assert not (tmp_path / "results" / "submissions").exists()


def test_texts_of_users_are_submitted_on_request_alone(
    record: Recorder, call: Call, amend: Recorder, tmp_path: Path
) -> None:
    run = record("base")
    code, _, err = call("submit", run.path, "--name", "X")
    assert (code, "may not be yours to publish" in err) == (2, True)
    assert call("submit", run.path, "--name", "X", "--with-texts")[0] == 0
    run = amend(run, lambda row: {"prediction": f"{row.prediction} ann@example.org"})
    code, _, err = call("submit", run.path, "--name", "Y", "--with-texts")
    assert (code, "have an e-mail address, first answer 0" in err) == (2, True)


def test_submitted_runs_are_listed_and_marked_apart(
    record: Recorder, call: Call, read: Callable[..., str], tmp_path: Path
) -> None:
    ours = record("base", good=5)
    theirs = record("mine", good=6, method_title="Mine")
    assert call("submit", theirs.path, "--name", "Group X", "--with-texts")[0] == 0
    shutil.rmtree(theirs.path)
    code, _, err = call("submit", "mine-0", "--name", "Y", "--with-texts")
    assert (code, "was submitted by Group X" in err) == (2, True)
    listed = json.loads(call("list", "runs", "--format", "json")[1])["runs"]
    assert {run["key"]: run["submitted_by"] for run in listed} == {
        ours.manifest.key: None, theirs.manifest.key: "Group X",
    }  # fmt: skip
    page = read("further-methods")
    assert "| Mine (Group X) §" in page and "§ Submitted: others ran lampbench" in page
    assert "§" not in read("main")
    assert call("score")[0] == 0
    assert verify_submission(tmp_path / "results/submissions/group-x").whole.refused == []


def test_a_submission_of_one_of_our_methods_leaves_our_row_as_it_was(
    record: Recorder, call: Call, read: Callable[..., str], cells: Callable[..., Any]
) -> None:
    ours = record("base", good=5)
    before = read("main")
    shutil.copytree(ours.path.parents[3], ours.path.parents[3].with_name("kept"))
    theirs = record("base", good=9, created="2027-01-01T00:00:00+00:00", key="theirs")
    call("submit", theirs.path, "--name", "Group X", "--with-texts")
    shutil.rmtree(theirs.path)
    assert read("main") == before
    assert "Base (Group X) §" in read("further-methods")


def test_forgotten_users_are_removed_from_submissions(
    record: Recorder, call: Call, tmp_path: Path
) -> None:
    run = record("base")
    call("submit", run.path, "--name", "X", "--with-texts")
    code, out, _ = call("forget", "b")
    assert code == 0 and "results/submissions/x/news_headline" in out
    for found in load_runs(tmp_path / "results")[0]:
        assert set(found.scores.users) == {"a"}
    texts = b"".join(gzip.decompress(p.read_bytes()) for p in tmp_path.rglob("*.queries.json.gz"))
    assert b'"b"' not in texts


@pytest.mark.parametrize("kind", ["queries", "histories"])
@pytest.mark.parametrize("here", [["rag"], ["base", "rag"], []])
def test_imported_runs_heal_the_damaged_files_that_they_share(
    record: Recorder, call: Call, tmp_path: Path, kind: str, here: list[str]
) -> None:
    """As where a folder was copied in part: what is said to be recorded can be read."""
    runs = {name: record(name) for name in ("base", "rag")}
    shutil.copytree(tmp_path / "results", tmp_path / "whole")
    for name in runs.keys() - set(here):
        shutil.rmtree(runs[name].path)
    (shared,) = (tmp_path / "results").rglob(f"*.{kind}.json.gz")
    shared.write_bytes(shared.read_bytes()[:-3])
    code, out, _ = call("import", "runs", "whole", "--own")
    assert (code, out.count(": recorded\n")) == (0, 2 - len(here))
    found, problems = load_runs(tmp_path / "results")
    assert problems == [] and {run.manifest.method for run in found} == {"base", "rag"}
    assert all(run.past_records == runs[run.manifest.method].past_records for run in found)


def test_a_damaged_run_is_named_where_its_sound_twin_is_imported(
    record: Recorder, call: Call, tmp_path: Path
) -> None:
    run = record("base")
    shutil.copytree(tmp_path / "results", tmp_path / "whole")
    manifest = run.path / "manifest.json"
    manifest.write_bytes(manifest.read_bytes()[:-9])
    code, _, err = call("import", "runs", "whole", "--own")
    assert code == 2 and str(run.path.relative_to(tmp_path)) in err
    assert "restore it, or delete it" in err and "nothing was imported" in err
    shutil.rmtree(run.path)
    assert call("import", "runs", "whole", "--own")[0] == 0


def test_a_copy_that_fails_leaves_nothing_behind(
    record: Recorder, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record("base")
    shutil.move(tmp_path / "results", tmp_path / "whole")
    copied, files = shutil.copyfileobj, itertools.count()

    def fail(content: IO[bytes], stream: IO[bytes]) -> None:
        copied(content, stream)
        if next(files) == 3:  # two files that runs share, the manifest, and then one more
            assert list((tmp_path / "results").rglob(".tmp-*/manifest.json"))
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", fail)
    code, _, err = call("import", "runs", "whole", "--own")
    assert code == 2 and "the disk is full" in err
    assert not list((tmp_path / "results").rglob(".tmp-*"))

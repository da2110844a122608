"""What tests of submissions share."""

import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from lampbench.record.columns import to_text
from lampbench.record.gzip_text import compress
from lampbench.record.manifest import MANIFEST, SCORES, Manifest
from lampbench.record.runs import load_runs
from lampbench.record.submission import SUBMISSION
from lampbench.scoring.aggregate import aggregate
from lampbench.scoring.score_table import ScoreTable
from lampbench.study.submission_findings import VerifiedSubmission

Change = Callable[[Manifest, ScoreTable], tuple[Manifest, ScoreTable]]


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


def name_again(folder: Path) -> None:
    """Let submission.json name the runs that are there."""
    file = folder / SUBMISSION
    content = json.loads(file.read_text())
    content["runs"] = [m.parent.relative_to(folder).as_posix() for m in folder.rglob(MANIFEST)]
    file.write_text(json.dumps(content))

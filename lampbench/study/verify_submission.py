"""Checking a submission: what in it holds, what does not, and what nobody here can check.

No code of the submission runs, no model runs, and no path that it names is read.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from lampbench.record.dataset_files import shared_path
from lampbench.record.manifest import MANIFEST
from lampbench.record.paths import run_path
from lampbench.record.publication import publication_findings
from lampbench.record.recomputed_scores import recompute_scores
from lampbench.record.recorded_run import Run
from lampbench.record.run_lock import LOCKS
from lampbench.record.runs import load_runs
from lampbench.record.submission import SUBMISSION, Submission, read_submission
from lampbench.scoring.prediction_row import PredictionRow
from lampbench.study.submission_findings import SubmissionFindings, VerifiedSubmission
from lampbench.study.verify_data import VerifiedData
from lampbench.study.verify_settings import verify_settings
from lampbench.util.errors import LampbenchError
from lampbench.util.ordered_lookup import OrderedLookup


def verify_submission(
    folder: Path, data: str | None = None, results: Path | None = None
) -> VerifiedSubmission:
    """Check every claim of a submission that can be checked here.

    Args:
        folder: the submission.
        data: where the data of its runs is (`--data`); without it only the package's own is known.
        results: recorded runs, with whose answers those of the same keys are compared.

    Raises:
        LampbenchError: there is no such folder, or `data` cannot be read.
    """
    if not folder.is_dir():
        raise LampbenchError(f"{folder}: no such folder; name the folder of a submission")
    whole = SubmissionFindings()
    submission = None
    try:
        submission = read_submission(folder)
    except ValueError as error:
        whole.refused.append(str(error))
    whole.refused += strange_files(folder)
    if whole.refused:
        return VerifiedSubmission(folder, submission, whole, ())
    assert submission is not None
    runs, problems = load_runs(folder)
    whole.refused += [f"{p.path.relative_to(folder)}: {p.reason}" for p in problems]
    _check_list(whole, submission, [run.path.relative_to(folder).as_posix() for run in runs])
    whole.refused += _unnamed_files(folder, runs) if not problems else []
    verified = VerifiedData(data)
    ours = _own_runs(results)
    checked = tuple((run, _verify(run, verified, ours)) for run in runs)
    return VerifiedSubmission(folder, submission, whole, checked)


def _verify(run: Run, verified: VerifiedData, ours: dict[str, Run]) -> SubmissionFindings:
    """Check one run."""
    found = SubmissionFindings()
    try:
        _ = run.answers_and_scores, run.past_records
        found.checked.append(
            "the digests of its files and of the manifest; the means are those of the scores"
        )
        found.refused += publication_findings(run)
        _check_completeness(run, found)
        dataset = verified.check(run, found)
        if run.manifest.private:
            found.unchecked.append("scores: the run is private; without texts none can be computed")
        else:
            scores = recompute_scores(run, verified.task(run), dataset)
            if scores.equal:
                found.checked.append(
                    f"{len(scores.equal)} metrics, computed again: {', '.join(scores.equal)}"
                )
            found.unchecked += [f"{name}: {why}" for name, why in sorted(scores.unknown.items())]
            found.refused += [f"{name}: {text}" for name, text in sorted(scores.different.items())]
        verify_settings(run, dataset, found)
        _compare(run, ours.get(run.manifest.key), found)
    except LampbenchError as error:
        found.refused.append(str(error))
    return found


def strange_files(folder: Path) -> list[str]:
    """Links and whatever else is neither a folder nor an ordinary file."""
    return [
        f"{path.relative_to(folder)}: is a link or no ordinary file; remove it"
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or not (path.is_file() or path.is_dir())
    ]


def _check_list(whole: SubmissionFindings, submission: Submission, there: Sequence[str]) -> None:
    for name in submission.runs:
        if name not in there:
            whole.refused.append(f"{SUBMISSION} names {name}, which is no sound run here")
    for name in there:
        if name not in submission.runs:
            whole.refused.append(f"{name}: {SUBMISSION} does not name this run")
    if not there:
        whole.refused.append("has no sound run")


def _unnamed_files(folder: Path, runs: Sequence[Run]) -> Iterator[str]:
    """Files that no run needs."""
    known = {folder / SUBMISSION}
    for run in runs:
        m = run.manifest
        place = run_path(folder, m.task, m.model, m.method, m.key)
        known |= {place / name for name in (MANIFEST, *m.files)}
        files = *m.dataset.queries_files, *m.dataset.histories_files
        known |= {shared_path(folder, m.task, file) for file in files}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path not in known and folder / LOCKS not in path.parents:
            yield f"{path.relative_to(folder)}: no run needs this file; remove it"


def _check_completeness(run: Run, found: SubmissionFindings) -> None:
    """Every query of the data is answered, but for those of users who failed."""
    failed = run.manifest.failed_users
    answered = OrderedLookup(
        (place, None) for place in zip(run.scores.users, run.scores.queries, strict=True)
    )
    asked = 0
    missing = []
    for one in run.asked:
        if one.user not in failed:
            asked += 1
            try:
                answered.take((one.user, one.query))
            except KeyError:
                missing.append((one.user, one.query))
    if missing:
        user, query = min(missing)
        found.refused.append(
            f"{len(missing)} of {asked} queries are not answered, first {query!r} of user {user!r}"
        )
    else:
        found.checked.append(f"all {asked} queries of its data are answered")


def _own_runs(results: Path | None) -> dict[str, Run]:
    if results is None or not results.is_dir():
        return {}
    return {run.manifest.key: run for run in load_runs(results)[0] if run.submitter is None}


def _compare(run: Run, own: Run | None, found: SubmissionFindings) -> None:
    """Compare answers with those of our own run of the same key."""
    if own is None or run.manifest.private or own.manifest.private:
        return
    theirs = run.predictions
    ours = OrderedLookup(((row.user, row.query), row.prediction) for row in own.predictions)
    others = sum(not _is_same_answer(row, ours) for row in theirs)
    if others:
        found.unchecked.append(
            f"{others} of {len(theirs)} answers are others than in our own run of this key, "
            f"{own.path}: hardware and precision may be why"
        )
    else:
        found.checked.append(f"the answers are those of our own run of this key, {own.path}")


def _is_same_answer(row: PredictionRow, ours: OrderedLookup[tuple[str, str], str | None]) -> bool:
    try:
        return ours.take((row.user, row.query)) == row.prediction
    except KeyError:
        return False

"""Removing a user from recorded runs, on request."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import compress
from pathlib import Path

from lampbench.record.dataset_files import write_histories, write_queries
from lampbench.record.format_1 import INPUT_LINES, forget_inputs
from lampbench.record.leftovers import put_right, run_of
from lampbench.record.manifest import LENDER
from lampbench.record.paths import unescape
from lampbench.record.recorded_dataset import names_user
from lampbench.record.recorded_run import Run, UnreadableRun, read_run
from lampbench.record.run_lock import run_lock
from lampbench.record.runs import load_runs
from lampbench.record.submission import submission_folders
from lampbench.record.table_files import read_columns
from lampbench.record.unused_files import remove_unused_files, shared_files
from lampbench.record.write import write_run
from lampbench.scoring.score_table import ScoreTable
from lampbench.util.atomic import temporaries
from lampbench.util.disk_list import listed
from lampbench.util.errors import LampbenchError
from lampbench.util.regular_file import open_regular


def forget_in_results(
    results: Path, user: str, say: Callable[[str], object]
) -> tuple[list[str], list[str]]:
    """Remove a user's queries, answers, scores and histories from every run under `results`.

    Counts and means are computed again, and manifests count the users who were removed, without
    naming them. A run that has no other user is deleted. Fingerprints and statistics of the data
    stay as they were. A second call finishes what a killed one began.

    Returns:
        What was removed, and what still holds the user or may, one line each.

    Raises:
        LampbenchError: the lock of a run cannot be taken.
        OSError: a file cannot be read or deleted.
    """
    removed: list[str] = []
    left: list[str] = []
    runs, problems = load_runs(results)
    for run in runs:
        try:
            removed += _forget(run, run.path.parents[3], user, say)
        except LampbenchError as error:
            left.append(f"{error}; then forget the user again")
    for problem in problems:
        if (owner := run_of(problem.path)) is not None:
            with run_lock(owner, say):
                put_right(owner)
            removed.append(f"{problem.path}: a half-written run")
        else:
            left.append(str(problem))
    for root in (results, *submission_folders(results)):
        for folder in sorted(path for path in root.glob("*") if path.is_dir()):
            removed += _forget_files(root, folder, user, problems, left)
    return removed, left


def _forget(run: Run, results: Path, user: str, say: Callable[[str], object]) -> Iterator[str]:
    with run_lock(run.path, say):
        run = read_run(run.path)
        rows, scores = run.answers_and_scores
        queries, past = run.asked, run.past_records
        failed = run.manifest.failed_users
        was_asked = any(query.user == user for query in queries)
        had_past = any(one.user == user for one in past)
        kept = [name != user for name in scores.users]
        data = run.manifest.dataset
        notes = tuple(note for note in data.notes if not names_user(note, user))
        reasons = {name: _without_name(why, user) for name, why in failed.items() if name != user}
        tested = not all(kept) or user in failed or was_asked or had_past
        if not tested and notes == data.notes and reasons == failed:
            return
        if not any(kept):
            shutil.rmtree(run.path)
            yield f"{run.path}: the run, which had no other user"
            return
        asked = listed(query for query in queries if query.user != user)
        data = replace(
            data.with_files(
                write_queries(results, run.manifest.task, asked),
                write_histories(
                    results, run.manifest.task, (one for one in past if one.user != user)
                ),
            ),
            test_users=data.test_users - was_asked,
            queries=data.queries - (len(queries) - len(asked)),
            removed_users=data.removed_users + tested,
            notes=notes,
        )
        manifest = replace(
            run.manifest,
            dataset=data,
            failed_users=reasons,
            prompt_head=(),  # the first prompt may have been the user's
            service=run.manifest.service and run.manifest.service.without_requests(),
        )
        left = ScoreTable(
            listed(compress(scores.users, kept)),
            listed(compress(scores.queries, kept)),
            {name: listed(compress(column, kept)) for name, column in scores.columns.items()},
        )
        write_run(results, manifest, listed(compress(rows, kept)), left, replace=True)
        what = f"{len(kept) - sum(kept)} queries, answers and scores; history"
        yield f"{run.path}: {what if tested else 'what the manifest said of the user'}"


def _without_name(why: str, user: str) -> str:
    """Why another user failed, who may have needed the data of this one."""
    return why.replace(f"{LENDER}{user}, ", "the data of a removed user, ")


def _forget_files(
    results: Path,
    folder: Path,
    user: str,
    problems: list[UnreadableRun],
    left: list[str],
) -> Iterator[str]:
    """Delete files that no run names any more; name those that damaged runs keep."""
    try:
        task = unescape(folder.name)
    except ValueError:  # not a task's folder, or its name was cut
        return
    for file in temporaries(folder, "*.json.gz"):
        file.unlink(missing_ok=True)
        yield f"{file}: a half-written file"
    for file in remove_unused_files(results, task):
        yield f"{file}: no run names it"
    for file in sorted(folder.glob(f"*.{INPUT_LINES}")):
        if forget_inputs(file, user):
            yield f"{file}: the user's line"
    for file in shared_files(folder):
        if _names(file, user):
            damaged = ", ".join(str(problem.path) for problem in problems) or "a damaged run"
            left.append(f"{file}: holds the user and is named by {damaged}; restore or delete it")


def _names(file: Path, user: str) -> bool:
    """Whether a file of queries or histories holds a user, as far as it can be read."""
    try:
        with open_regular(file) as stream:
            return user in read_columns(stream).get("user", ())
    except (OSError, ValueError):
        return True

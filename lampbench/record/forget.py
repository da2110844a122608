"""Removing a user from recorded runs, on request."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from lampbench.record.dataset_files import write_histories, write_queries
from lampbench.record.format_1 import INPUT_LINES, forget_inputs
from lampbench.record.gzip_text import decompress
from lampbench.record.leftovers import put_right, run_of
from lampbench.record.paths import unescape
from lampbench.record.run_lock import run_lock
from lampbench.record.runs import Run, UnreadableRun, load_runs, read_run
from lampbench.record.submission import submission_folders
from lampbench.record.unused_files import remove_unused_files, shared_files
from lampbench.record.write import write_run
from lampbench.scoring.score_table import ScoreTable
from lampbench.util.atomic import temporaries
from lampbench.util.errors import LampbenchError
from lampbench.util.regular_file import read_regular


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
        scores, rows = run.scores, run.predictions
        queries, past = list(run.queries.values()), run.past_records
        failed = run.manifest.failed_users
        asked_of = {query.user for query in queries}
        if user not in {*scores.users, *failed, *asked_of, *(one.user for one in past)}:
            return
        kept = [index for index, name in enumerate(scores.users) if name != user]
        if not kept:
            shutil.rmtree(run.path)
            yield f"{run.path}: the run, which had no other user"
            return
        data = run.manifest.dataset
        asked = [query for query in queries if query.user != user]
        data = replace(
            data,
            queries_file=write_queries(results, run.manifest.task, asked),
            histories_file=write_histories(
                results, run.manifest.task, [one for one in past if one.user != user]
            ),
            test_users=data.test_users - (user in asked_of),
            queries=data.queries - (len(queries) - len(asked)),
            removed_users=data.removed_users + 1,
            notes=tuple(note for note in data.notes if repr(user) not in note),
        )
        manifest = replace(
            run.manifest,
            dataset=data,
            failed_users={name: why for name, why in failed.items() if name != user},
            prompt_head=(),  # the first prompt may have been the user's
            service=run.manifest.service and run.manifest.service.without_requests(),
        )
        left = ScoreTable(
            tuple(scores.users[index] for index in kept),
            tuple(scores.queries[index] for index in kept),
            {
                name: tuple(column[index] for index in kept)
                for name, column in scores.columns.items()
            },
        )
        write_run(results, manifest, [rows[index] for index in kept], left, replace=True)
        yield f"{run.path}: {len(scores) - len(kept)} queries, answers and scores; history"


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
        return user in json.loads(decompress(read_regular(file))).get("user", ())
    except (OSError, ValueError, AttributeError, RecursionError):
        return True

"""Writing a submission: copies of recorded runs in a folder that can be sent to others."""

import re
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from lampbench.record.dataset_files import (
    check_content,
    shared_path,
    write_histories,
    write_queries,
)
from lampbench.record.leftovers import TEMPORARY, new_leftover
from lampbench.record.manifest import MANIFEST
from lampbench.record.paths import run_path
from lampbench.record.private import without_texts
from lampbench.record.publication import has_public_data, publication_findings
from lampbench.record.recorded_run import Run
from lampbench.record.run_lock import LOCKS
from lampbench.record.submission import SUBMISSION, Submission
from lampbench.record.write import write_run
from lampbench.util.atomic import replacing
from lampbench.util.disk import writing
from lampbench.util.disk_list import listed
from lampbench.util.errors import LampbenchError
from lampbench.util.regular_file import open_regular


def folder_name(name: str) -> str:
    """A folder's name for a submitter: lower-case letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "submission"


def write_submission(
    runs: Sequence[Run],
    folder: Path,
    name: str,
    *,
    url: str | None = None,
    private: bool = False,
    with_texts: bool = False,
) -> Submission:
    """Copy runs and the files that they share into a new folder, with who recorded them.

    Args:
        runs: distinct runs of one's own.
        folder: where they go; it must not be there yet. It appears complete or not at all.
        name: who recorded them.
        url: where more is said about them.
        private: leave out every text of users and model.
        with_texts: publish the texts of data that do not come with the package.

    Raises:
        LampbenchError: a run must not be published as it is, is given twice, is somebody else's or
            damaged, or the folder is there or cannot be written.
    """
    check_publishable(runs, private=private, with_texts=with_texts)
    return write_folder(runs, folder, name, url=url, private=private)


def write_folder(
    runs: Sequence[Run], folder: Path, name: str, *, url: str | None = None, private: bool = False
) -> Submission:
    """As `write_submission`, whatever the runs contain.

    Raises:
        LampbenchError: a run is damaged, or the folder is there already or cannot be written.
    """
    if folder.exists() or folder.is_symlink():
        raise LampbenchError(f"{folder}: is there already; name a new folder, or remove it")
    try:
        named = Submission(
            name=name,
            url=url,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            runs=tuple(sorted(_place(run).as_posix() for run in runs)),
        )
    except ValueError as error:
        raise LampbenchError(f"{folder}: no submission: {error}") from error
    made = folder.with_name(f"{TEMPORARY}{folder.name}")
    try:
        shutil.rmtree(made, ignore_errors=True)
        with writing(folder):
            made.mkdir(parents=True)
        copy_runs(runs, made, private=private)
        shutil.rmtree(made / LOCKS, ignore_errors=True)
        (made / SUBMISSION).write_bytes(named.to_json())
        made.rename(folder)
    except OSError as error:
        raise LampbenchError(f"{folder}: cannot be written ({error.strerror})") from error
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return named


def copy_runs(runs: Sequence[Run], root: Path, *, private: bool = False) -> None:
    """Copy runs below another folder of runs, byte for byte, or `private` without their texts.

    Those of an earlier recorded format are written in today's.

    Raises:
        LampbenchError: a run is damaged.
        OSError: a file cannot be written.
    """
    for run in runs:
        if private and not run.manifest.private:
            _copy_without_texts(run, root)
        elif run.format_1 is not None:
            run.format_1.write_shared_files(run.manifest, root)
            write_run(root, run.manifest, *run.answers_and_scores)
        else:
            _copy(run, root)


def check_publishable(runs: Sequence[Run], *, private: bool, with_texts: bool) -> None:
    """Refuse runs that must not be published as they are.

    Raises:
        LampbenchError: names the run, what in it must not be published, and what to do.
    """
    repeated, count = Counter(run.manifest.key for run in runs).most_common(1)[0]
    if count > 1:
        raise LampbenchError(f"run {repeated} is given {count} times; name it once")
    for run in runs:
        if run.submitter is not None:
            raise LampbenchError(
                f"{run.path}: was submitted by {run.submitter}; name runs of your own"
            )
        with_its_texts = not private and not run.manifest.private
        if with_its_texts and not has_public_data(run) and not with_texts:
            raise LampbenchError(
                f"{run.path}: its data, {run.manifest.dataset.source}, may not be yours to "
                "publish; give --private to publish hashes, lengths and scores only, or "
                "--with-texts if the data's licence and the people in it allow it"
            )
    for run in runs:
        for found in _kept_findings(run, private):
            raise LampbenchError(f"{run.path}: {found}")


def _kept_findings(run: Run, private: bool) -> list[str]:
    """What would still be found in the copy: of a private one, the manifest's alone."""
    found = publication_findings(run)
    return [one for one in found if one.startswith(MANIFEST)] if private else found


def _place(run: Run) -> Path:
    manifest = run.manifest
    return run_path(Path(), manifest.task, manifest.model, manifest.method, manifest.key)


def _copy(run: Run, root: Path) -> None:
    _ = run.answers_and_scores, run.past_records  # refuses a damaged run
    source = run.path.absolute()
    target = root / _place(run)
    _copy_shared_files(run, root)
    made = new_leftover(TEMPORARY, target)
    try:
        for name in (MANIFEST, *run.manifest.files):
            _copy_file(source / name, made / name)
        made.rename(target)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


def heal_shared_files(runs: Sequence[Run], root: Path) -> None:
    """Replace damaged files that runs below another folder share by the sound ones of these runs.

    Raises:
        OSError: a file cannot be written.
    """
    for run in runs:
        if run.format_1 is None:
            _copy_shared_files(run, root, absent=False)


def _copy_shared_files(run: Run, root: Path, *, absent: bool = True) -> None:
    """Copy files that are damaged there, and those that are `absent`."""
    data, task = run.manifest.dataset, run.manifest.task
    for file in (*data.queries_files, *data.histories_files):
        shared = shared_path(root, task, file)
        if not (absent or shared.exists()):
            continue
        try:
            check_content(shared, file.sha256)
        except ValueError:
            _copy_file(shared_path(run.path.absolute().parents[3], task, file), shared)


def _copy_file(source: Path, target: Path) -> None:
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    with open_regular(source) as content, replacing(target) as stream:
        shutil.copyfileobj(content, stream)


def _copy_without_texts(run: Run, root: Path) -> None:
    manifest = run.manifest
    queries = (query.without_texts() for query in run.asked)
    past = (replace(record, beginning=None) for record in run.past_records)
    data = manifest.dataset.with_files(
        write_queries(root, manifest.task, queries), write_histories(root, manifest.task, past)
    )
    service = manifest.service and manifest.service.without_requests()
    private = replace(manifest, dataset=data, private=True, prompt_head=(), service=service)
    rows, scores = run.answers_and_scores
    write_run(root, private, listed(without_texts(row) for row in rows), scores)

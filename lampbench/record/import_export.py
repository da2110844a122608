"""Predictions to and from elsewhere, in the form of LaMP's evaluation.

`{"task": "LaMP_4", "golds": [{"id": "...", "output": "..."}]}` is what LaMP's evaluation reads and
what the code of OPPU and CoPe writes, with the answers in place of the references.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from textwrap import indent

from lampbench.core.dataset import Dataset, Query
from lampbench.core.task import Task
from lampbench.data.json_stream import declared_task, stream_list
from lampbench.data.loaders.references import is_same_task
from lampbench.data.parse_values import as_id, as_text, json_type
from lampbench.engine.models import BUNDLED, MODEL_PRESETS
from lampbench.record.dataset_files import record_dataset
from lampbench.record.manifest import MANIFEST, ExternalFile, Manifest, ModelDetails
from lampbench.record.paths import run_path
from lampbench.record.private import without_texts
from lampbench.record.recorded_run import Run, read_run
from lampbench.record.unused_files import remove_unused_files
from lampbench.record.versions import versions
from lampbench.record.write import RecordedAlready, write_run
from lampbench.scoring import METRICS, PredictionRow, Scoring, histories, score_predictions
from lampbench.util.atomic import replacing
from lampbench.util.disk_set import DiskSet
from lampbench.util.errors import LampbenchError, short_repr
from lampbench.util.hashing import digest_of_list, file_digest
from lampbench.util.regular_file import read_regular

EXTERNAL = "external"
"""The preset and the fidelity of a run whose settings the harness does not know."""


def read_prediction_file(file: Path, task: Task, dataset: Dataset) -> list[PredictionRow]:
    """The predictions in a file, in the order of the dataset.

    Outputs are taken as they are, empty ones too. References are the dataset's own. What only the
    maker knows (token counts, whether an answer was truncated) is None.

    Raises:
        LampbenchError: malformed, another task's, an id that is there twice or that the dataset
            does not ask, or a query without prediction.
    """
    found = declared_task(file)
    if found is not None and not is_same_task(found, task_id(task)):
        raise LampbenchError(
            f"{file}: holds {short_repr(found)}, not {task_id(task)} ({task.name}); give this "
            "task's "
            "file or "
            "another --task"
        )
    asked = _by_id(dataset)
    outputs: dict[str, str] = {}
    for where, entry in stream_list(file):
        name = as_id(entry.get("id"), where)
        if name in outputs:
            raise LampbenchError(
                f"{where}: a second prediction for query {short_repr(name)}; remove one"
            )
        if name not in asked:
            raise LampbenchError(
                f"{where}: query {short_repr(name)} is not among the {len(asked)} test queries of "
                f"{dataset.source}; give the data and the users that were predicted (--data, "
                "--users)"
            )
        output = entry.get("output")
        if not isinstance(output, str):
            held = "missing" if output is None else json_type(output)
            raise LampbenchError(
                f'{where}: output must be text, it is {held}; write the answer as a string ("" if '
                "there is none)"
            )
        as_text(output, where, "output")  # refuses what is no text
        outputs[name] = output
    if missing := [name for name in asked if name not in outputs]:
        raise LampbenchError(
            f"{file}: has no prediction for {len(missing)} of {len(asked)} test queries of "
            f"{dataset.source}, first {short_repr(missing[0])}; give all of them, or fewer users "
            "(--users)"
        )
    return [
        PredictionRow(user, query.id, outputs[query.id], query.reference)
        for user, query in asked.values()
    ]


def import_predictions(
    file: Path,
    task: Task,
    dataset: Dataset,
    *,
    method: str,
    title: str,
    model: str,
    seed: int,
    results: Path,
    command: str,
    private: bool = False,
    plugins: tuple[Path, ...] = (),
) -> Run:
    """Score a file of predictions and record it as an external run.

    Its key is the digest of what it holds, so that the same file is recorded once, privately or
    with texts. Where it is `private`, no text of the users or the model is recorded.

    Raises:
        LampbenchError: as `read_prediction_file`.
        RecordedAlready: this file was imported before.
    """
    rows = read_prediction_file(file, task, dataset)
    answers = (row.prediction for row in rows)
    key = _external_key(method, task.name, model, seed, dataset.fingerprint, answers)
    folder = run_path(results, task.name, model, method, key)
    _require_not_recorded_otherwise(folder, private)  # before any text is written
    scoring = Scoring((*METRICS, *task.metrics), plugins, histories(dataset), task.choices)
    spec = MODEL_PRESETS.get(model)
    location = "lampbench.bundled" if model in BUNDLED else spec.location if spec else model
    data = record_dataset(results, dataset, task, private=private)
    manifest = Manifest(
        key=key,
        method=method,
        method_title=title,
        task=task.name,
        task_title=task.title,
        model=model,
        seed=seed,
        preset=EXTERNAL,
        fidelity=EXTERNAL,
        overrides={},
        hyperparameters={},
        dataset=data,
        model_details=ModelDetails(location=location),
        versions=versions(),
        command=command,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        scoring=scoring.describe(),
        external=ExternalFile(file.name, file_digest(file)),
        private=private,
    )
    scores = score_predictions(rows, None, scoring)
    if private:
        rows = [without_texts(row) for row in rows]
    try:
        return write_run(results, manifest, rows, scores, metrics=scoring.load())
    except RecordedAlready as error:
        read_run(folder)  # it may be damaged
        raise RecordedAlready(f"{error} with these predictions; nothing is left to do") from error
    finally:
        if private:
            remove_unused_files(results, task.name)  # those of a record with texts


def _require_not_recorded_otherwise(folder: Path, private: bool) -> None:
    try:
        recorded = Manifest.from_json(read_regular(folder / MANIFEST))
    except (OSError, ValueError):
        return  # not there, or damaged, which is said when it is not replaced
    if recorded.private != private:
        how = "with their texts" if private else "privately, without their texts"
        raise RecordedAlready(
            f"{folder}: this run is recorded already with these predictions, {how}: delete "
            f"{folder} and give the command again"
        )


def external_key(manifest: Manifest, answers: Iterable[str | None]) -> str:
    """The key of an external run: the digest of what was run and of the answers, in order."""
    m = manifest
    return _external_key(m.method, m.task, m.model, m.seed, m.dataset.fingerprint, answers)


def _external_key(
    method: str, task: str, model: str, seed: int, data: str, answers: Iterable[str | None]
) -> str:
    return digest_of_list([EXTERNAL, method, task, model, seed, data, iter(answers)])


def export_predictions(run: Run, task: Task, file: Path) -> int:
    """Write a run's predictions to a new file; returns how many.

    Raises:
        LampbenchError: the file is there already or cannot be written, the run is private, or two
            users have a query of the same id, which this form cannot tell apart.
    """
    if run.manifest.private:
        raise LampbenchError(
            f"{run.path}: a private run, which recorded no answers; run it again with --force and "
            "without --private to export them"
        )
    rows, _ = run.answers_and_scores
    _check_distinct((row.query for row in rows), str(run.path))
    if file.exists():
        raise LampbenchError(f"{file}: is there already; name a new file")
    try:
        with replacing(file) as stream:
            stream.writelines(_lamp_text(task, rows))
    except OSError as error:
        raise LampbenchError(f"{file}: cannot be written ({error.strerror})") from error
    return len(rows)


def _lamp_text(task: Task, rows: Iterable[PredictionRow]) -> Iterator[bytes]:
    """The file's text, an answer at a time, indented as `json.dumps` indents the whole."""
    yield f'{{\n "task": {json.dumps(task_id(task))},\n "golds": ['.encode("ascii")
    between = "\n"
    for row in rows:
        # ASCII: a model may emit half a surrogate pair, which UTF-8 cannot hold
        gold = json.dumps({"id": row.query, "output": row.prediction}, indent=1)
        yield (between + indent(gold, "  ")).encode("ascii")
        between = ",\n"
    yield b"\n ]\n}\n"


def task_id(task: Task) -> str:
    """What files call a task: its id in the LaMP or LongLaMP files, or else its name."""
    return task.files.task_id if task.files else task.name


def _by_id(dataset: Dataset) -> Mapping[str, tuple[str, Query]]:
    asked = [(user.id, query) for user in dataset.test_users for query in user.queries]
    _check_distinct((query.id for _, query in asked), dataset.source)
    return {query.id: (user, query) for user, query in asked}


def _check_distinct(queries: Iterable[str], where: str) -> None:
    seen = DiskSet()
    name = next((query for query in queries if not seen.add(query)), None)
    if name is not None:
        raise LampbenchError(
            f"{where}: several users have a query {name!r}, and files of predictions name queries "
            "alone; give each query an id of its own"
        )

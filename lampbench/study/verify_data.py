"""Whether the data that a submitted run recorded is the data that it names."""

import tempfile
from dataclasses import asdict, fields, replace
from pathlib import Path

from lampbench.core.dataset import Dataset
from lampbench.core.task import Task
from lampbench.data import DataOptions, load_dataset
from lampbench.data.users_on_disk import held
from lampbench.record.dataset_files import record_dataset
from lampbench.record.publication import PUBLIC_DATA
from lampbench.record.recorded_dataset import DatasetOptions, RecordedDataset, names_user
from lampbench.record.recorded_run import Run
from lampbench.registry import Registry
from lampbench.study.submission_findings import SubmissionFindings

_OF_ITS_PLACE = ("source", "options")
"""What a dataset's description says of where it was read, which may be elsewhere now."""


class VerifiedData:
    """Compares runs' recorded data with the data itself, each read once.

    `data` is where data is that does not come with the package. What a run says about that place is
    never used: it may name any file.
    """

    def __init__(self, data: str | None = None) -> None:
        self._data = data
        self._registry = Registry()
        self._read: dict[tuple[str, str, str], Dataset] = {}

    def task(self, run: Run) -> Task | None:
        """The built-in task of a run; None where it is a plugin's."""
        name = run.manifest.task
        return self._registry.task(name) if name in self._registry.names("task") else None

    def check(self, run: Run, found: SubmissionFindings) -> Dataset | None:
        """Add what holds and what does not; returns the data where it is that of the run.

        Raises:
            LampbenchError: the data cannot be read.
        """
        recorded, task = run.manifest.dataset, self.task(run)
        place = self._place(recorded.options)
        if task is None or recorded.options is None or place is None:
            why = (
                f"task {run.manifest.task} is none of this version"
                if task is None
                else "it was made in Python"
                if recorded.options is None
                else f"{recorded.source} is not here; give its place with --data"
            )
            found.unchecked.append(
                f"queries, references and histories are those of the data: {why}"
            )
            return None
        dataset = self._load(task, place, recorded.options)
        problems = self._problems(run, dataset, task, moved=place != recorded.options.data)
        found.refused += problems
        if problems:
            return None
        left = ""
        if recorded.removed_users:
            left = " of the users who are left"
            found.unchecked.append(
                f"{recorded.removed_users} users were removed on request: how they were answered"
            )
        found.checked.append(f"queries, references and histories{left} are those of {place}")
        return dataset

    def _place(self, options: DatasetOptions | None) -> str | None:
        """Where a run's data is read; None where that is not known."""
        return PUBLIC_DATA if options and options.data == PUBLIC_DATA else self._data

    def _load(self, task: Task, place: str, options: DatasetOptions) -> Dataset:
        values = {name: value for name, value in asdict(options).items() if name != "data"}
        key = task.name, place, repr(values)
        if key not in self._read:
            self._read[key] = load_dataset(task, place, DataOptions(**values))
        return self._read[key]

    def _problems(self, run: Run, dataset: Dataset, task: Task, *, moved: bool) -> list[str]:
        """How the recorded description and files differ from what is recorded of the data here."""
        recorded = run.manifest.dataset
        expected = _described(dataset, task, private=run.manifest.private)
        if recorded.removed_users:
            expected = _without_removed(expected, run, dataset, task)
        return [
            f"its data is not the data of {task.name} here: {field.name} is "
            f"{_shown(getattr(recorded, field.name))}, not {_shown(getattr(expected, field.name))}"
            for field in fields(RecordedDataset)
            if not (moved and field.name in _OF_ITS_PLACE)
            and getattr(recorded, field.name) != getattr(expected, field.name)
        ]


def _described(dataset: Dataset, task: Task, *, private: bool) -> RecordedDataset:
    with tempfile.TemporaryDirectory() as folder:
        return record_dataset(Path(folder), dataset, task, private=private)


def _without_removed(
    whole: RecordedDataset, run: Run, dataset: Dataset, task: Task
) -> RecordedDataset:
    """What is recorded of the data once all users are removed of whom a run has no query."""
    kept = {query.user for query in run.asked}
    removed = [user.id for user in dataset.test_users if user.id not in kept]
    rest = replace(dataset, test_users=held(u for u in dataset.test_users if u.id in kept))
    part = _described(rest, task, private=run.manifest.private)
    return replace(
        whole.with_files(part.queries_files, part.histories_files),
        test_users=part.test_users,
        queries=part.queries,
        removed_users=len(removed),
        notes=tuple(x for x in whole.notes if not any(names_user(x, user) for user in removed)),
    )


def _shown(value: object) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."

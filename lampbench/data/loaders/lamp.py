"""LaMP's official files (Salemi et al., 2024): questions and outputs of train, dev and test.

`{split}_questions.json` is a list of {id, input, profile[, user_id]}, `{split}_outputs.json` is
{"task", "golds": [{id, output}]}. The test outputs of the user-based split are not published.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from lampbench.core.dataset import Dataset, Query
from lampbench.core.task import Task
from lampbench.data.file_checks import find_file, find_folder, no_data
from lampbench.data.json_stream import stream_list
from lampbench.data.loaders.entry_parser import EntryParser, entry_parser, task_folders
from lampbench.data.loaders.group_by_user import PublishedRow, group_by_user
from lampbench.data.loaders.references import read_references
from lampbench.data.options import SPLITS, DataOptions, SplitBy
from lampbench.data.parse_values import as_id, as_list
from lampbench.util.errors import LampbenchError, short_repr


class SplitFiles(NamedTuple):
    """The files of one split; `outputs` is None if they are not there."""

    questions: Path
    outputs: Path | None


def load_lamp(task: Task, folder: Path, options: DataOptions) -> Dataset:
    """Users from LaMP's files, in a folder as downloaded.

    Looks for the files in the folder itself and below `LaMP_4/`, flat or with one folder per
    split, and for the time-based split below `time/`.

    Raises:
        LampbenchError: files are missing, malformed or another task's, references and queries
            do not match, or there are too few users.
    """
    parser = entry_parser(task, task.files)
    split_by, files = _find(folder, parser.task_id, options.split_by)
    files, notes = _requested(folder, files, options)
    questions = next(iter(files.values())).questions
    where, first = next(stream_list(questions))
    parser.refuse_other_tasks(first.get("input"), where, questions.parent)
    references = {
        name: read_references(split.outputs, parser.task, parser.task_id) if split.outputs else None
        for name, split in files.items()
    }

    def rows() -> Iterator[PublishedRow]:
        for name, split in files.items():
            yield from _rows(name, split, references[name], parser)

    users = group_by_user(rows, parser, options, str(folder))
    source = f"lamp:{folder} (split by {split_by}: {', '.join(files)})"
    return Dataset(task.name, source, users.train, users.test, notes=(*notes, *users.notes))


def find_lamp_files(folder: Path, task_id: str) -> dict[SplitBy, dict[Path, dict[str, SplitFiles]]]:
    """The files of a task in a folder, by way of splitting, by subfolder and by split."""
    names = task_folders(task_id)
    user = [folder, *(folder / name for name in names), *(folder / n / "new" for n in names)]
    time = [folder / "time", *(folder / n / "time" for n in names)]
    time += [folder / "time" / name for name in names]
    if "time" in folder.parts[-2:]:
        user, time = time, user
    return {
        "user": {base: files for base in user if (files := _files_in(base))},
        "time": {base: files for base in time if (files := _files_in(base))},
    }


def _find(
    folder: Path, task_id: str, split_by: SplitBy | None
) -> tuple[SplitBy, dict[str, SplitFiles]]:
    """The way of splitting to read (by user if both are there) and the files of its splits.

    Raises:
        LampbenchError: no such files, only those split the other way, or two folders with them.
    """
    found = find_lamp_files(folder, task_id)
    ways: list[SplitBy] = [split_by] if split_by else ["user", "time"]
    for way in ways:
        if len(found[way]) > 1:
            listed = " and ".join(str(base) for base in found[way])
            raise LampbenchError(
                f"{folder}: {task_id} is in {listed}; give one of them: --data lamp:FOLDER"
            )
        for files in found[way].values():
            return way, files
    if any(found.values()):
        there = next(way for way, places in found.items() if places)
        raise LampbenchError(
            f"{folder}: {task_id} is here split by {there}, not by {split_by}; use --split-by "
            f"{there} or give another folder"
        )
    raise no_data(
        folder,
        task_folders(task_id),
        f"{folder}: no questions of {task_id} (train_questions.json, dev_questions.json, ...) here "
        f"or in {task_id}/; give the folder that has them",
    )


def _files_in(base: Path) -> dict[str, SplitFiles]:
    found: dict[str, SplitFiles] = {}
    for name in SPLITS if base.is_dir() else ():
        for place in filter(None, (base, find_folder(base, name))):
            split = _files_of_split(place, name)
            if split and name in found:
                raise LampbenchError(
                    f"{split.questions}: split {name} is also in {found[name].questions}; remove "
                    "one of them"
                )
            if split:
                found[name] = split
    return found


def _files_of_split(place: Path, name: str) -> SplitFiles | None:
    questions = find_file(place, f"{name}_questions.json")
    outputs = find_file(place, f"{name}_outputs.json")
    if questions:
        return SplitFiles(questions, outputs)
    if outputs:
        raise LampbenchError(
            f"{outputs}: {name}_questions.json is missing beside it; download it too, or remove "
            "the outputs"
        )
    return None


def _requested(
    folder: Path, files: dict[str, SplitFiles], options: DataOptions
) -> tuple[dict[str, SplitFiles], list[str]]:
    """The splits to read, by default those with references; only test may be without."""
    for name in options.splits:
        if name not in files:
            raise LampbenchError(
                f"{folder}: has no {name}_questions.json; add it, or use --split "
                f"{' or '.join(files)}"
            )
    for name, split in files.items():
        if not split.outputs and name != "test" and name in (options.splits or files):
            raise LampbenchError(
                f"{split.questions}: {name}_outputs.json is missing beside it; download it too"
            )
    if options.splits:
        return {name: files[name] for name in SPLITS if name in options.splits}, []
    absent = [f"{name}_questions.json" for name in ("train", "dev") if name not in files]
    notes = [f"not in the folder, not read: {', '.join(absent)}"] if absent else []
    scored = {name: split for name, split in files.items() if split.outputs}
    if not scored or len(scored) == len(files):
        return files, notes
    return scored, [
        *notes,
        "test_questions.json not read, its references are withheld "
        "(--split test answers it without scores)",
    ]


def _rows(
    name: str, files: SplitFiles, references: dict[str, str] | None, parser: EntryParser
) -> Iterator[PublishedRow]:
    seen: set[str] = set()
    for where, question in stream_list(files.questions):
        query = as_id(question.get("id"), where)
        if query in seen:
            raise LampbenchError(
                f"{where}: query id {short_repr(query)} is used twice; give each its own"
            )
        seen.add(query)
        if references is not None and query not in references:
            raise LampbenchError(
                f"{where}: {files.outputs} has no reference for query {short_repr(query)}; "
                "use the questions and outputs of one download"
            )
        fields = parser.read_input(question, where)
        user = question.get("user_id")
        profile = as_list(question.get("profile"), where, "profile")
        yield PublishedRow(
            where,
            name,
            None if user is None else as_id(user, where, "user_id"),
            Query(query, fields, None if references is None else references[query]),
            profile,
        )
    for query in references or ():
        if query not in seen:
            raise LampbenchError(
                f"{files.outputs}: has a reference for query {short_repr(query)}, which is not in "
                f"{files.questions.name}; use the questions and outputs of one download"
            )

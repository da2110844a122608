"""LaMP's official files (Salemi et al., 2024): questions and outputs of train, dev and test.

`{part}_questions.json` is a list of {id, input, profile[, user_id]}, `{part}_outputs.json` is
{"task", "golds": [{id, output}]}. The test outputs of the user-based split are not published.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from lampbench.core.dataset import Dataset, Query
from lampbench.core.task import Task
from lampbench.data import json_records
from lampbench.data.field_values import identifier, listing, text
from lampbench.data.merge_users import PublishedRow, pool
from lampbench.data.options import PARTS, DataOptions, SplitBy
from lampbench.data.record_format import Form, form_of, same_task
from lampbench.util.errors import LampbenchError


class Part(NamedTuple):
    """The files of a part; `outputs` is None where they are withheld."""

    questions: Path
    outputs: Path | None


def load_lamp(task: Task, folder: Path, options: DataOptions) -> Dataset:
    """Users from LaMP's files, in a folder as downloaded.

    Looks for the files in the folder itself or below `LaMP_4/`, flat or with a folder for each
    part, and for the time-based split below `time/`.

    Raises:
        LampbenchError: files are missing, malformed or another task's, references and queries
            do not match, or there are too few users.
    """
    form = form_of(task, task.files)
    split, parts = _find(folder, form.task_id, options.split_by)
    parts, notes = _wanted(folder, parts, options)
    for part in parts.values():
        json_records.check_escapes(part.questions)
    golds = {name: _outputs(part, form) for name, part in parts.items()}

    def rows() -> Iterator[PublishedRow]:
        for name, part in parts.items():
            yield from _rows(name, part, golds[name], form)

    pooled = pool(rows, form, options, str(folder))
    source = f"lamp:{folder} ({split} split: {', '.join(parts)})"
    return Dataset(task.name, source, pooled.train, pooled.test, notes=(*notes, *pooled.notes))


def places(folder: Path, task_id: str) -> dict[SplitBy, dict[Path, dict[str, Part]]]:
    """Where questions of a task stand in a folder: the parts by split and place."""
    names = dict.fromkeys([task_id, task_id.replace("_", "-")])
    user = [folder, *(folder / name for name in names), *(folder / n / "new" for n in names)]
    time = [folder / "time", *(folder / n / "time" for n in names)]
    time += [folder / "time" / name for name in names]
    if "time" in folder.parts[-2:]:
        user, time = time, user
    return {
        "user": {base: parts for base in user if (parts := _parts_in(base))},
        "time": {base: parts for base in time if (parts := _parts_in(base))},
    }


def _find(folder: Path, task_id: str, split: SplitBy | None) -> tuple[SplitBy, dict[str, Part]]:
    """The split to read (the user-based one where both are there) and the files of its parts.

    Raises:
        LampbenchError: no such files, the other split's only, or two places that have them.
    """
    found = places(folder, task_id)
    splits: list[SplitBy] = [split] if split else ["user", "time"]
    for kind in splits:
        if len(found[kind]) > 1:
            listed = " and ".join(str(base) for base in found[kind])
            raise LampbenchError(f"{folder}: questions stand in {listed}; give one of the two")
        for parts in found[kind].values():
            return kind, parts
    other = "; the other split is there" if any(found.values()) else ""
    raise LampbenchError(
        f"{folder}: no {'/'.join(splits)} split of {task_id} (train_questions.json, "
        f"dev_questions.json, ...) here or in {task_id}/{other}; give the folder that has it"
    )


def _parts_in(base: Path) -> dict[str, Part]:
    found = {}
    for name in PARTS:
        for place in (base, base / name):
            questions, outputs = place / f"{name}_questions.json", place / f"{name}_outputs.json"
            if questions.is_file() and name not in found:
                found[name] = Part(questions, outputs if outputs.is_file() else None)
    return found


def _wanted(
    folder: Path, parts: dict[str, Part], options: DataOptions
) -> tuple[dict[str, Part], list[str]]:
    """The parts asked for, by default those with references; only the test part may lack them."""
    for name in options.splits:
        if name not in parts:
            raise LampbenchError(f"{folder}: has no {name}_questions.json (it has {[*parts]})")
    for name, part in parts.items():
        if not part.outputs and name != "test" and name in (options.splits or parts):
            raise LampbenchError(
                f"{part.questions}: {name}_outputs.json is missing beside it; download it too"
            )
    if options.splits:
        return {name: parts[name] for name in PARTS if name in options.splits}, []
    scored = {name: part for name, part in parts.items() if part.outputs}
    if not scored or len(scored) == len(parts):
        return parts, []
    return scored, ["test_questions.json was not read: its references are withheld (--split test)"]


def _outputs(part: Part, form: Form) -> dict[str, str] | None:
    """References by query id."""
    if part.outputs is None:
        return None
    found = json_records.task_of(part.outputs)
    if found is not None and not same_task(found, form.task_id):
        raise LampbenchError(
            f"{part.outputs}: holds {found}, not {form.task_id} ({form.task}); "
            "give this task's files or another --task"
        )
    return read_golds(part.outputs)


def read_golds(path: Path) -> dict[str, str]:
    """References by query id, from {"task", "golds": [{id, output}]} or the list alone.

    Raises:
        LampbenchError: malformed, or an id that stands twice.
    """
    json_records.check_escapes(path)
    golds: dict[str, str] = {}
    for where, entry in json_records.items(path):
        name = identifier(entry.get("id"), where)
        if name in golds:
            raise LampbenchError(f"{where}: a second reference for query {name!r}; remove one")
        if entry.get("output") is None:
            raise LampbenchError(f"{where}: has no 'output'; give the file with the references")
        golds[name] = text(entry["output"], where, "output")
    return golds


def _rows(
    name: str, part: Part, golds: dict[str, str] | None, form: Form
) -> Iterator[PublishedRow]:
    seen: set[str] = set()
    for where, question in json_records.items(part.questions):
        query = identifier(question.get("id"), where)
        if query in seen:
            raise LampbenchError(f"{where}: query id {query!r} stands twice; give each its own")
        seen.add(query)
        if golds is not None and query not in golds:
            raise LampbenchError(
                f"{where}: {part.outputs} has no reference for query {query!r}; "
                "give the outputs of the same download"
            )
        fields = form.read_input(question.get("input"), where)
        user = question.get("user_id")
        yield PublishedRow(
            where,
            name,
            None if user is None else identifier(user, where, "user_id"),
            Query(query, fields, None if golds is None else golds[query]),
            tuple(
                form.read_record(entry, f"{where}: profile entry {number}")
                for number, entry in enumerate(
                    listing(question.get("profile"), where, "profile"), 1
                )
            ),
        )
    for query in golds or ():
        if query not in seen:
            raise LampbenchError(
                f"{part.outputs}: a reference for query {query!r}, which {part.questions.name} "
                "does not ask; give the questions of the same download"
            )

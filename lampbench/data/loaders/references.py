"""Read published references: {"task", "golds": [{id, output}]}, or the list alone."""

import re
from pathlib import Path

from lampbench.data.json_stream import declared_task, stream_list
from lampbench.data.parse_values import as_id, as_text
from lampbench.util.errors import LampbenchError, short_repr


def read_references(path: Path, task: str, task_id: str) -> dict[str, str]:
    """References by query id.

    Args:
        path: the file.
        task: the task's name, for errors.
        task_id: the task's name in published files, which the file's `"task"` must be if it has
            one.

    Raises:
        LampbenchError: malformed, another task's, or two references for one query.
    """
    found = declared_task(path)
    if found is not None and not is_same_task(found, task_id):
        raise LampbenchError(
            f"{path}: has references of {short_repr(found)}, not of {task_id} ({task}); "
            "give this task's files or another --task"
        )
    references: dict[str, str] = {}
    for where, entry in stream_list(path):
        query = as_id(entry.get("id"), where)
        if query in references:
            raise LampbenchError(
                f"{where}: a second reference for query {short_repr(query)}; remove one"
            )
        if entry.get("output") is None:
            raise LampbenchError(
                f"{where}: output is missing; add the reference or download the file again"
            )
        references[query] = as_text(entry["output"], where, "output")
    return references


def is_same_task(found: str, task_id: str) -> bool:
    """Whether two task ids mean the same task (`LaMP_4`, `LaMP-4`, `lamp 4`)."""
    other = re.compile(r"[^a-z0-9]")
    return other.sub("", found.lower()) == other.sub("", task_id.lower())

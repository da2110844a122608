"""What the queries were, recorded once a dataset beside the runs on it, so that pages made from
`results/` can show inputs and the history that prompts quoted.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lampbench.core.dataset import Dataset
from lampbench.record.runs import escape
from lampbench.util.atomic import replace
from lampbench.util.errors import LampbenchError

SHOWN = 200
"""Characters of a past record's target that are kept."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """Fields of each (user, query), and of each user the beginnings of past targets, oldest first,
    by record id.
    """

    queries: Mapping[tuple[str, str], Mapping[str, str]]
    histories: Mapping[str, Mapping[str, str]]


def inputs_path(results: Path, task: str, fingerprint: str) -> Path:
    """Where a dataset's inputs stand."""
    return results / escape(task) / f"{escape(fingerprint)}.inputs.jsonl"


def write_inputs(results: Path, dataset: Dataset) -> None:
    """Record a dataset's inputs, unless they stand there already.

    Raises:
        LampbenchError: the disk refuses.
    """
    file = inputs_path(results, dataset.task, dataset.fingerprint)
    if file.exists():
        return
    rows = [
        {
            "user": user.id,
            "history": [[record.id, record.target[:SHOWN]] for record in user.history],
            "queries": [[query.id, dict(query.fields)] for query in user.queries],
        }
        for user in dataset.test_users
    ]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        replace(file, text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise LampbenchError(f"{file}: cannot be written ({error.strerror})") from error


def read_inputs(results: Path, manifest: Mapping[str, Any]) -> Inputs | None:
    """The inputs of the dataset that a run's manifest names; None where they are not recorded.

    Raises:
        LampbenchError: the file is damaged.
    """
    file = inputs_path(results, manifest["task"], manifest["dataset"]["fingerprint"])
    queries: dict[tuple[str, str], dict[str, str]] = {}
    histories: dict[str, dict[str, str]] = {}
    try:
        for line in file.read_text(encoding="utf-8").strip("\n").split("\n"):
            row = json.loads(line)
            histories[row["user"]] = dict(row["history"])
            queries |= {(row["user"], name): fields for name, fields in row["queries"]}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LampbenchError(
            f"{file}: cannot be read ({error}); delete it and run one of its runs with --force"
        ) from error
    return Inputs(queries, histories)

"""Write a dataset in our own layout, as `lampbench data import` does."""

import json
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lampbench.core.dataset import Dataset, User
from lampbench.data.loaders.lampbench_layout import HEAD_FILE, TEST_FILE, TRAIN_FILE
from lampbench.util.disk import writing
from lampbench.util.errors import LampbenchError


def write_dataset(dataset: Dataset, folder: Path) -> None:
    """Write a dataset so that `lampbench:FOLDER` reads it; the folder appears whole or not at all.

    Raises:
        LampbenchError: the folder has something in it already, or cannot be written.
    """
    check_output_folder(folder)
    head = {
        "task": dataset.task,
        "source": dataset.source,
        "licence": dataset.licence,
        "attribution": dataset.attribution,
        "description": dataset.description,
        "synthetic": dataset.synthetic,
        "notes": list(dataset.notes),
    }
    try:
        with writing(folder):
            _write(folder, head, dataset)
    except OSError as error:
        raise LampbenchError(
            f"{folder}: cannot be written ({error.strerror}); choose another --output"
        ) from error


def _write(folder: Path, head: Mapping[str, Any], dataset: Dataset) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        (unfinished / HEAD_FILE).write_text(json.dumps(head, indent=2, sort_keys=True) + "\n")
        _write_users(unfinished / TEST_FILE, dataset.test_users)
        _write_users(unfinished / TRAIN_FILE, dataset.train_users)
        unfinished.chmod(0o755)
        unfinished.rename(folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def check_output_folder(folder: Path) -> None:
    """Raise LampbenchError unless the folder is missing or empty."""
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise LampbenchError(f"{folder}: exists already; remove it or choose another --output")


def _write_users(path: Path, users: Iterable[User]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        for user in users:
            line: dict[str, Any] = {
                "id": user.id,
                "history": [_entry(r.id, r.fields, r.target, r.date) for r in user.history],
                "queries": [_entry(q.id, q.fields, q.reference, q.date) for q in user.queries],
            }
            if user.profile is not None:
                line["profile"] = user.profile
            stream.write(json.dumps(line, ensure_ascii=False) + "\n")


def _entry(
    name: str, fields: Mapping[str, str], target: str | None, date: str | None
) -> dict[str, Any]:
    return {"id": name, "date": date, "fields": dict(fields), "target": target}

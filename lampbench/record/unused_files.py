"""Files of queries and histories that no recorded run names any more."""

from collections.abc import Iterator
from pathlib import Path

from lampbench.record.manifest import MANIFEST
from lampbench.record.paths import escape


def remove_unused_files(results: Path, task: str) -> list[Path]:
    """Delete a task's files of queries and histories that no manifest names; returns them.

    Manifests of damaged runs and of leftovers count too. A run that is being recorded at the same
    moment may have written its files and not yet its manifest: run its command again.

    Raises:
        OSError: a file cannot be read or deleted.
    """
    folder = results / escape(task)
    files = sorted(shared_files(folder))
    if not files:
        return []
    manifests = [file.read_bytes() for file in folder.rglob(MANIFEST) if file.is_file()]
    unused = [
        file for file in files if not any(file.name.encode() in content for content in manifests)
    ]
    for file in unused:
        file.unlink(missing_ok=True)
    return unused


def shared_files(task_folder: Path) -> Iterator[Path]:
    """The files of queries and histories of a task."""
    for kind in ("queries", "histories"):
        yield from task_folder.glob(f"*.{kind}.json.gz")

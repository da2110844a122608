"""LongLaMP (Kumar et al., 2024): rows of the hub repository, or local files in its layout.

Configurations {abstract_generation, product_review, topic_writing}_{user, temporal}, each with
train, val and test; a row is {name | reviewerId | author, input, output, profile}. Rows have no
id: queries are named by a digest of user, input and output.
"""

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lampbench.core.dataset import Dataset, Query
from lampbench.core.task import Task
from lampbench.data import json_records
from lampbench.data.field_values import identifier, kind, listing, text
from lampbench.data.merge_users import PublishedRow, pool
from lampbench.data.options import PARTS, DataOptions, SplitBy, part_name
from lampbench.data.record_format import Form, form_of
from lampbench.util.errors import LampbenchError
from lampbench.util.hashing import digest

HUB = "LongLaMP/LongLaMP"
SETTINGS: dict[SplitBy, str] = {"time": "temporal", "user": "user"}
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
_PART = re.compile(r"(?:^|[^a-z])(train|validation|valid|val|dev|test)(?:[^a-z]|$)")
_ENDINGS = (".parquet", ".jsonl", ".json")

Rows = Iterable[tuple[str, Mapping[str, Any]]]
"""(place, row) of a part; it can be gone through again."""


def load_longlamp(task: Task, place: str, options: DataOptions) -> Dataset:
    """Users from the hub or a folder.

    Args:
        task: its `hub` names the configuration, the user key and the profile's keys.
        place: a folder with a folder for each configuration (or that of one), or a repository.
        options: `split` time (the default, which the paper's counts fit) or user; `parts`.

    Raises:
        LampbenchError: the hub cannot be reached, files are missing, malformed or another
            task's, or there are too few users.
    """
    if task.hub is None:
        raise LampbenchError(f"task {task.name} is not in LongLaMP; use lamp:DIR or oppu:DIR")
    form = form_of(task, task.hub)
    user_key = task.hub.user_key
    if not place:
        place = HUB
    if Path(place).is_dir():
        config, parts = _local(Path(place), task.hub.config, options)
    elif _REPOSITORY.fullmatch(place) and not Path(place).parent.is_dir():
        config, parts = _hub(place, task.hub.config, options)
    else:
        raise LampbenchError(f"{place}: no such folder (longlamp:DIR), nor a hub repository")
    missing = [part for part in options.splits if part not in parts]
    if missing:
        raise LampbenchError(f"{place}: {config} has no {missing[0]} part (it has {[*parts]})")
    wanted = [part for part in PARTS if part in (options.splits or parts)]

    def rows() -> Iterator[PublishedRow]:
        seen: set[str] = set()
        for part in wanted:
            for where, entry in parts[part]:
                row = _row(part, where, entry, user_key, form)
                yield row._replace(repeated=row.query.id in seen)
                seen.add(row.query.id)

    pooled = pool(rows, form, options, f"{place} ({config})")
    source = f"longlamp:{place} ({config}: {', '.join(wanted)})"
    return Dataset(task.name, source, pooled.train, pooled.test, notes=pooled.notes)


def _row(
    part: str, where: str, entry: Mapping[str, Any], user_key: str, form: Form
) -> PublishedRow:
    for key in (user_key, "input", "output", "profile"):
        if key not in entry:
            raise LampbenchError(
                f"{where}: has no {key!r}, as rows of {form.task} have (it has {[*entry]}); "
                "give this task's configuration or another --task"
            )
    user = identifier(entry[user_key], where, user_key)
    if entry["output"] is None:
        raise LampbenchError(f"{where}: output is null; every row of LongLaMP has one")
    reference = text(entry["output"], where, "output")
    fields = form.read_input(entry["input"], where)
    return PublishedRow(
        where,
        part,
        user,
        Query(digest([user, fields, reference]), fields, reference),
        tuple(
            form.read_record(item, f"{where}: profile entry {number}")
            for number, item in enumerate(listing(entry["profile"], where, "profile"), 1)
        ),
    )


def _settings(options: DataOptions) -> list[str]:
    return [SETTINGS[options.split_by]] if options.split_by else list(SETTINGS.values())


def is_layout(task: Task, folder: Path) -> bool:
    """Whether a folder holds a configuration of the task."""
    if task.hub is None:
        return False
    configs = [f"{task.hub.config}_{setting}" for setting in SETTINGS.values()]
    return folder.name in configs or any(_find(folder, config) for config in configs)


def _local(folder: Path, name: str, options: DataOptions) -> tuple[str, dict[str, Rows]]:
    """The configuration to read and the rows of its parts, from files."""
    configs = [f"{name}_{setting}" for setting in _settings(options)]
    for config in configs:
        if files := _find(folder, config):
            return config, {part: _FileRows(files[part]) for part in files}
    if files := _part_files(folder, folder.glob("*")):
        return folder.name, {part: _FileRows(files[part]) for part in files}
    raise LampbenchError(
        f"{folder}: no files of {' or '.join(configs)} (CONFIG/train-*.parquet, CONFIG/val.jsonl, "
        "...); give the folder that has them, or --split"
    )


def _find(folder: Path, config: str) -> dict[str, list[Path]]:
    for base in (folder / config, folder / "data" / config):
        if files := _part_files(base, base.rglob("*")):
            return files
    return {}


def _part_files(base: Path, files: Iterable[Path]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in sorted(file for file in files if file.suffix in _ENDINGS and file.is_file()):
        name = path.relative_to(base).as_posix().lower()
        if not name.startswith(".") and (match := _PART.search(name)):
            found.setdefault(part_name(match[1]), []).append(path)
    for part, paths in found.items():
        if len({path.suffix for path in paths}) > 1:
            listed = ", ".join(path.name for path in paths)
            raise LampbenchError(f"{base}: {part} stands in {listed}; keep one file format")
    return found


class _FileRows:
    """Rows of local files, read anew at each turn."""

    def __init__(self, files: list[Path]) -> None:
        self._files = files

    def __iter__(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for path in self._files:
            yield from _parquet(path) if path.suffix == ".parquet" else json_records.records(path)


def _parquet(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    import datasets

    json_records.check_file(path)
    with _quiet():
        try:
            rows = datasets.load_dataset(
                "parquet", data_files=str(path), split="train", streaming=True
            )
            for number, row in enumerate(rows, 1):
                yield f"{path}: row {number}", row
        except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
            raise LampbenchError(
                f"{path}: is no readable parquet file: {_first_line(error)}; download it again"
            ) from error


class _HubRows:
    """Rows of a part of the hub's data, which `datasets` keeps on disk."""

    def __init__(self, name: str, rows: Iterable[Any]) -> None:
        self._name, self._rows = name, rows

    def __iter__(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for number, row in enumerate(self._rows, 1):
            if not isinstance(row, dict):
                raise LampbenchError(f"{self._name}: row {number} is {kind(row)}, not an object")
            yield f"{self._name}: row {number}", row


def _hub(repository: str, name: str, options: DataOptions) -> tuple[str, dict[str, Rows]]:
    """The configuration and the rows of its parts, from the hub or its local cache."""
    import datasets

    config = f"{name}_{_settings(options)[0]}"
    try:
        with _quiet():
            found = datasets.load_dataset(repository, config)
    except Exception as error:  # each layer of the network has errors of its own
        raise LampbenchError(
            f"{repository} ({config}) cannot be read from the Hugging Face hub "
            f"({type(error).__name__}: {_first_line(error)}); connect, or download it elsewhere "
            "and give its folder as --data longlamp:DIR"
        ) from error
    return config, {
        part_name(part): _HubRows(f"{repository} {config}/{part}", rows)
        for part, rows in found.items()
    }


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the libraries' own reports of what we say in one line."""
    loggers = [logging.getLogger(name) for name in ("huggingface_hub", "datasets")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]

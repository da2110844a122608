"""LongLaMP (Kumar et al., 2024): rows of the hub repository, or local files in its layout.

Configurations {abstract_generation, product_review, topic_writing}_{user, temporal}, each with
train, val and test; a row is {name | reviewerId | author, input, output, profile}. Rows have no
id: a query's id is a digest of user, input and output.
"""

import itertools
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lampbench.core.dataset import Dataset, Query
from lampbench.core.task import HubSource, Task
from lampbench.data.file_checks import check_file, check_regular, find_folder, no_data
from lampbench.data.json_stream import stream_rows
from lampbench.data.loaders.entry_parser import EntryParser, entry_parser, names_of
from lampbench.data.loaders.group_by_user import PublishedRow, group_by_user
from lampbench.data.options import SPLITS, DataOptions, SplitBy, split_name
from lampbench.data.parse_values import as_id, as_list, as_text, json_type
from lampbench.util.errors import LampbenchError, NoDataForTask
from lampbench.util.hashing import digest

HUB_REPOSITORY = "LongLaMP/LongLaMP"
CONFIG_ENDINGS: dict[SplitBy, str] = {"time": "temporal", "user": "user"}
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
_SPLIT = re.compile(r"(?:^|[^a-z])(train|validation|valid|val|dev|test)(?:[^a-z]|$)")
_PARQUET, _LINES, _LIST = ".parquet", ".jsonl", ".json"
_FORMATS = {ending: ending.removesuffix(".gz") for ending in
            (_PARQUET, _LINES, f"{_LINES}.gz", _LIST, f"{_LIST}.gz")}  # fmt: skip
_OTHER_DATA = re.compile(r"\.(?:zip|tar|tgz|7z|bz2|xz|zst|gz|csv|tsv|arrow)$")
_PARQUET_BATCH = 256

SplitRows = Iterable[tuple[str, Mapping[str, Any]]]
"""(file and row, content) of one split; it can be iterated again."""


def load_longlamp(task: Task, place: str, options: DataOptions) -> Dataset:
    """Users from the hub or a folder.

    Args:
        task: its `hub` names the configuration, the user key and the profile's keys.
        place: a folder with one folder per configuration (or that of one), or a repository.
        options: `split_by` time (the default, which fits the paper's counts) or user; `splits`.

    Raises:
        LampbenchError: the hub cannot be reached, files are missing, malformed or another
            task's, or there are too few users.
    """
    if task.hub is None:
        raise NoDataForTask(f"task {task.name} is not in LongLaMP; use lamp:DIR or oppu:DIR")
    parser = entry_parser(task, task.hub)
    user_key = task.hub.user_key
    if not place:
        place = HUB_REPOSITORY
    if Path(place).is_dir():
        config, splits = _local(Path(place), task.hub.config, options)
    elif _REPOSITORY.fullmatch(place) and not Path(place).parent.is_dir():
        config, splits = _hub(place, task.hub.config, options)
    else:
        raise LampbenchError(
            f"{place}: no such folder or hub repository; correct --data longlamp:DIR"
        )
    there = [name for name in SPLITS if name in splits]
    for name in options.splits:
        if name not in there:
            raise LampbenchError(
                f"{place}: {config} has no split {name}; use --split {' or '.join(there)}"
            )
    wanted = [name for name in there if name in (options.splits or there)]
    absent = [] if options.splits else [name for name in SPLITS if name not in splits]
    notes = [f"not in {config}, not read: {', '.join(absent)}"] if absent else []

    if config not in configurations(task.hub):
        for where, first in itertools.islice(splits[wanted[0]], 1):
            parser.refuse_other_tasks(first.get("input"), where, Path(place))

    def rows() -> Iterator[PublishedRow]:
        seen: set[str] = set()
        for name in wanted:
            for where, entry in splits[name]:
                row = _row(name, where, entry, user_key, parser)
                yield row._replace(repeated=row.query.id in seen)
                seen.add(row.query.id)

    users = group_by_user(rows, parser, options, f"{place} ({config})")
    source = f"longlamp:{place} ({config}: {', '.join(wanted)})"
    return Dataset(task.name, source, users.train, users.test, notes=(*notes, *users.notes))


def is_longlamp(task: Task, folder: Path) -> bool:
    """Whether a folder has a configuration of the task."""
    if task.hub is None:
        return False
    configs = configurations(task.hub)
    return folder.name in configs or any(_find(folder, config) for config in configs)


def configurations(hub: HubSource) -> list[str]:
    """The names of a task's configurations, one per way of splitting."""
    return [f"{hub.config}_{ending}" for ending in CONFIG_ENDINGS.values()]


def _row(
    split: str, where: str, entry: Mapping[str, Any], user_key: str, parser: EntryParser
) -> PublishedRow:
    for key in (user_key, "input", "output", "profile"):
        if key not in entry:
            raise LampbenchError(
                f"{where}: has no {key!r}, which every row of {parser.task} has (it has "
                f"{names_of(entry)}); give this task's configuration or "
                "another --task"
            )
    user = as_id(entry[user_key], where, user_key)
    if entry["output"] is None:
        raise LampbenchError(
            f"{where}: output is null; add the text that the user wrote or remove the row"
        )
    reference = as_text(entry["output"], where, "output")
    fields = parser.read_input(entry, where)
    return PublishedRow(
        where,
        split,
        user,
        Query(digest([user, fields, reference]), fields, reference),
        as_list(entry["profile"], where, "profile"),
    )


def _config_endings(options: DataOptions) -> list[str]:
    return [CONFIG_ENDINGS[options.split_by]] if options.split_by else list(CONFIG_ENDINGS.values())


def _local(folder: Path, name: str, options: DataOptions) -> tuple[str, dict[str, SplitRows]]:
    """The configuration to read and the rows of its splits, from files."""
    configs = [f"{name}_{ending}" for ending in _config_endings(options)]
    for config in configs:
        if files := _find(folder, config):
            return config, {split: _FileRows(files[split]) for split in files}
    _refuse_other_split(folder, name, options)
    if files := _files_by_split(folder, folder.glob("*")):
        return folder.name, {split: _FileRows(files[split]) for split in files}
    places = [folder, *filter(None, [find_folder(folder, "data")])]
    owner = next((one for one in places if any(find_folder(one, name) for name in configs)), folder)
    raise no_data(
        owner,
        configs,
        f"{folder}: no files of {' or '.join(configs)} (CONFIG/train-*.parquet, CONFIG/val.jsonl, "
        "...); give the folder that has them, or another --split-by",
    )


def _refuse_other_split(folder: Path, name: str, options: DataOptions) -> None:
    """Refuse a folder that is a configuration of the task, split another way than is asked for."""
    for way, ending in CONFIG_ENDINGS.items():
        if folder.resolve().name == f"{name}_{ending}" and options.split_by not in (None, way):
            raise LampbenchError(
                f"{folder}: its users are split by {way}, not by {options.split_by}; use "
                f"--split-by {way} or give another folder"
            )


def _find(folder: Path, config: str) -> dict[str, list[Path]]:
    for base in (folder / config, folder / "data" / config):
        if files := _files_by_split(base, base.rglob("*")):
            return files
    return {}


def _files_by_split(base: Path, files: Iterable[Path]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in sorted(files):
        name = path.relative_to(base).as_posix().lower()
        match = _SPLIT.search(name)
        if name.startswith(".") or not match:
            continue
        if _format(path):
            check_regular(path)
            found.setdefault(split_name(match[1]), []).append(path)
        elif _OTHER_DATA.search(name):
            raise LampbenchError(
                f"{path}: is not read in this form; convert it to .parquet, .jsonl or .json, or "
                "remove it"
            )
    for split, paths in found.items():
        if len({_format(path) for path in paths}) > 1:
            listed = ", ".join(path.name for path in paths[:5])
            raise LampbenchError(
                f"{base}: split {split} is there in two formats ({listed}); keep one of them"
            )
    return found


def _format(path: Path) -> str:
    """The format that a file's name tells, whatever its case; empty if it is none of ours."""
    name = path.name.lower()
    return next((form for ending, form in _FORMATS.items() if name.endswith(ending)), "")


class _FileRows:
    """Rows of one split's files, read again in each iteration; a file may have no rows."""

    def __init__(self, files: list[Path]) -> None:
        self._files = files

    def __iter__(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        empty = True
        for path in self._files:
            for row in _parquet_rows(path) if _format(path) == _PARQUET else stream_rows(path):
                empty = False
                yield row
        if empty:
            listed = ", ".join(path.name for path in self._files)
            raise LampbenchError(
                f"{self._files[0].parent}: no rows in {listed}; download it again or leave it out "
                "with --split"
            )


def _parquet_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    from pyarrow import parquet

    check_file(path)
    try:
        with parquet.ParquetFile(path) as file:
            batches = file.iter_batches(_PARQUET_BATCH)
            rows = (row for batch in batches for row in batch.to_pylist())
            for number, row in enumerate(rows, 1):
                yield f"{path}: row {number}", row
    except Exception as error:  # whatever a damaged file makes the library raise
        raise LampbenchError(
            f"{path}: cannot be read as parquet ({_first_line(error)}); download it again"
        ) from error


class _HubRows:
    """Rows of one split of the hub's data, which `datasets` keeps on disk."""

    def __init__(self, name: str, rows: Iterable[Any]) -> None:
        self._name, self._rows = name, rows

    def __iter__(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for number, row in enumerate(self._rows, 1):
            where = f"{self._name}: row {number}"
            if not isinstance(row, dict):
                raise LampbenchError(
                    f"{where}: must be an object, not {json_type(row)}; give another repository"
                )
            yield where, row


def _hub(repository: str, name: str, options: DataOptions) -> tuple[str, dict[str, SplitRows]]:
    """The configuration and the rows of its splits, from the hub or its local cache."""
    import datasets

    config = f"{name}_{_config_endings(options)[0]}"
    try:
        with _without_library_messages():
            found = datasets.load_dataset(repository, config)
    except Exception as error:  # each layer of the network has errors of its own
        raise LampbenchError(
            f"{repository} ({config}) cannot be read from the Hugging Face hub "
            f"({type(error).__name__}: {_first_line(error)}); connect to the network, or download "
            "it elsewhere and give its folder: --data longlamp:DIR"
        ) from error
    return config, {
        split_name(split): _HubRows(f"{repository} {config}/{split}", rows)
        for split, rows in found.items()
    }


@contextmanager
def _without_library_messages() -> Iterator[None]:
    """Silence the libraries' own reports of what the error says in one line."""
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

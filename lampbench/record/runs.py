"""Recorded runs, read and checked.

A run's folder holds `manifest.json`, `predictions.json.gz` and `scores.json.gz` (a column for each
field, a row for each query, in the same order). The manifest carries the SHA-256 of both files, of
the files that hold the queries and histories of the dataset, and of its own content.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lampbench.record import frames
from lampbench.record.columns import decompress, from_text
from lampbench.record.dataset_files import (
    RecordedQuery,
    content_of,
    read_histories,
    read_queries,
    shared_path,
)
from lampbench.record.manifest import MANIFEST, PREDICTIONS, SCORES, Manifest
from lampbench.record.paths import REPLACED, TEMPORARY, run_path
from lampbench.record.typed_json import from_json
from lampbench.scoring.aggregate import Means, aggregate, counts
from lampbench.scoring.prediction_row import PredictionRow
from lampbench.scoring.score_table import ScoreTable
from lampbench.util.errors import LampbenchError
from lampbench.util.hashing import file_digest

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class Run:
    """A finished run. All but the manifest is read from disk when it is asked for; scores are kept.

    What cannot be read, or does not fit the manifest, is a `LampbenchError`.
    """

    path: Path
    manifest: Manifest

    @property
    def predictions(self) -> list[PredictionRow]:
        """One row per query, with the reference."""
        queries = self.queries
        try:
            columns = from_text(decompress((self.path / PREDICTIONS).read_bytes()))
            return [
                _prediction(dict(zip(columns, row, strict=True)), queries)
                for row in zip(*columns.values(), strict=True)
            ]
        except (OSError, ValueError) as error:
            raise _unreadable(self.path / PREDICTIONS, error) from error

    @cached_property
    def scores(self) -> ScoreTable:
        """The scores of each query; their means are those of the manifest."""
        file = self.path / SCORES
        try:
            columns = from_text(decompress(file.read_bytes()))
            users, queries = columns.pop("user"), columns.pop("query")
            found = ScoreTable(
                tuple(users), tuple(queries), {name: tuple(c) for name, c in columns.items()}
            )
            same = counts(found) == self.manifest.counts and _equal(
                self.manifest.scores, aggregate(found)
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise _unreadable(file, error) from error
        if not same:
            raise LampbenchError(
                f"{file}: the scores in {MANIFEST} are not the means of this file; "
                "run it again with --force"
            )
        return found

    @property
    def queries(self) -> Mapping[tuple[str, str], RecordedQuery]:
        """The dataset's test queries, by user and query."""
        file = self.manifest.dataset.queries_file
        return read_queries(shared_path(self._root, self.manifest.task, file), file.sha256)

    @property
    def histories(self) -> Mapping[str, Mapping[str, str]]:
        """By user and record id the beginnings of past targets, oldest first."""
        file = self.manifest.dataset.histories_file
        return read_histories(shared_path(self._root, self.manifest.task, file), file.sha256)

    def frame(self) -> "pandas.DataFrame":
        """One row per query: user, query, prediction, reference, and a column per metric."""
        return frames.query_frame(self)

    def _repr_html_(self) -> str:
        return frames.html([self])

    @property
    def _root(self) -> Path:
        return self.path.absolute().parents[3]


class Runs(list[Run]):
    """Runs, which become one frame and show themselves as a table in a notebook."""

    def frame(self) -> "pandas.DataFrame":
        """One row per run: what was run, users, queries, and each metric's mean over queries."""
        return frames.run_frame(self)

    def _repr_html_(self) -> str:
        return frames.html(self)


@dataclass(frozen=True, slots=True)
class UnreadableRun:
    """A folder that was left out, and why."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: left out: {self.reason}"


class _Damaged(Exception):
    """Why a folder is no run."""


def read_run(folder: Path) -> Run:
    """One recorded run, checked as `load_runs` checks it.

    Raises:
        LampbenchError: the folder is no sound run.
    """
    path = folder.absolute()
    try:
        return Run(folder, _load(path.parents[3], path, {}).manifest)
    except (_Damaged, IndexError) as error:
        raise LampbenchError(f"{folder}: no recorded run: {error}") from error


def load_runs(root: Path) -> tuple[list[Run], list[UnreadableRun]]:
    """Every sound run under `root`, and what was left out; both in order of their paths.

    Left out are half-written folders, manifests of another format or that were edited, files that
    do not match their hashes, and folders that are not where their manifest belongs. Hidden
    folders of other programs are passed over. A `root` that is not there holds no runs. That the
    manifest's means are those of the scores is checked when the scores are read.
    """
    runs: list[Run] = []
    problems: list[UnreadableRun] = []
    checked: dict[tuple[Path, str], str | None] = {}
    for path in _candidates(root):
        try:
            runs.append(_load(root, path, checked))
        except _Damaged as damage:
            problems.append(UnreadableRun(path, str(damage)))
    return runs, problems


def _candidates(root: Path, depth: int = 4) -> Iterator[Path]:
    """Folders that are runs or ought to be."""
    if not root.is_dir():
        return
    for path in sorted(path for path in root.iterdir() if path.is_dir()):
        if path.name.startswith((TEMPORARY, REPLACED)):
            yield path
        elif path.name.startswith("."):
            continue
        elif depth == 1 or (path / MANIFEST).exists():
            yield path
        else:
            yield from _candidates(path, depth - 1)


def _load(root: Path, path: Path, checked: dict[tuple[Path, str], str | None]) -> Run:
    """Read and check a run. `checked` holds what is wrong with files that runs share, or None."""
    if path.name.startswith(TEMPORARY):
        raise _Damaged("half-written, its process was stopped; run the same command again")
    if path.name.startswith(REPLACED):
        raise _Damaged("left by a replacement that was stopped; run the same command again")
    try:
        manifest = Manifest.from_json((path / MANIFEST).read_bytes())
    except FileNotFoundError:
        raise _Damaged(f"half-written, there is no {MANIFEST}; delete the folder") from None
    except OSError as error:
        raise _Damaged(f"{MANIFEST} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise _Damaged(str(error)) from error
    names = (manifest.task, manifest.model, manifest.method, manifest.key)
    if path != run_path(root, *names):
        belongs = run_path(Path(), *names).as_posix()
        raise _Damaged(f"its manifest belongs to {belongs}; a run cannot be moved or renamed")
    for name, recorded in manifest.files.items():
        if not (path / name).is_file():
            raise _Damaged(f"{name} is missing")
        if file_digest(path / name) != recorded:
            raise _Damaged(f"{name} was changed after the run (its hash is not the manifest's)")
    for file in (manifest.dataset.queries_file, manifest.dataset.histories_file):
        place = shared_path(root, manifest.task, file), file.sha256
        if place not in checked:
            checked[place] = _problem(*place)
        if (problem := checked[place]) is not None:
            raise _Damaged(problem)
    return Run(path, manifest)


def _problem(path: Path, expected: str) -> str | None:
    try:
        content_of(path, expected)
    except ValueError as error:
        return str(error)
    return None


def _prediction(
    row: dict[str, Any], queries: Mapping[tuple[str, str], RecordedQuery]
) -> PredictionRow:
    found = from_json(PredictionRow, {**row, "reference": None})
    query = queries.get((found.user, found.query))
    if query is None:
        raise ValueError(f"query {found.query!r} of user {found.user!r} is not in the dataset")
    return replace(found, reference=query.reference)


def _unreadable(file: Path, error: Exception) -> LampbenchError:
    return LampbenchError(f"{file}: cannot be read ({error}); run it again with --force")


def _equal(one: Mapping[str, Means], other: Mapping[str, Means]) -> bool:
    """Whether two sets of means agree up to rounding."""
    return one.keys() == other.keys() and all(
        _close(one[name].queries, other[name].queries)
        and _close(one[name].users, other[name].users)
        for name in other
    )


def _close(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)

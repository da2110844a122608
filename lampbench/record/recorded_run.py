"""One recorded run, read and checked.

A run's folder holds `manifest.json`, `predictions.json.gz` and `scores.json.gz` (a column for each
field, a row for each query, in the same order). Tables whose text is longer than a file may have go
on in `predictions-2.json.gz` and so on. The manifest carries the SHA-256 of these files, of those
that hold the queries and histories of the dataset, and of its own content.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from lampbench.record import frames
from lampbench.record.check_run import Damage, checked_manifest
from lampbench.record.dataset_files import (
    RecordedHistory,
    RecordedQuery,
    read_histories,
    read_queries,
    shared_path,
)
from lampbench.record.format_1 import Format1Run
from lampbench.record.manifest import PREDICTIONS, SCORES, Manifest
from lampbench.record.private import shown_text
from lampbench.record.recorded_dataset import SharedFile
from lampbench.record.remedy import remedy
from lampbench.record.run_files import read_predictions, read_scores, same_queries
from lampbench.record.submission import submitter_of
from lampbench.scoring.prediction_row import PredictionRow
from lampbench.scoring.query_scores import Places, QueryScores, places_of
from lampbench.scoring.score_table import ScoreTable
from lampbench.util.disk_list import listed
from lampbench.util.errors import LampbenchError

if TYPE_CHECKING:
    import pandas

T = TypeVar("T")


class RunReplaced(LampbenchError):
    """A run was recorded again after it was read: read it again."""


class DamagedRun(LampbenchError):
    """A recorded run is not what was written; `problem` says what is wrong and what heals it."""

    def __init__(self, problem: "UnreadableRun") -> None:
        super().__init__(f"{problem.path}: no sound run: {problem.reason}; {problem.remedy}")
        self.problem = problem


@dataclass(frozen=True)
class Run:
    """A finished run. All but the manifest is read, and checked, when asked for; scores are kept.

    What cannot be read, or does not fit the manifest, is a `DamagedRun`, or a `RunReplaced` where
    the run was recorded again since its manifest was read. `data_name` is what tables call its
    data, where that is not the source in the manifest.
    """

    path: Path
    manifest: Manifest
    data_name: str = ""

    @property
    def format_1(self) -> Format1Run | None:
        """The folder's content, where it is of the first recorded format."""
        return None if PREDICTIONS in self.manifest.files else Format1Run(self.path)

    @property
    def predictions(self) -> Sequence[PredictionRow]:
        """One row per query, with the reference; those of many are on disk."""
        if (old := self.format_1) is not None:
            return self._checked(lambda: old.predictions(self.manifest))
        return self._checked(
            lambda: read_predictions(self.path, self.manifest, self._recorded_queries())
        )

    @cached_property
    def scores(self) -> ScoreTable:
        """The scores of each query, of many on disk; their means are those of the manifest."""
        if (old := self.format_1) is not None:
            return self._checked(lambda: old.scores(self.manifest))
        return self._checked(lambda: read_scores(self.path, self.manifest))

    @property
    def answers_and_scores(self) -> tuple[Sequence[PredictionRow], ScoreTable]:
        """`predictions` and `scores`, checked to be of the same queries in one order."""
        rows, scores = self.predictions, self.scores
        return self._checked(lambda: _matched(rows, scores))

    def query_scores(self, metric: str) -> QueryScores:
        """A metric's scores by user and query; queries without a value are left out.

        Raises:
            KeyError: the run was not scored by the metric.
        """
        return QueryScores(self._places, self._places.put_in_order(self.scores.columns[metric]))

    @cached_property
    def _places(self) -> Places:
        return places_of(self.scores)

    @property
    def asked(self) -> Sequence[RecordedQuery]:
        """The dataset's test queries in its order; many are on disk."""
        return self._checked(lambda: listed(self._recorded_queries()))

    @property
    def queries(self) -> Mapping[tuple[str, str], RecordedQuery]:
        """The dataset's test queries, by user and query."""
        return {(query.user, query.query): query for query in self.asked}

    @property
    def histories(self) -> Mapping[str, Mapping[str, str]]:
        """By user and record id the beginnings of past targets, oldest first.

        Of a private run they are `PRIVATE`.
        """
        found: dict[str, dict[str, str]] = {}
        for row in self.past_records:
            found.setdefault(row.user, {})[row.record] = shown_text(row.beginning)
        return found

    @property
    def past_records(self) -> Sequence[RecordedHistory]:
        """The past records of the dataset's test users; many are on disk."""
        if (old := self.format_1) is not None:
            return self._checked(lambda: old.histories(self.manifest))
        files = self.manifest.dataset.histories_files
        return self._checked(lambda: listed(self._shared(files, read_histories)))

    @cached_property
    def submitter(self) -> str | None:
        """Who recorded the run, where it was submitted; None for our own.

        Raises:
            LampbenchError: the submission does not say who.
        """
        try:
            return submitter_of(self._root)
        except ValueError as error:
            raise LampbenchError(f"{self._root}: {error}; restore the file") from error

    def frame(self) -> "pandas.DataFrame":
        """One row per query: user, query, prediction, reference, and a column per metric."""
        return frames.query_frame(self)

    def __repr__(self) -> str:
        made = self.manifest
        return (
            f"<Run: {made.method} on {made.task}, model {made.model}, seed {made.seed}, "
            f"in {self.path}>"
        )

    def _repr_html_(self) -> str:
        return frames.html([self])

    @property
    def _root(self) -> Path:
        return self.path.absolute().parents[3]

    def _recorded_queries(self) -> Iterator[RecordedQuery]:
        if (old := self.format_1) is not None:
            return iter(old.queries(self.manifest))
        return self._shared(self.manifest.dataset.queries_files, read_queries)

    def _shared(
        self, files: Iterable[SharedFile], read: Callable[[Path, str], Iterator[T]]
    ) -> Iterator[T]:
        for file in files:
            yield from read(shared_path(self._root, self.manifest.task, file), file.sha256)

    def _checked(self, read: Callable[[], T]) -> T:
        try:
            return read()
        except ValueError as error:
            try:
                now = read_run(self.path).manifest
            except LampbenchError:
                now = self.manifest
            if now != self.manifest:
                raise RunReplaced(
                    f"{self.path}: was recorded again after it was read; give the command again"
                ) from error
            how = remedy(self.path, self.manifest)
            raise DamagedRun(UnreadableRun(self.path, str(error), how)) from error


def _matched(
    rows: Sequence[PredictionRow], scores: ScoreTable
) -> tuple[Sequence[PredictionRow], ScoreTable]:
    if not same_queries(rows, scores):
        raise ValueError(f"{PREDICTIONS} and {SCORES} are not of the same queries in one order")
    return rows, scores


@dataclass(frozen=True, slots=True)
class UnreadableRun:
    """A folder that was left out, why, and what to do about it."""

    path: Path
    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.path}: left out: {self.reason}; {self.remedy}"


def read_run(folder: Path) -> Run:
    """One recorded run, checked as `load_runs` checks it.

    Raises:
        DamagedRun: the folder is no sound run.
        LampbenchError: there is no such folder.
    """
    path = folder.absolute()
    try:
        root = path.parents[3]
    except IndexError:
        raise LampbenchError(f"{folder}: no recorded run: not in a folder of runs") from None
    try:
        found = checked_manifest(root, path, {})
    except Damage as error:
        raise DamagedRun(UnreadableRun(folder, str(error), error.remedy)) from error
    if found is None:
        raise LampbenchError(f"{folder}: no recorded run: there is no such folder")
    return Run(folder, found)

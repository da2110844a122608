"""Runs on histories of several lengths (`--max-history`), beside those on the whole histories."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from lampbench.record.recorded_run import Run
from lampbench.report.cell_scores import CellScore, score_cell
from lampbench.report.common_seeds import on_common_seeds
from lampbench.report.fill_cells import (
    ExcludedRun,
    earlier_defaults,
    fill_cells,
    in_order,
    of_same_queries,
)
from lampbench.report.setups import Column, Setup, age, column_of, settings_of

WHOLE = "all"


@dataclass(frozen=True, slots=True)
class HistoryLength:
    """A method's runs on one length of histories: at most `most` records (None: whole)."""

    most: int | None
    runs: tuple[Run, ...]
    scores: Mapping[str, CellScore]

    @property
    def shown(self) -> str:
        """The length in words."""
        return WHOLE if self.most is None else str(self.most)


@dataclass(frozen=True, slots=True)
class HistorySeries:
    """One method on one task's data, by length of histories: the shortest first, whole ones last.

    `column` is that of the whole data. All lengths are of the same seeds where they have any in
    common.
    """

    setup: Setup
    column: Column
    method: str
    lengths: tuple[HistoryLength, ...]

    def runs(self) -> list[Run]:
        """The runs on histories that were cut."""
        return [run for one in self.lengths if one.most is not None for run in one.runs]


def history_series(
    scores: Iterable[CellScore], others: Iterable[ExcludedRun]
) -> tuple[list[HistorySeries], list[ExcludedRun]]:
    """The series among runs that fill no cell, and the rest; `scores` are those of the cells.

    For each length, runs are chosen by the rules by which cells are filled; all lengths have the
    settings of the newest run, which of a plugin are its code, too. Data belong together
    whose whole histories are the same; the newest run on them decides which queries are answered.
    """
    scores, others = list(scores), list(others)
    whole = {run.path: run for score in scores for run in score.chosen}
    cut = [one.run for one in others if one.run.manifest.dataset.max_history is not None]
    _, unlike = of_same_queries(sorted([*whole.values(), *cut], key=age), _whole)
    odd = {one.run.path: one for one in unlike}
    by_length: dict[int, list[Run]] = defaultdict(list)
    left = []
    for other in others:
        most = other.run.manifest.dataset.max_history
        if most is None:
            left.append(other)
        elif other.run.path in odd:
            left.append(_with_length(odd[other.run.path], most))
        else:
            by_length[most].append(other.run)
    chosen: dict[tuple[Setup, Column, str], dict[int | None, tuple[Run, ...]]] = defaultdict(dict)
    for most, runs in sorted(by_length.items()):
        found, passed = fill_cells(runs, most)
        left += [_with_length(one, most) for one in passed]
        for score in found:
            chosen[score.setup, _whole(score.chosen[-1]), score.method][most] = score.chosen
    for score in scores:
        place = score.setup, score.column, score.method
        if place in chosen and not any(run.path in odd for run in score.chosen):
            chosen[place][None] = score.chosen
    series = []
    for place in sorted(chosen):
        alike, passed = _of_same_settings(chosen[place])
        left += passed
        if any(most is not None for most in alike):
            series.append(HistorySeries(*place, _lengths(*place[:2], alike)))
    return series, in_order(left)


def _of_same_settings(
    by_length: Mapping[int | None, Sequence[Run]],
) -> tuple[dict[int | None, Sequence[Run]], list[ExcludedRun]]:
    """The lengths with the settings of the newest run, and the other runs on cut histories."""
    newest = max((run for runs in by_length.values() for run in runs), key=age)
    alike: dict[int | None, Sequence[Run]] = {}
    passed = []
    for most, runs in by_length.items():
        earlier = earlier_defaults(settings_of(runs[0]), settings_of(newest))
        if not earlier:
            alike[most] = runs
        elif most is not None:
            passed += [_with_length(ExcludedRun(run, earlier), most) for run in runs]
    return alike, passed


def _lengths(
    setup: Setup, column: Column, by_length: Mapping[int | None, Sequence[Run]]
) -> tuple[HistoryLength, ...]:
    groups = on_common_seeds(list(by_length.values()))
    return tuple(
        HistoryLength(
            most, tuple(runs), {one.metric: one for one in score_cell(setup, column, runs)}
        )
        for most, runs in zip(by_length, groups, strict=True)
    )


def _whole(run: Run) -> Column:
    """The column that the data had before histories were cut."""
    column, whole = column_of(run), run.manifest.dataset.cut_from
    return replace(column, fingerprint=whole) if whole else column


def _with_length(other: ExcludedRun, most: int) -> ExcludedRun:
    return ExcludedRun(other.run, f"max-history {most}: {other.reason}")

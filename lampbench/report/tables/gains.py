"""What a method gains over a baseline, task by task, and for how many users."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lampbench.paper.cast import cast
from lampbench.paper.published import paper
from lampbench.report.board import Board
from lampbench.report.cell_scores import CellScore
from lampbench.report.common_seeds import NONE_COMMON, common_seeds, compared_scores
from lampbench.report.machine_readable import entry
from lampbench.report.metric_format import PAPER_METRICS, metric_title
from lampbench.report.notes import (
    NO_FIGURE,
    NO_VALUE,
    data_notes,
    external_notes,
    processor_notes,
)
from lampbench.report.numbers import in_points, p_value, span
from lampbench.report.setups import Column, Setup
from lampbench.report.table import Cell, Number, Section, Table
from lampbench.report.tables.main import MAIN_TABLES
from lampbench.scoring.aggregate import mean

if TYPE_CHECKING:
    from lampbench.report.seed_spread import SeedSpread
    from lampbench.report.statistics import Interval, Paired

GAIN_METRICS = (*PAPER_METRICS, "meteor")
_NOTE = (
    "A point is 0.01. The interval and both p-values are paired by query and describe other users; "
    "p (Holm) adjusts p (exchange) over the table. By seed: the lowest and the highest difference "
    "with one seed. Users and seeds: the interval for other users and other seeds. Detectable: the "
    "smallest true difference, in points, found at 5% with 80% power (docs/statistics.md). A user "
    "is better off if the user's mean is higher."
)
_ONE_SEED_NOTE = (
    f"Seeds 1: how much such a difference varies between seeds is unknown ({NO_VALUE})."
)
_NONE_COMMON_NOTE = (
    f"Seeds {NONE_COMMON}: the difference is that of means over each method's own seeds; how much "
    f"it varies between seeds is unknown ({NO_VALUE})."
)
_MEAN_NOTE = "Means over tasks are means of the tasks' differences, as in the paper."
_ONE_COLUMN_NOTE = "Of a task with several columns, that with the most users is in them."
_PAPER_NOTE = "paper %: computed from the paper's printed scores of the same model."


@dataclass(frozen=True, slots=True)
class Gain:
    """A method's score compared with a baseline's on the same queries.

    `p` is the exchange test's p-value, adjusted by Holm's method over the gains of one table.
    `spread` is None for fewer than two common seeds.
    """

    ours: CellScore
    theirs: CellScore
    paired: "Paired"
    p: float
    spread: "SeedSpread | None"

    @property
    def column(self) -> Column:
        """The data that both have answered."""
        return self.ours.column

    @property
    def points(self) -> Number:
        """The difference in hundredths of a score, with its interval."""
        return in_points(self.paired.difference)

    @property
    def seeds(self) -> str:
        """How many seeds are common, or that neither draws anything."""
        if not (self.ours.draws or self.theirs.draws):
            return "none drawn"
        return str(len(self.common_seeds) or NONE_COMMON)

    @property
    def common_seeds(self) -> list[int]:
        """The seeds by which `paired` and `spread` compare."""
        return common_seeds((self.ours.chosen, self.theirs.chosen))

    @property
    def by_seed(self) -> str:
        """The lowest and the highest difference with one seed, in points; empty for one seed."""
        return span((100 * gap for gap in self.spread.differences), 2) if self.spread else ""

    @property
    def users_and_seeds(self) -> "Interval | None":
        """The interval of the difference for other users and seeds; None for one seed or query."""
        from lampbench.report.metric_range import within_differences

        found = self.paired.difference
        if not self.spread or not found.bounded:
            return None
        return within_differences(self.ours.metric, self.spread.users_and_seeds(found))

    @property
    def detectable(self) -> float | None:
        """The smallest true difference that would be found, in points; None where unknown."""
        found = self.paired.detectable
        return None if found is None else 100 * found

    @property
    def relative(self) -> float | None:
        """By how many percent our mean is above the baseline's, on common seeds."""
        one, other = compared_scores(self.ours, self.theirs)
        return _relative(mean(one.values()), mean(other.values()))

    @property
    def printed(self) -> float | None:
        """The relative gain that follows from the paper's scores of the same model, if any."""
        model = self.ours.paper_model
        if model is None:
            return None
        where = (self.column.task, model, self.ours.metric)
        one, other = (paper().find(MAIN_TABLES, s.method, *where) for s in (self.ours, self.theirs))
        return _relative(one.value, other.value) if one and other else None


def gain_sections(board: Board, baseline: str | None = None) -> list[Section]:
    """A section for each setup: the planned comparisons, or all methods over a baseline."""
    pairs = planned_pairs()
    if baseline:
        pairs = [(method, baseline) for method in board.methods() if method != baseline]
    return board.sections(lambda setup: gain_tables(board, setup, pairs))


def planned_pairs() -> list[tuple[str, str]]:
    """Methods, each with its baseline: the gains that the paper claims, and those of controls."""
    claimed = [(claim.method, claim.over) for claim in paper().claims]
    contests = (cast().proposal, cast().personalization, cast().against_nothing)
    asked = [(one.method, one.over) for one in contests]
    controls = [(control.method, control.over) for control in cast().controls]
    against = [(cast().proposal.method, control.method) for control in cast().controls]
    beyond = [(method, control) for control, method in cast().control_for.items()]
    return list(dict.fromkeys([*claimed, *asked, *controls, *against, *beyond]))


def gain_tables(board: Board, setup: Setup, pairs: Iterable[tuple[str, str]]) -> Iterator[Table]:
    """A table for each pair (method, baseline) of which a task of the setup has both."""
    for method, baseline in pairs:
        if found := gains(board, setup, method, baseline):
            yield _table(board, found)


def gains(board: Board, setup: Setup, method: str, baseline: str) -> list[Gain]:
    """A method's gain over a baseline for each metric and column of a setup that both have."""
    from lampbench.report.statistics import holm

    cells = [
        (ours, theirs)
        for metric in GAIN_METRICS
        for column in board.text_columns(setup)
        if (ours := board.cell(setup, column, method, metric))
        and (theirs := board.cell(setup, column, baseline, metric))
        and ours.scores
        and theirs.scores
    ]
    compared = [board.paired(ours, theirs) for ours, theirs in cells]
    adjusted = holm([found.exchange for found in compared])
    return [
        Gain(ours, theirs, found, p, board.seed_spread(ours, theirs))
        for (ours, theirs), found, p in zip(cells, compared, adjusted, strict=True)
    ]


def _table(board: Board, found: Sequence[Gain]) -> Table:
    printed = any(gain.printed is not None for gain in found)
    rows = [_row(board, gain, printed) for gain in found]
    for metric in GAIN_METRICS:
        of = _one_per_task(gain for gain in found if gain.ours.metric == metric)
        if len(of) > 1:
            rows.append(_mean_row(of, printed))
    notes = [_NOTE] + ([_MEAN_NOTE] if len(rows) > len(found) else [])
    columns = {gain.column for gain in found}
    several = len(columns) > len({column.task for column in columns})
    notes += [_ONE_COLUMN_NOTE] if len(rows) > len(found) and several else []
    notes += [_PAPER_NOTE] if printed else []
    seeds = {gain.seeds for gain in found}
    notes += [_ONE_SEED_NOTE] if "1" in seeds else []
    notes += [_NONE_COMMON_NOTE] if NONE_COMMON in seeds else []
    notes += _warnings(board, found)
    notes += processor_notes(
        (
            board.column_title(gain.column),
            {one.method_title: one for one in (gain.ours, gain.theirs)},
        )
        for gain in {gain.column: gain for gain in found}.values()
    )
    notes += data_notes(board, [gain.column for gain in found], [gain.ours.setup for gain in found])
    titles = [score.method_title for score in (found[0].ours, found[0].theirs)]
    notes += external_notes(titles)
    header = ("Task", "Metric", "Points", "Seeds", "By seed", "Users and seeds", "Detectable",
              "Relative %",
              *(["paper %"] if printed else []),
              "p (bootstrap)", "p (exchange)", "p (Holm)", "Users better", "equal",
              "worse")  # fmt: skip
    entries = [_entry(gain) for gain in found]
    return Table(" over ".join(titles), header, tuple(rows), 2, tuple(notes), lambda: entries)


def _row(board: Board, gain: Gain, printed: bool) -> tuple[Cell, ...]:
    found, both = gain.paired, gain.users_and_seeds
    return (
        board.column_title(gain.column),
        metric_title(gain.ours.metric),
        gain.points,
        gain.seeds,
        gain.by_seed or NO_VALUE,
        span((100 * both.low, 100 * both.high), 2) if both else NO_VALUE,
        _hundredths(gain.detectable, NO_VALUE, signed=False),
        _hundredths(gain.relative, NO_VALUE),
        *([_hundredths(gain.printed, NO_FIGURE)] if printed else []),
        *map(p_value, (found.bootstrap, found.exchange, gain.p)),
        *(str(count) for count in (found.better, found.equal, found.worse)),
    )


def _one_per_task(found: Iterable[Gain]) -> list[Gain]:
    """The gain of each task; of several columns that with the most users, or else the first."""
    chosen: dict[str, Gain] = {}
    for gain in found:
        if (task := gain.column.task) not in chosen or gain.ours.users > chosen[task].ours.users:
            chosen[task] = gain
    return list(chosen.values())


def _mean_row(found: Sequence[Gain], printed: bool) -> tuple[Cell, ...]:
    return (
        f"Mean of {len(found)}",
        metric_title(found[0].ours.metric),
        Number(mean(gain.points.value for gain in found), 2, signed=True),
        *[""] * 4,
        _hundredths(_whole_mean([gain.relative for gain in found]), NO_VALUE),
        *([_hundredths(_whole_mean([g.printed for g in found]), NO_FIGURE)] if printed else []),
        *[""] * 6,
    )


def _warnings(board: Board, found: Iterable[Gain]) -> list[str]:
    """A note for each warning about gains, with the tasks and metrics that it is about."""
    about: dict[str, list[str]] = {}
    for gain in found:
        for warning in gain.paired.warnings():
            where = f"{board.column_title(gain.column)} ({metric_title(gain.ours.metric)})"
            about.setdefault(warning, []).append(where)
    return [f"{', '.join(where)}: {warning}." for warning, where in about.items()]


def _entry(gain: Gain) -> dict[str, Any]:
    """A gain for programs. `published` is the paper's relative gain in percent."""
    ours, found, shown, both = gain.ours, gain.paired, gain.points, gain.users_and_seeds
    return {
        **entry(ours.method, ours.column.task, ours.metric, ours, None),
        "published": gain.printed,
        "published_model": ours.paper_model if gain.printed is not None else None,
        "baseline": gain.theirs.method,
        "baseline_mean": gain.theirs.mean,
        "points": shown.value,
        "points_low": shown.low,
        "points_high": shown.high,
        "points_half_width": None if shown.low is None else 100 * found.difference.half_width,
        "points_detectable": gain.detectable,
        "common_seeds": gain.common_seeds,
        "points_by_seed": [100 * gap for gap in gain.spread.differences] if gain.spread else [],
        "points_low_users_and_seeds": 100 * both.low if both else None,
        "points_high_users_and_seeds": 100 * both.high if both else None,
        "relative": gain.relative,
        "p_bootstrap": found.bootstrap,
        "p_exchange": found.exchange,
        "p_holm": gain.p,
        "users_better": found.better,
        "users_equal": found.equal,
        "users_worse": found.worse,
        "warnings": found.warnings(),
    }


def _relative(ours: float | None, theirs: float | None) -> float | None:
    """By how many percent one mean is above another."""
    return 100 * (ours / theirs - 1) if ours is not None and theirs else None


def _whole_mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return mean(known) if len(known) == len(values) else None


def _hundredths(value: float | None, missing: str, *, signed: bool = True) -> Cell:
    return missing if value is None else Number(value, 2, signed=signed)

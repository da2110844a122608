"""Two runs compared again with every other seed that runs like them are recorded with."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lampbench.record.recorded_run import Run, read_run
from lampbench.report.cell_scores import CellScore, score_cell
from lampbench.report.common_seeds import gaps_by_seed
from lampbench.report.fill_cells import answer_the_same, newest_runs
from lampbench.report.metric_range import within_differences
from lampbench.report.seed_spread import SeedSpread, seed_spread
from lampbench.report.setups import age, column_of, settings_of, setup_of
from lampbench.report.statistics import Interval, interval
from lampbench.scoring.aggregate import mean
from lampbench.util.errors import LampbenchError


@dataclass(frozen=True, slots=True)
class SeedComparison:
    """One metric's difference between two methods with each of several seeds.

    `interval` is of the mean over `spread.seeds`, for other users and other seeds.
    """

    spread: SeedSpread
    interval: Interval


def compare_seeds(ours: Run, theirs: Run, metric: str) -> SeedComparison | None:
    """Two runs compared with each common seed of the runs that are recorded with their settings.

    None for fewer than two common seeds, and for runs that differ in nothing but the seed.
    """
    if _kind(ours) == _kind(theirs):
        return None
    gaps = gaps_by_seed(*(_cell(_of_all_seeds(run), metric) for run in (ours, theirs)))
    if len(gaps) < 2:
        return None
    spread = seed_spread(gaps)
    means = {place: mean(each[place] for each in gaps.values()) for place in gaps[spread.seeds[0]]}
    both = within_differences(metric, spread.users_and_seeds(interval(means)))
    return SeedComparison(spread, both)


def _of_all_seeds(run: Run) -> Sequence[Run]:
    """A run and the sound ones beside it that differ only in the seed, the newest of each seed.

    Those that answer other queries, since a user was removed from some, are left out.
    """
    alike = []
    for path in sorted(run.path.absolute().parent.iterdir()):
        try:
            one = read_run(path)
            if _kind(one) == _kind(run) and answer_the_same(one.scores, run.scores):
                alike.append(one)
        except LampbenchError:
            continue  # another kind of file, or a run that `lampbench list runs` complains about
    chosen, _ = newest_runs([*sorted(alike, key=age), run])
    return chosen


def _kind(run: Run) -> tuple[object, ...]:
    """What is equal in runs that differ only in the seed."""
    manifest = run.manifest
    made = (manifest.method, manifest.method_parts, manifest.fidelity, manifest.overrides)
    setup = replace(setup_of(run), source="")  # the column says of which data
    return setup, column_of(run), *made, settings_of(run), manifest.failed_users


def _cell(runs: Sequence[Run], metric: str) -> CellScore:
    listed = score_cell(setup_of(runs[0]), column_of(runs[0]), runs)
    return next(score for score in listed if score.metric == metric)

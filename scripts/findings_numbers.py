"""What docs/findings.md may ask of the recorded runs: scores, and what one gains over another.

Whatever is asked of a run that is not recorded raises, so that no sentence outlives its runs.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lampbench.report.cell_scores import CellScore, score_cell
from lampbench.report.common_seeds import common_seeds
from lampbench.report.contents import Recorded
from lampbench.report.histories import HistoryLength
from lampbench.report.metric_range import score_difference, within_differences
from lampbench.report.numbers import in_points
from lampbench.report.setups import Column, Setup, column_of, setup_of
from lampbench.report.statistics import Interval, Paired
from lampbench.report.tables.penalty import penalty_sweeps
from lampbench.report.user_cost import mean_cost
from lampbench.util.errors import LampbenchError
from scripts.kept_diagnosis import DIAGNOSES, Diagnosed

Settings = Mapping[str, Any]
"""Values of hyper-parameters by path."""
BUNDLED = "bundled"


@dataclass(frozen=True)
class Gain:
    """One score minus another on the same queries, in points of 0.01.

    `seeds` is how many seeds are common. `both` is the 95% interval for other users and other
    seeds, None for fewer than two.
    """

    paired: Paired
    both: Interval | None
    seeds: int

    def __str__(self) -> str:
        return self.show(1)

    def show(self, digits: int = 2, *, mean: bool = True) -> str:
        """The difference with its interval over users, or the interval alone."""
        return _points(self.paired.difference, digits, mean)

    def over_seeds(self, digits: int = 1) -> str:
        """The interval over users and seeds.

        Raises:
            LampbenchError: fewer than two seeds are common.
        """
        if self.both is None:
            raise LampbenchError("an interval over seeds needs two seeds of both methods")
        return _points(self.both, digits, mean=False)

    @property
    def size(self) -> str:
        """The difference without its sign."""
        return f"{abs(100 * self.paired.difference.mean):.1f}"

    @property
    def p(self) -> str:
        """The p-value of the exchange test."""
        return f"{self.paired.exchange:.3f}" if self.paired.exchange >= 0.0005 else "<0.001"

    @property
    def detectable(self) -> str:
        """The smallest true difference that would be found, in points.

        Raises:
            LampbenchError: it is unknown.
        """
        if self.paired.detectable is None:
            raise LampbenchError("what could be detected is unknown where no user differs")
        return f"{100 * self.paired.detectable:.1f}"

    @property
    def better(self) -> int:
        """Users whose mean is higher."""
        return self.paired.better

    @property
    def worse(self) -> int:
        """Users whose mean is lower."""
        return self.paired.worse

    @property
    def equal(self) -> int:
        """Users whose mean is the same."""
        return self.paired.equal

    @property
    def users(self) -> int:
        """All users."""
        return self.better + self.worse + self.equal


class Numbers:
    """What a template may ask of recorded runs. Scores are ROUGE-L unless a metric is named.

    Every method raises LampbenchError where a cell is empty, so that no sentence outlives its runs.
    Of several columns of a task, that with the most methods is meant, unless `users` says how many
    users it has, or `dtype` in which precision the model ran.
    """

    def __init__(self, recorded: Recorded) -> None:
        self._recorded, self._board = recorded, recorded.board

    def score(self, model: str, task: str, method: str, metric: str = "rougeL") -> str:
        """A method's mean over the queries and seeds."""
        return f"{self._cell(model, task, method, metric).mean:.3f}"

    def gain(
        self,
        model: str,
        task: str,
        method: str,
        over: str,
        metric: str = "rougeL",
        users: int | None = None,
        dtype: str | None = None,
    ) -> Gain:
        """What a method gains over another, as in the table of gains."""
        ours, theirs = (
            self._cell(model, task, name, metric, users, dtype) for name in (method, over)
        )
        return self._gain(ours, theirs)

    def same_users_gain(self, model: str, task: str, method: str, over: str, users: int) -> Gain:
        """As `gain` in the column of `users` users, on the queries of the column meant otherwise.

        Seed 0 alone.
        """
        asked = self._cell(model, task, over, "rougeL")
        ours, theirs = (self._cell(model, task, name, "rougeL", users) for name in (method, over))
        return _on_queries_of(asked, ours, theirs)

    def elsewhere(
        self,
        model: str,
        task: str,
        method: str,
        users: int | None = None,
        dtype: str | None = None,
    ) -> Gain:
        """What a method gains in the column of `users` users, or in a precision, over itself in the
        usual one.

        On the latter's queries, with seed 0.
        """
        usual = self._cell(model, task, method, "rougeL")
        found = self._cell(model, task, method, "rougeL", users, dtype)
        return _on_queries_of(usual, found, usual)

    def seeds(self, model: str, task: str, method: str) -> int:
        """How many seeds a score is the mean of."""
        return len(self._cell(model, task, method, "rougeL").seeds)

    def penalised(self, task: str, penalty: float, method: str, metric: str = "rougeL") -> str:
        """A method's mean under a repetition penalty."""
        return f"{self._penalised(task, penalty, method, metric).mean:.3f}"

    def penalised_gain(
        self, task: str, penalty: float, method: str, over: str, metric: str = "rougeL"
    ) -> Gain:
        """What a method gains over another where both have a repetition penalty."""
        ours, theirs = (self._penalised(task, penalty, name, metric) for name in (method, over))
        return self._gain(ours, theirs)

    def cut(
        self, model: str, task: str, most: int | None, method: str, metric: str = "rougeL"
    ) -> str:
        """A method's mean with at most `most` records of each user (None: all of them)."""
        return f"{self._cut(model, task, most, method, metric).mean:.3f}"

    def cut_gain(self, model: str, task: str, most: int | None, method: str, less: int) -> Gain:
        """What a method gains with at most `most` records over itself with `less`."""
        ours, theirs = (self._cut(model, task, n, method, "rougeL") for n in (most, less))
        return self._gain(ours, theirs)

    def cut_gain_over(self, model: str, task: str, most: int, method: str, over: str) -> Gain:
        """What a method with at most `most` records gains over one that reads none."""
        ours = self._cut(model, task, most, method, "rougeL")
        return self._gain(ours, self._cell(model, task, over, "rougeL"))

    def cut_tokens(self, model: str, task: str, most: int | None, method: str) -> str:
        """Tokens that a method with at most `most` records trains on, reads and writes per user."""
        cost = mean_cost(self._length(model, task, most, method).runs)
        if cost is None:
            raise LampbenchError(f"{method} on {task} with {most} records: no costs are recorded")
        return f"{cost.tokens:,.0f}"

    def cut_users(self, model: str, task: str, most: int, method: str) -> int:
        """How many test users have more than `most` records."""
        run = self._length(model, task, most, method).runs[0]
        (note,) = (note for note in run.manifest.dataset.notes if "(--max-history)" in note)
        return int(note.rpartition(": ")[2].partition(" of ")[0])

    def diagnosis(self, name: str) -> Diagnosed:
        """A diagnosis that is kept, by model and task."""
        return Diagnosed(DIAGNOSES / f"{name}.json")

    def gain_under(
        self, settings: Settings, task: str, method: str, over: str, metric: str = "rougeL"
    ) -> Gain:
        """What a method gains over another where both have these settings."""
        ours, theirs = (self._under(settings, task, name, metric) for name in (method, over))
        return self._gain(ours, theirs)

    def gain_over_preset(
        self, settings: Settings, task: str, method: str, over: str, metric: str = "rougeL"
    ) -> Gain:
        """What a method with these settings gains over one with those of the preset."""
        theirs = self._cell(BUNDLED, task, over, metric)
        return self._gain(self._under(settings, task, method, metric), theirs)

    def _gain(self, ours: CellScore, theirs: CellScore) -> Gain:
        paired = self._board.paired(ours, theirs)
        spread = self._board.seed_spread(ours, theirs)
        both = spread.users_and_seeds(paired.difference) if spread else None
        both = within_differences(ours.metric, both) if both else None
        return Gain(paired, both, len(common_seeds((ours.chosen, theirs.chosen))))

    def _place(
        self, model: str, task: str, users: int | None, dtype: str | None
    ) -> tuple[Setup, Column] | None:
        places = [
            (setup, column)
            for setup in self._board.setups()
            if setup.model == model and dtype in (None, setup.dtype)
            for column in self._board.columns(setup, task)
            if users in (None, self._board.first(setup, column).users)
        ]
        scores = Counter((one.setup, one.column) for one in self._board.scores)
        places.sort(key=lambda place: -scores[place])
        if len(places) > 1 and scores[places[0]] == scores[places[1]]:
            raise LampbenchError(f"{model} on {task}: several columns, so that none can be named")
        return places[0] if places else None

    def _cell(
        self,
        model: str,
        task: str,
        method: str,
        metric: str,
        users: int | None = None,
        dtype: str | None = None,
    ) -> CellScore:
        place = self._place(model, task, users, dtype)
        found = self._board.cell(*place, method, metric) if place else None
        return _known(found, f"{method} of {model} on {task}, {metric}")

    def _penalised(self, task: str, penalty: float, method: str, metric: str) -> CellScore:
        shown = [
            point
            for sweep in penalty_sweeps(self._recorded.sweeps)
            if (sweep.method, sweep.column.task) == (method, task)
            for point in sweep.points
            if point.value == penalty
        ]
        found = shown[0].scores.get(metric) if len(shown) == 1 else None
        return _known(found, f"{method} on {task} with penalty {penalty}, {metric}")

    def _cut(self, model: str, task: str, most: int | None, method: str, metric: str) -> CellScore:
        found = self._length(model, task, most, method).scores.get(metric)
        return _known(found, f"{method} of {model} on {task} with {most} records, {metric}")

    def _length(self, model: str, task: str, most: int | None, method: str) -> HistoryLength:
        shown = [
            length
            for series in self._recorded.histories
            if (series.setup.model, series.column.task, series.method) == (model, task, method)
            for length in series.lengths
            if length.most == most
        ]
        if len(shown) != 1:
            raise LampbenchError(f"{method} of {model} on {task} with {most} records: not recorded")
        return shown[0]

    def _under(self, settings: Settings, task: str, method: str, metric: str) -> CellScore:
        runs = [
            other.run
            for other in self._recorded.others
            if (other.run.manifest.method, other.run.manifest.task) == (method, task)
            and other.run.manifest.model == BUNDLED
            and other.run.manifest.overrides == settings
        ]
        if len({run.manifest.seed for run in runs}) < len(runs):
            raise LampbenchError(f"{method} on {task} with {settings}: several runs of a seed")
        scores = score_cell(setup_of(runs[0]), column_of(runs[0]), runs) if runs else ()
        found = next((score for score in scores if score.metric == metric), None)
        return _known(found, f"{method} on {task} with {settings}, {metric}")


def _known(score: CellScore | None, what: str) -> CellScore:
    if score is None or not score.scores:
        raise LampbenchError(f"{what}: not recorded, but the findings speak of it")
    return score


def _on_queries_of(asked: CellScore, ours: CellScore, theirs: CellScore) -> Gain:
    """One score minus another on the queries of a third, with seed 0."""
    places, *scores = (one.with_seed(0) for one in (asked, ours, theirs))
    found, other = ({place: each[place] for place in places} for each in scores)
    return Gain(score_difference("rougeL", found, other), None, 1)


def _points(found: Interval, digits: int, mean: bool) -> str:
    number = in_points(found, digits)
    return f"{number.text()} {number.interval()}" if mean else number.interval()

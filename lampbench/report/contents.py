"""The list of all tables: the name of each, what it shows, and which function makes it."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from lampbench.record.recorded_run import Run
from lampbench.report.board import Board
from lampbench.report.fill_cells import ExcludedRun, fill_cells
from lampbench.report.histories import HistorySeries, history_series
from lampbench.report.setups import with_named_data
from lampbench.report.sweeps import PATHS, Sweep, sweeps
from lampbench.report.table import Section
from lampbench.report.tables.ablation import ablation_sections
from lampbench.report.tables.cost import cost_sections
from lampbench.report.tables.cross_model import cross_model_sections
from lampbench.report.tables.data import data_sections
from lampbench.report.tables.excluded_runs import excluded_run_sections
from lampbench.report.tables.further_methods import (
    beyond_paper_sections,
    control_method_sections,
    further_method_sections,
)
from lampbench.report.tables.further_metrics import further_metric_sections
from lampbench.report.tables.gains import gain_sections
from lampbench.report.tables.history import history_sections
from lampbench.report.tables.main import main_sections
from lampbench.report.tables.other_tasks import other_task_sections
from lampbench.report.tables.paper_scores import paper_sections
from lampbench.report.tables.penalty import penalty_sections
from lampbench.report.tables.power import power_sections
from lampbench.report.tables.scores import score_sections
from lampbench.report.tables.sensitivity import sensitivity_sections
from lampbench.report.tables.variance import variance_sections
from lampbench.util.errors import LampbenchError, suggestion


@dataclass(frozen=True, slots=True)
class Recorded:
    """Runs arranged for tables: those that fill cells, sweeps of one setting, histories of several
    lengths, and the rest.
    """

    board: Board
    sweeps: Sequence[Sweep]
    histories: Sequence[HistorySeries]
    others: Sequence[ExcludedRun]


@dataclass(frozen=True, slots=True)
class Content:
    """One kind of table: its title, what it shows in a sentence, and how it is made from runs."""

    title: str
    about: str
    make: Callable[[Recorded], list[Section]]


CONTENTS = {
    "main": Content(
        "Main results",
        "The paper's six methods on every task: ROUGE-1, ROUGE-L and, where it could be computed, "
        "METEOR.",
        lambda found: main_sections(found.board),
    ),
    "gains": Content(
        "Gains",
        "What a method gains over its baseline on each task, tested on the same queries, and for "
        "how many users.",
        lambda found: gain_sections(found.board),
    ),
    "ablation": Content(
        "Ablation",
        "Contrastive decoding (CD) and DPO, alone and together.",
        lambda found: ablation_sections(found.board),
    ),
    "cross-model": Content(
        "Across models",
        "The paper's six methods on every task that has runs of two models or more.",
        lambda found: cross_model_sections(found.board),
    ),
    "control-methods": Content(
        "Control methods",
        "Methods that do only one thing that the paper's method does too, beside the six.",
        lambda found: control_method_sections(found.board),
    ),
    "beyond-paper": Content(
        "Beyond the paper",
        "Baselines that the paper does not have, and controls that show what a gain does not come "
        "from, beside the six. Seeds: those whose mean a score is, by column where columns differ.",
        lambda found: beyond_paper_sections(found.board),
    ),
    "further-methods": Content(
        "Further methods",
        "Methods from plugins and answers made elsewhere, beside the six.",
        lambda found: further_method_sections(found.board),
    ),
    "other-tasks": Content(
        "Other tasks",
        "Every method on tasks outside the paper, by the metrics that judge each.",
        lambda found: other_task_sections(found.board),
    ),
    "sensitivity": Content(
        "Sensitivity",
        "How scores change with one hyper-parameter, or with the model that contrastive decoding "
        "contrasts with.",
        lambda found: sensitivity_sections(found.board, found.sweeps),
    ),
    "penalty": Content(
        "Repetition penalty",
        "How scores and the gains of contrastive decoding change with the repetition penalty.",
        lambda found: penalty_sections(found.board, found.sweeps),
    ),
    "history": Content(
        "Records per user",
        "How scores and costs change with the number of past records of each user.",
        lambda found: history_sections(found.histories),
    ),
    "scores": Content(
        "Scores in full",
        "Every method on every task: means over queries and over users, lengths, truncation, "
        "repetition and seeds.",
        lambda found: score_sections(found.board),
    ),
    "further-metrics": Content(
        "Further metrics",
        "What word overlap does not see: diversity, style, copying, and the metrics of plugins.",
        lambda found: further_metric_sections(found.board),
    ),
    "cost": Content(
        "Cost",
        "Tokens and seconds of every method, before the first answer and for the answers.",
        lambda found: cost_sections(found.board),
    ),
    "data": Content(
        "Data",
        "Fingerprints, counts and lengths of the data that were answered.",
        lambda found: data_sections(found.board),
    ),
    "power": Content(
        "Detectable differences",
        "How small a difference between two methods the queries of each task can detect.",
        lambda found: power_sections(found.board),
    ),
    "variance": Content(
        "Components of variance",
        "How much scores and differences vary between users, between a user's queries, and between "
        "seeds.",
        lambda found: variance_sections(found.board),
    ),
    "paper": Content(
        "The paper's scores",
        "What the paper prints, for its own models on 100 users of the full data.",
        lambda found: paper_sections(found.board),
    ),
    "excluded-runs": Content(
        "Excluded runs",
        "Recorded runs that are in no other table, and why.",
        lambda found: excluded_run_sections(found.board, found.others),
    ),
}
"""Every table by name, in the order of the table of contents."""


def arrange(runs: Iterable[Run], paths: Collection[str] | None = PATHS) -> Recorded:
    """Runs arranged for tables; `paths` are the settings whose sweeps are shown (None: any)."""
    found, others = fill_cells(with_named_data(runs))
    cut, others = history_series(found, others)
    swept, left = sweeps(found, others, paths)
    points = [point for sweep in swept for point in sweep.points]
    titled = [score for point in points for score in point.scores.values()]
    return Recorded(Board(found, titled), swept, cut, left)


def sections(recorded: Recorded, name: str, baseline: str | None = None) -> list[Section]:
    """The tables called `name` in `CONTENTS`; those of gains may be over one `baseline`.

    Raises:
        LampbenchError: there is no such table or baseline.
    """
    if name not in CONTENTS:
        raise LampbenchError(f"there is no table {name!r}: {suggestion(name, CONTENTS)}")
    if baseline is None:
        return CONTENTS[name].make(recorded)
    if name != "gains":
        raise LampbenchError(
            f"a baseline ({baseline!r}) is for one table only: lampbench table gains"
        )
    if baseline not in (methods := recorded.board.methods()):
        hint = suggestion(baseline, methods) if methods else "nothing is recorded"
        raise LampbenchError(f"no run of the baseline {baseline!r} is recorded: {hint}")
    return gain_sections(recorded.board, baseline)

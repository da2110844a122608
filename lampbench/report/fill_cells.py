"""Which runs fill the cells of tables, and which are excluded, with the reason."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter, eq

from lampbench.record.manifest import Manifest
from lampbench.record.recorded_run import Run
from lampbench.report.cell_scores import CellScore, row_name, score_cell
from lampbench.report.setups import (
    Column,
    Setup,
    age,
    column_of,
    is_external,
    settings_of,
    setup_of,
    version_of,
)
from lampbench.scoring.score_table import ScoreTable
from lampbench.util.hashing import canonical
from lampbench.util.version import SAME_RESULTS_SINCE, release


@dataclass(frozen=True, slots=True)
class ExcludedRun:
    """A run that fills no cell, and why."""

    run: Run
    reason: str


def fill_cells(
    runs: Iterable[Run], max_history: int | None = None
) -> tuple[list[CellScore], list[ExcludedRun]]:
    """The scores of all cells, and the runs that are in none, whatever the order of `runs`.

    A cell holds runs of one method on one column of one setup, with the method's default settings
    (fidelity `paper`, nothing overridden) and with every user, that differ only in the seed. The
    newest run decides where defaults have changed since, where a seed was run twice, and where
    runs of one column answer different queries. Runs by a version of lampbench with other results
    are left out.

    Histories of all users are whole, or were all cut to `max_history` records.

    An external run, whose settings are not known here, has a row of its own, marked, in every
    setup that has runs of its model on its data and of the same queries; where there are no runs
    of its model on its data, in a setup of its own.
    Submitted runs have rows of their own too, one for each submitter.
    """
    cells: dict[tuple[Setup, Column, str], list[Run]] = defaultdict(list)
    alike_cut, others = _of_length(sorted(runs, key=age), max_history)
    whole, few = _on_all_users(alike_cut)
    alike, unlike = of_same_queries(whole)
    others += [*few, *unlike]
    external = []
    ours: dict[tuple[Setup, Column], Run] = {}
    for run in alike:
        changed = changes(run.manifest)
        if changed:
            others.append(ExcludedRun(run, changed))
        elif is_external(run):
            external.append(run)
        else:
            cells[setup_of(run), column_of(run), row_name(run)].append(run)
            ours[setup_of(run), column_of(run)] = run
    for run in external:
        column = column_of(run)
        beside = _setups_beside(run, ours)
        fitting = [
            setup
            for setup in beside
            if (one := ours.get((setup, column))) is None or answer_the_same(run.scores, one.scores)
        ]
        if not fitting:
            reason = "answers other queries than our runs of its column: make both again"
            others.append(ExcludedRun(run, reason))
        for setup in fitting:
            cells[setup, column, row_name(run)].append(run)
    found = []
    for (setup, column, _), candidates in sorted(cells.items(), key=lambda item: item[0]):
        chosen, passed = newest_runs(candidates)
        found += score_cell(setup, column, chosen)
        others += [other for other in passed if other not in others]
    return found, in_order(others)


def in_order(others: Iterable[ExcludedRun]) -> list[ExcludedRun]:
    """Excluded runs by task, method and key."""
    by_name = attrgetter("task", "method", "key")
    return sorted(others, key=lambda other: by_name(other.run.manifest))


def changes(manifest: Manifest) -> str:
    """What excludes a run from its cell: users left out, or settings other than the defaults."""
    changed = []
    if failed := manifest.failed_users:
        users = manifest.dataset.test_users
        who = ", ".join(
            f"{user} in {why.partition(':')[0]}" for user, why in sorted(failed.items())
        )
        changed.append(f"scored on {users - len(failed)} of {users} users; failed: {who}")
    if manifest.fidelity != "paper" and manifest.external is None:
        changed.append(f"fidelity {manifest.fidelity}")
    for name, value in sorted(manifest.overrides.items()):
        changed.append(f"{name}={canonical(value)}")
    return ", ".join(changed)


def newest_runs(candidates: Sequence[Run]) -> tuple[list[Run], list[ExcludedRun]]:
    """For each seed the newest run with the settings of the newest of all; and the other runs.

    `candidates` are in order of age.
    """
    wanted = settings_of(candidates[-1])
    chosen: dict[int, Run] = {}
    passed = []
    for run in reversed(candidates):
        if earlier := earlier_defaults(settings_of(run), wanted):
            passed.append(ExcludedRun(run, earlier))
        elif run.manifest.seed in chosen:
            passed.append(ExcludedRun(run, "an earlier run of the same cell and seed"))
        else:
            chosen[run.manifest.seed] = run
    return [chosen[seed] for seed in sorted(chosen)], passed


def earlier_defaults(settings: Mapping[str, str], wanted: Mapping[str, str]) -> str:
    """How a run's settings differ from those that are wanted; empty if they do not."""
    changed = [
        f"{name} {settings.get(name, 'unset')} (now {wanted.get(name, 'unset')})"
        for name in sorted(settings.keys() | wanted.keys())
        if settings.get(name) != wanted.get(name)
    ]
    return f"earlier defaults: {', '.join(changed)}" if changed else ""


def _of_length(runs: Sequence[Run], max_history: int | None) -> tuple[list[Run], list[ExcludedRun]]:
    """Runs on histories that were cut to this many records (None: whole ones), and the others."""
    kept, others = [], []
    for run in runs:
        most = run.manifest.dataset.max_history
        if most == max_history:
            kept.append(run)
        else:
            reason = f"histories cut to {most} (--max-history)" if most else "whole histories"
            others.append(ExcludedRun(run, reason))
    return kept, others


def _on_all_users(runs: Sequence[Run]) -> tuple[list[Run], list[ExcludedRun]]:
    """Runs on all test users, and those on a number of users that was asked for.

    The latter stay as long as they are of more methods than the runs on all users of the same data:
    as after a first trial with few users, or where all users take too long for some methods. They
    stay, too, where the number that was asked for is that of all.
    """
    full = [run for run in runs if _users_asked(run) is None]
    columns = {(setup_of(run), column_of(run)) for run in full}
    methods: dict[tuple[object, int | None], set[str]] = defaultdict(set)
    for run in runs:
        if not changes(run.manifest):  # other runs fill no cell
            methods[_data_of(run), _users_asked(run)].add(run.manifest.method)
    kept, others = [], []
    for run in runs:
        data, users = _data_of(run), _users_asked(run)
        few = 0 < len(methods[data, None]) >= len(methods[data, users])
        if users is not None and few and (setup_of(run), column_of(run)) not in columns:
            others.append(ExcludedRun(run, f"on {users} test users (--users); tables show all"))
        else:
            kept.append(run)
    return kept, others


def _users_asked(run: Run) -> int | None:
    options = run.manifest.dataset.options
    return options.users if options else None


def _data_of(run: Run) -> tuple[Setup, str, object]:
    """What a run's data is, whatever number of users it has."""
    options = run.manifest.dataset.options
    setup = replace(setup_of(run), source=run.manifest.dataset.source)
    return setup, run.manifest.task, replace(options, users=None) if options else None


def of_same_queries(
    runs: Sequence[Run], column: Callable[[Run], Column] = column_of
) -> tuple[list[Run], list[ExcludedRun]]:
    """Of runs in order of age: those like the newest of their `column`, and the rest.

    Runs with failed users answer fewer queries, as their manifests say; they pass.
    """
    columns: dict[tuple[Setup, Column], list[Run]] = defaultdict(list)
    for run in runs:
        columns[setup_of(run), column(run)].append(run)
    alike, others = [], []
    for members in columns.values():
        whole = [run for run in members if not run.manifest.failed_users]
        whole = [run for run in whole if run.submitter is None] or whole  # ours decide
        tasks = [run.manifest.plugins.get("task") for run in whole if not is_external(run)]
        for run in members:
            if () < release(version_of(run)) < release(SAME_RESULTS_SINCE):
                reason = (
                    f"by lampbench {version_of(run)}, before {SAME_RESULTS_SINCE} changed results: "
                    "run it again"
                )
                others.append(ExcludedRun(run, reason))
            elif not run.manifest.failed_users and not answer_the_same(
                run.scores, whole[-1].scores
            ):
                reason = "answers other queries than the newest run of its column: run it again"
                others.append(ExcludedRun(run, reason))
            elif tasks and not is_external(run) and run.manifest.plugins.get("task") != tasks[-1]:
                reason = "the task's code is not that of the newest run of its column: run it again"
                others.append(ExcludedRun(run, reason))
            else:
                alike.append(run)
    return alike, others


def answer_the_same(one: ScoreTable, other: ScoreTable) -> bool:
    """Whether two runs answered the same queries, of which the same could be scored."""
    if one.has_same_places(other):
        return all(map(eq, one.has_reference(), other.has_reference()))
    answers = [zip(each.places, each.has_reference(), strict=True) for each in (one, other)]
    return set(answers[0]) == set(answers[1])


def _setups_beside(run: Run, places: Iterable[tuple[Setup, Column]]) -> list[Setup]:
    """The setups of our own runs beside which an external run is shown."""
    model, column = run.manifest.model, column_of(run)
    found = {setup for setup, other in places if setup.model == model and other == column}
    return sorted(found) or [setup_of(run)]

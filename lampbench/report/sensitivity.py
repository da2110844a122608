"""What a score makes of a setting: runs that differ from the defaults in one value (Figure 3)."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lampbench.paper.published import paper
from lampbench.plugin.decoding import Contrastive
from lampbench.record.runs import Run
from lampbench.report.board import Board
from lampbench.report.cell_scores import (
    Column,
    ExcludedRun,
    Record,
    Setup,
    age,
    changes,
    choose,
    column_of,
    earlier_defaults,
    measure,
    ordered,
    settings_of,
    setup_of,
)
from lampbench.report.machine_readable import entry
from lampbench.report.method_grid import SYNTHETIC_NOTE, Standing, number, standings
from lampbench.report.table import Table
from lampbench.scoring.catalog import METRICS
from lampbench.util.hashing import canonical

PATHS = ("decoding.alpha", "user_dpo.beta", "decoding.tau")
BASE_MODEL = "base model"
"""What a sweep over the weights that contrastive decoding contrasts with is called (Figure 3a)."""
UNTOUCHED = "none (the untouched model)"
METRICS_SHOWN = ("rouge1", "rougeL")
DEFAULT = "(default)"
DEFAULT_NOTE = "One value differs from the method's defaults, all else is equal."
ALONE_NOTE = f"{DEFAULT_NOTE} No run with the default is recorded."


@dataclass(frozen=True, slots=True)
class Point:
    """One value of a sweep. `shown` is the value as text; `method` is whose runs these are."""

    value: Any
    shown: str
    default: bool
    method: str
    records: Mapping[str, Record]


@dataclass(frozen=True, slots=True)
class Sweep:
    """One setting's values for one method on one column of one setup."""

    setup: Setup
    column: Column
    method: str
    path: str
    points: tuple[Point, ...]

    def runs(self) -> list[Run]:
        """The runs behind the points, each once."""
        found = [run for p in self.points for record in p.records.values() for run in record.chosen]
        return list({run.path: run for run in found}.values())


def sweeps(
    records: Sequence[Record], others: Iterable[ExcludedRun], paths: Collection[str] | None = PATHS
) -> tuple[list[Sweep], list[ExcludedRun]]:
    """The sweeps over `paths` (None: any setting) among runs that are in no table, and the rest.

    Only a run that differs from the runs of its cell, or where there are none from the newest of
    its own kind, in nothing but the one value belongs to a sweep.
    """
    cells = {(r.setup, r.column, r.method): r.chosen for r in records}
    groups: dict[tuple[Setup, Column, str, str], list[Run]] = defaultdict(list)
    left = []
    for other in others:
        path = _only_change(other)
        if path and (paths is None or path in paths):
            run = other.run
            groups[setup_of(run), column_of(run), run.manifest.method, path].append(run)
        else:
            left.append(other)
    found = []
    for (setup, column, method, path), members in sorted(groups.items(), key=lambda one: one[0]):
        defaults = cells.get((setup, column, method), ())
        swept, passed = _sweep(setup, column, path, defaults, sorted(members, key=age))
        left += passed
        if swept:
            found.append(Sweep(setup, column, method, path, swept))
    return found + _base_models(records), ordered(left)


def sensitivity_table(board: Board, sweep: Sweep) -> Table:
    """Values x metrics; the best value of each metric against the others."""
    columns = [
        (METRICS[metric].title, {p.shown: p.records.get(metric) for p in sweep.points})
        for metric in METRICS_SHOWN
    ]
    standing, marked = standings(board, columns)
    rows, entries = [], []
    for point in sweep.points:
        cells = []
        for metric, stands in zip(METRICS_SHOWN, standing, strict=True):
            record, stand = point.records.get(metric), stands[point.shown]
            cells.append("n/a" if record is None else number(record, stand.mark))
            if record:
                entries.append(_entry(sweep, point, record, stand))
        seeds = str(max((len(record.seeds) for record in point.records.values()), default=0))
        label = f"{point.shown} {DEFAULT}" if point.default else point.shown
        rows.append((label, *cells, seeds))
    notes = [DEFAULT_NOTE if any(point.default for point in sweep.points) else ALONE_NOTE]
    notes += marked
    if board.synthetic([sweep.column]):
        notes.append(SYNTHETIC_NOTE)
    title = f"{board.column_title(sweep.column)}, {board.method_title(sweep.method)}: {sweep.path}"
    header = (sweep.path, *(METRICS[metric].title for metric in METRICS_SHOWN), "Seeds")
    return Table(title, header, tuple(rows), notes=tuple(notes), entries=tuple(entries))


def _entry(sweep: Sweep, point: Point, record: Record, stand: Standing) -> dict[str, Any]:
    return {
        **entry(point.method, sweep.column.task, record.metric, record, None),
        "parameter": sweep.path,
        "value": point.value,
        "default": point.default,
        "best": stand.mark == "best",
        "p_best": stand.p,
    }


def _only_change(other: ExcludedRun) -> str | None:
    """The setting that alone sets a run apart."""
    manifest = other.run.manifest
    alone = len(manifest.overrides) == 1 and manifest.fidelity == "paper"
    if not alone or manifest.failed_users or other.reason != changes(manifest):
        return None
    (path,) = manifest.overrides
    return path if path in manifest.hyperparameters else None


def _sweep(
    setup: Setup, column: Column, path: str, defaults: Sequence[Run], members: Sequence[Run]
) -> tuple[tuple[Point, ...], list[ExcludedRun]]:
    """The points of a sweep, by value, and the runs that differ in more than the value."""
    wanted = _without(settings_of(defaults[-1] if defaults else members[-1]), path)
    usual = settings_of(defaults[-1])[path] if defaults else None
    by_value: dict[str, list[Run]] = defaultdict(list)
    passed = []
    for run in members:
        settings = settings_of(run)
        if earlier := earlier_defaults(_without(settings, path), wanted):
            passed.append(ExcludedRun(run, f"{changes(run.manifest)}; {earlier}"))
        elif settings[path] == usual:
            passed.append(ExcludedRun(run, changes(run.manifest)))
        else:
            by_value[settings[path]].append(run)
    if not by_value:
        return (), passed
    points = [_point(setup, column, defaults, _value(defaults[0], path), True)] if defaults else []
    for runs in by_value.values():
        chosen, doubles = choose(runs)
        passed += doubles
        points.append(_point(setup, column, chosen, _value(chosen[0], path), False))
    return tuple(sorted(points, key=lambda point: _place(point.value))), passed


def _base_models(records: Iterable[Record]) -> list[Sweep]:
    """Sweeps over methods that differ in nothing but what contrastive decoding contrasts with."""
    groups: dict[tuple[Setup, Column, str], dict[str, Record]] = defaultdict(dict)
    for record in sorted(records, key=_is_plugin):
        parts = record.chosen[-1].manifest.method_parts
        decoding = parts.get("decoding") or {}
        if decoding.get("part") != Contrastive.name:
            continue
        rest = {**parts, "decoding": _without(decoding, "against")}
        alike = canonical([rest, settings_of(record.chosen[-1])])
        against = _expression(decoding.get("against"))
        groups[record.setup, record.column, alike].setdefault(against, record)
    found = []
    for (setup, column, _), variants in sorted(groups.items(), key=lambda one: one[0]):
        if len(variants) < 2:
            continue
        usual = min(variants.values(), key=_is_plugin)
        points = tuple(
            _point(setup, column, record.chosen, shown, record is usual and not _is_plugin(usual))
            for shown, record in sorted(variants.items(), key=_untouched_last)
        )
        found.append(Sweep(setup, column, usual.method, BASE_MODEL, points))
    return found


def _untouched_last(variant: tuple[str, Record]) -> tuple[bool, str]:
    return variant[0] == UNTOUCHED, variant[0]


def _is_plugin(record: Record) -> bool:
    return record.method not in paper().methods


def _point(setup: Setup, column: Column, runs: Sequence[Run], value: Any, default: bool) -> Point:
    records = {record.metric: record for record in measure(setup, column, runs)}
    shown = value if isinstance(value, str) else canonical(value)
    return Point(value, shown, default, runs[0].manifest.method, records)


def _value(run: Run, path: str) -> Any:
    return run.manifest.hyperparameters[path].value


def _expression(part: Any) -> str:
    """A recorded part as text, such as UserSFT(start=TaskSFT)."""
    if not isinstance(part, Mapping):
        return UNTOUCHED
    inside = ", ".join(f"{n}={_expression(v)}" for n, v in sorted(part.items()) if n != "part")
    return f"{part.get('part')}({inside})" if inside else str(part.get("part"))


def _without(mapping: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key != name}


def _place(value: Any) -> tuple[bool, float, str]:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return (not number, float(value) if number else 0.0, canonical(value))
